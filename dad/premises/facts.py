"""The premises of a study as facts: numbers with intervals, and for each premise whether it holds."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from dad.distill.labels import crop_plan
from dad.models.estimator import load
from dad.premises.leak import leaks, square_labels
from dad.premises.patches import patch_rows
from dad.premises.shares import term_shares
from dad.premises.sources import pictures
from dad.study.cells import label_id
from dad.study.config import LabelPlan, StudyConfig

STRENGTHS = (0.05, 0.1, 0.2, 0.4)
"""Shares of the map that the leak's regions cover."""
RATIOS = (0.0, 0.4, 0.65, 0.9, 1.01)
"""Classes of patch side over square side."""
APART = 0.25
"""Frames lie apart where half of the patches' scales (the interquartile range) spread over more than this."""
METRICS = {"abs_rel": ("AbsRel", -1), "edge_abs_rel": ("AbsRel beside edges", -1), "boundary_f1": ("boundary F1", 1)}
"""Metric -> its name, and whether more is better."""


def gather(
    study: StudyConfig, *, count: int = 24, draws: int = 2, runs: Sequence[Path] = (), device: str = "cpu"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Measure a study's premises on `count` of its photos: the facts, and the patches' rows (`patch_rows`, with
    `model`).

    The facts are plain values: `study`, `photos`, `crop`, `groups`, `models` (teacher and assistant: local labels,
    frames), `leak`, `shares` of the given finished `runs`, and `premises`: a list of name, statement, finding and
    `holds` (true, false, or null where the interval includes no difference or nothing could be measured). Raises
    UserError as the study's own stages do.
    """
    photos = list(pictures(study, count))
    plan = LabelPlan(
        teacher=study.teacher,
        photos=study.photos,
        crop=study.crop,
        context="square",
        dtype=study.labels.dtype,
        seed=study.seeds[0],
        samples=len(photos) * draws,
        batch=1,
    )
    crops = crop_plan(plan)
    named = {"teacher": study.teacher} | ({"assistant": study.assistant.model} if study.assistant else {})
    rows, models, leaked = [], {}, {}
    for role, model in named.items():
        estimator = load(model, device=device, short_side=study.crop.size)
        of_model = patch_rows(estimator, photos, crops, draws)
        models[role] = {"model": model, **local_facts(of_model), "frames": frame_facts(of_model)}
        rows += [{"model": role, **row} for row in of_model]
        if role == "teacher":
            squares = {}
            for photo in photos:
                crop = crops.draw(photo.id, 0, photo.rgb.shape[1], photo.rgb.shape[0])
                squares[photo.id] = crops.views(photo.rgb, crop, patches=False).square
            how = {"groups": study.loss.groups, "variant": study.loss.variant}
            leaked = leaks(square_labels(estimator, squares), STRENGTHS, **how)
    facts = {
        "study": study.name,
        "labels": label_id(plan),
        "photos": {
            "count": len(photos),
            "with_depth": sum(photo.depth is not None for photo in photos),
            "draws": draws,
        },
        "crop": study.crop.model_dump(mode="json"),
        "groups": study.loss.groups,
        "models": models,
        "leak": {name: {s: interval(values) for s, values in of.items()} for name, of in leaked.items()},
        "shares": [term_shares(Path(run)) for run in runs],
    }
    return facts | {"premises": _premises(facts, leaked)}, rows


def interval(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean and 95 % interval (t) of independent numbers except NaN: `mean`, `low`, `high`, `n`; None if undefined."""
    found = np.asarray([value for value in values if np.isfinite(value)], float)
    if not len(found):
        return {"mean": None, "low": None, "high": None, "n": 0}
    mean = float(found.mean())
    if len(found) == 1:
        return {"mean": mean, "low": None, "high": None, "n": 1}
    half = float(stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": len(found)}


def by_photo(rows: list[dict[str, Any]], value: Any) -> list[float]:
    """The mean of `value(row)` of every photo's patches: patches of one photo are not independent."""
    found = defaultdict(list)
    for row in rows:
        if np.isfinite(one := value(row)):
            found[row["photo"]].append(one)
    return [float(np.mean(of)) for of in found.values()]


def local_facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per metric: both labels' means, the share of patches where the local one is better, and the paired gain, by
    photo; and the gain in AbsRel by class of `RATIOS`. Only counts where no patch has a truth.
    """
    scored = [row for row in rows if "local_abs_rel" in row]
    facts: dict[str, Any] = {
        "patches": len(rows),
        "scored": sum(bool(np.isfinite(row["local_abs_rel"])) for row in scored),
    }
    if not facts["scored"]:
        return facts
    for metric, (_, sign) in METRICS.items():
        local, cut = (np.array([row[f"{which}_{metric}"] for row in scored]) for which in ("local", "cut"))
        both = np.isfinite(local) & np.isfinite(cut)
        if not both.any():
            continue
        gains = by_photo(
            scored, lambda row, metric=metric, sign=sign: sign * (row[f"local_{metric}"] - row[f"cut_{metric}"])
        )
        facts[metric] = {
            "local": float(local[both].mean()),
            "cut": float(cut[both].mean()),
            "better": float((sign * (local - cut)[both] > 0).mean()),
            "gain": interval(gains),
        }
    facts["by_ratio"] = []
    for low, high in itertools.pairwise(RATIOS):
        of = [row for row in scored if low <= row["ratio"] < high and np.isfinite(row["local_abs_rel"])]
        if of:
            gain = interval(by_photo(of, lambda row: row["cut_abs_rel"] - row["local_abs_rel"]))
            better = float(np.mean([row["local_abs_rel"] < row["cut_abs_rel"] for row in of]))
            facts["by_ratio"].append(
                {"from": low, "to": min(high, 1.0), "patches": len(of), "better": better, "gain": gain}
            )
    return facts


def frame_facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Percentiles of the patches' scales and shifts."""
    facts = {}
    for name in ("scale", "shift"):
        values = np.array([row[name] for row in rows if np.isfinite(row[name])])
        if len(values):
            facts[name] = {f"p{p}": float(np.percentile(values, p)) for p in (5, 25, 50, 75, 95)}
    return facts


def _premises(facts: dict[str, Any], leaked: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    premises = []
    for role, of in facts["models"].items():
        for metric, (name, _) in METRICS.items():
            statement = f"The {role}'s label of a patch is better than its label of the square cut out there ({name})."
            found = of.get(metric)
            if found is None:
                premises.append(
                    _premise(f"local-{metric}-{role}", statement, "no photo has depth to compare with", None)
                )
                continue
            gain = found["gain"]
            both = f"{found['local']:.3f} against {found['cut']:.3f}"
            text = f"{both}; better in {found['better']:.0%} of patches; gain {_shown(gain)}"
            premises.append(_premise(f"local-{metric}-{role}", statement, text, _sign(gain)))
    scale = facts["models"]["teacher"]["frames"].get("scale")
    statement = f"The frames of patches lie apart: the middle half of their scales spreads over more than {APART}."
    if scale:
        half, most = (f"{scale[low]:.2f} to {scale[high]:.2f}" for low, high in (("p25", "p75"), ("p5", "p95")))
        text = f"scales {half} (middle half), {most} (nine tenths)"
        premises.append(_premise("frames", statement, text, scale["p75"] - scale["p25"] > APART))
    else:
        premises.append(_premise("frames", statement, "the labels are flat", None))
    for other in ("local", "hybrid"):
        statement = (
            f"An error of one region moves all other labels further under global normalization than under {other}."
        )
        differences = [a - b for a, b in zip(leaked["global"]["0.1"], leaked[other]["0.1"], strict=True)]
        found = interval(differences)
        means = [facts["leak"][name]["0.1"]["mean"] for name in ("global", other)]
        text = (
            f"a tenth of the map wrong by a factor of 2: {means[0]:.3f} against {means[1]:.3f}; difference "
            f"{_shown(found)}"
        )
        premises.append(_premise(f"leak-{other}", statement, text, _sign(found)))
    if facts["shares"]:
        ends = [
            sum(share for name, share in run["end"].items() if name in ("shared", "local_global"))
            for run in facts["shares"]
        ]
        statement = (
            "The distillation terms are at least half of the objective at the end: their normalization can matter."
        )
        text = f"{min(ends):.0%} to {max(ends):.0%} over {len(ends)} runs"
        premises.append(
            _premise("shares", statement, text, min(ends) >= 0.5 if max(ends) < 0.5 or min(ends) >= 0.5 else None)
        )
    return premises


def _premise(name: str, statement: str, finding: str, holds: bool | None) -> dict[str, Any]:
    return {"name": name, "statement": statement, "finding": finding, "holds": holds}


def _sign(found: dict[str, Any]) -> bool | None:
    """Whether an interval is above 0 (True) or below (False); None where it includes 0 or there is none."""
    if found["low"] is None:
        return None
    return True if found["low"] > 0 else False if found["high"] < 0 else None


def _shown(found: dict[str, Any]) -> str:
    """A mean with its interval."""
    if found["low"] is None:
        return "of one photo only, without an interval" if found["n"] else "not measured"
    return f"{found['mean']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], {found['n']} photos"
