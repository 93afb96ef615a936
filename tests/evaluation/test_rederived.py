"""`score` against the upstream evaluators written down again, plainly: numpy's own least squares, loops, no blocks.

Sources: prs-eth/Marigold `script/depth/eval.py`, `src/util/alignment.py` and `src/util/metric.py`; microsoft/MoGe
`moge/test/metrics.py`.
"""

import itertools
import math

import numpy as np
import pytest

from dad.evaluation import DatasetRules, score

LIMITS = {"indoor": (1e-3, 10.0), "diode": (0.6, 350.0), "eth3d": (1e-5, math.inf), "kitti": (1e-5, 80.0)}


def marigold(prediction, depth, mask, kind, low, high, max_res):
    """What upstream's evaluator does with one image; numpy.linalg.LinAlgError where its solver stops."""
    target, used = depth, mask
    if kind == "disparity":
        target = np.where(depth > 0, 1 / np.where(depth > 0, depth, 1), 0).astype(np.float32)
        used = mask & (depth > 0) & (prediction > 0)
    columns = np.arange(mask.shape[1])
    if max_res is not None and (factor := min(max_res / side for side in mask.shape)) < 1:
        # the map goes to torch's Upsample as one-dimensional data, so that rows stay
        columns = np.floor(np.arange(int(mask.shape[1] * factor)) / factor + 1e-4).astype(int)
    seen = used[:, columns]
    x, y = prediction[:, columns][seen], target[:, columns][seen]
    system = np.stack([x, np.ones_like(x)], axis=1).astype(np.float64)
    scale, shift = np.linalg.lstsq(system, y.astype(np.float64), rcond=None)[0].astype(np.float32)
    aligned = prediction * scale + shift
    if kind == "disparity":
        aligned = np.maximum(aligned, np.float32(1e-3))
        aligned = np.where(aligned > 0, 1 / aligned, 0).astype(np.float32)  # NaN is not > 0
    aligned = np.maximum(np.clip(aligned, low, high), 1e-6).astype(np.float32)
    p, g = aligned[mask].astype(np.float64), depth[mask].astype(np.float64)
    e = np.log(p) - np.log(g)
    ratio = np.maximum(p / g, g / p)
    metrics = {
        "abs_rel": np.mean(np.abs(p - g) / g),
        "sq_rel": np.mean((p - g) ** 2 / g),
        "rmse": np.sqrt(np.mean((p - g) ** 2)),
        "rmse_log": np.sqrt(np.mean(e**2)),
        "log10": np.mean(np.abs(np.log10(p) - np.log10(g))),
        "i_rmse": np.sqrt(np.mean((1 / p - 1 / g) ** 2)),
        "silog": 100 * np.sqrt(max(np.mean(e**2) - np.mean(e) ** 2, 0.0))
        if g.size and np.isfinite(e).all()
        else math.nan,
        "scale": scale,
        "shift": shift,
    }
    return metrics | {f"delta{k}": np.mean(ratio < 1.25**k) for k in (1, 2, 3)}


def _put(values, mask, count, value):
    """The first `count` valid pixels replaced."""
    changed = values.copy()
    changed.ravel()[np.flatnonzero(mask)[:count]] = value
    return changed


def _first_valid(mask, count):
    few = np.zeros_like(mask)
    few.ravel()[np.flatnonzero(mask)[:count]] = True
    return few


CASES = {
    "plain": lambda p, g, m: (p, g, m),
    "turned around": lambda p, g, m: (p.max() + 0.1 - p, g, m),
    "some not positive": lambda p, g, m: (np.where(np.arange(p.size).reshape(p.shape) % 7 == 0, -p, p), g, m),
    "none positive": lambda p, g, m: (-np.abs(p), g, m),
    "zero everywhere": lambda p, g, m: (0 * p, g, m),
    "constant": lambda p, g, m: (0 * p + np.float32(3.25), g, m),
    "large values": lambda p, g, m: (p * np.float32(1e6), g, m),
    "small values": lambda p, g, m: (p * np.float32(1e-6), g, m),
    "large offset": lambda p, g, m: (p + np.float32(100), g, m),
    "one valid": lambda p, g, m: (p, g, _first_valid(m, 1)),
    "two valid": lambda p, g, m: (p, g, _first_valid(m, 2)),
    "none valid": lambda p, g, m: (p, g, m & False),
    "NaN outside": lambda p, g, m: (np.where(m, p, np.nan), g, m),
    "NaN inside": lambda p, g, m: (_put(p, m, 3, np.nan), g, m),
    "infinite": lambda p, g, m: (_put(p, m, 1, np.inf), g, m),
    "zero truth": lambda p, g, m: (p, _put(g, m, 2, 0), m),
    "negative truth": lambda p, g, m: (p, _put(g, m, 2, -1), m),
    "truth beyond the range": lambda p, g, m: (p, _put(g, m, 5, 900), m),
    "transposed memory": lambda p, g, m: (np.asfortranarray(p), np.asfortranarray(g), np.asfortranarray(m)),
}


def _maps(shape, kind):
    rng = np.random.default_rng(7)
    depth = rng.uniform(0.7, 9, shape).astype(np.float32)
    noise = rng.normal(0, 0.02, shape)
    prediction = (0.3 * depth + 0.1 if kind == "depth" else 2 / depth + 0.05) + noise
    return prediction.astype(np.float32), depth, rng.random(shape) < 0.8


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["depth", "disparity"])
def test_marigold(name, kind):
    compared = 0
    for shape, (low, high), max_res in itertools.product(
        [(24, 32), (48, 100), (100, 48)], LIMITS.values(), [None, 32, 40, 500]
    ):
        prediction, depth, mask = CASES[name](*_maps(shape, kind))
        where = f"{shape} {low}..{high} {max_res}"
        options = {"kind": kind, "dataset": DatasetRules("x", low, high, align_max_res=max_res), "strict": True}
        try:
            expected = marigold(prediction, depth, mask, kind, low, high, max_res)
        except np.linalg.LinAlgError:
            with pytest.raises(np.linalg.LinAlgError):
                score(prediction, depth, mask, **options)
            continue
        found = score(prediction, depth, mask, **options)
        assert found["n"] == mask.sum()
        for key, value in expected.items():
            if key == "i_rmse" and name == "infinite":
                continue  # 1/p - 1/g of an infinite p is not defined in our order of operations
            tolerance = {"silog": 2e-4}.get(key, 3e-5)
            assert found[key] == pytest.approx(
                float(value), rel=tolerance, abs=2e-4 if key == "silog" else 2e-6, nan_ok=True
            ), (
                where,
                key,
            )
            compared += 1
    assert compared or name in ("NaN inside", "infinite")


def _weighted_l1_by_brute_force(x, y, w):
    """The best line through any two points, by trying all."""
    best = (math.inf, 0.0, 0.0)
    for i, j in itertools.combinations(range(len(x)), 2):
        if x[i] != x[j]:
            scale = (y[j] - y[i]) / (x[j] - x[i])
            shift = y[i] - scale * x[i]
            best = min(best, (float(np.sum(w * np.abs(scale * x + shift - y))), scale, shift))
    return best


@pytest.mark.parametrize("name", ["plain", "turned around", "some not positive", "two valid", "large offset"])
def test_moge_affine_depth(name):
    """On maps smaller than 64 x 64 the fit sees every valid pixel; clipped at nothing, AbsRel over truth + 1e-6."""
    prediction, depth, mask = CASES[name](*_maps((5, 8), "depth"))
    x, y = prediction[mask].astype(np.float64), depth[mask].astype(np.float64)
    _, scale, shift = _weighted_l1_by_brute_force(x, y, 1 / y)
    found = score(prediction, depth, mask, kind="depth", protocol="moge")
    p = scale * x + shift
    # an offset of 100 costs single precision its last digits
    tolerance = 3e-4 if name == "large offset" else 3e-5
    assert found["abs_rel"] == pytest.approx(np.mean(np.abs(p - y) / (y + 1e-6)), rel=tolerance, abs=1e-7)
    assert found["delta1"] == pytest.approx(np.mean(np.maximum(p / y, y / p) < 1.25), abs=1e-9)
    assert (found["scale"], found["shift"]) == pytest.approx((scale, shift), rel=3e-4, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["plain", "turned around", "some not positive", "none positive", "zero everywhere", "constant"]
)
def test_moge_disparity(name):
    """Least squares over the whole mask, floored at the inverse of the farthest truth."""
    prediction, depth, mask = CASES[name](*_maps((24, 32), "disparity"))
    x, y = prediction[mask].astype(np.float64), depth[mask].astype(np.float64)
    scale, shift = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), 1 / y, rcond=None)[0]
    p = 1 / np.maximum(scale * x + shift, 1 / y.max())
    found = score(prediction, depth, mask, kind="disparity", protocol="moge")
    assert found["abs_rel"] == pytest.approx(np.mean(np.abs(p - y) / (y + 1e-6)), rel=3e-5)
    assert found["delta1"] == pytest.approx(np.mean(np.maximum(p / y, y / p) < 1.25), abs=2 / x.size)
