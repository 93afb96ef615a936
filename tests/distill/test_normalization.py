"""Contexts, radix selection and normalised maps against numpy, goldens of icoz69/HDN, and properties."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.distill.normalization import group_index, normalise
from dad.distill.selection import by_radix, of_ranks, of_ranks_by_radix, runs, select
from dad.errors import UserError

GOLDENS = Path(__file__).parents[1] / "goldens" / "losses"
HDN = sorted(GOLDENS.glob("hdn_*.npz"))


def maps(seed: int, batch: int = 2, height: int = 9, width: int = 13, valid: float = 0.8, step: float = 0.0):
    """A random target and mask; with `step` the values are rounded to it, so that ties and flat contexts occur."""
    rng = np.random.default_rng(seed)
    target = rng.normal(2.0, 1.0, (batch, 1, height, width)).astype(np.float32)
    if step:
        target = (np.round(target / step) * step).astype(np.float32)
    return torch.from_numpy(target), torch.from_numpy(rng.random(target.shape) < valid)


def numpy_contexts(target, mask, groups, variant, level):
    """One image's contexts at one level as a list of boolean masks: the definition, written once more without torch."""
    values = target[mask]
    if groups == "spatial":
        (height, width), found = target.shape, []
        for i in range(level):
            for j in range(level):
                tile = np.zeros_like(mask)
                tile[i * height // level : (i + 1) * height // level, j * width // level : (j + 1) * width // level] = 1
                found.append(tile & mask)
        return found
    if groups == "range":
        low, high = values.min(), values.max()
        edges = [np.float32(low + (high - low) * np.float32(i) / np.float32(level)) for i in range(level + 1)]
    else:
        edges = list(np.quantile(values, np.arange(level + 1, dtype=np.float32) / np.float32(level)))
    found = [mask & (target >= edges[i]) & (target < edges[i + 1]) for i in range(level)]
    if variant == "paper":
        found[-1] = mask & (target >= edges[-2])
    return found


@pytest.mark.parametrize("path", HDN, ids=lambda path: path.stem)
@pytest.mark.parametrize(("kind", "groups"), [("dr", "range"), ("dp", "percentile"), ("ds", "spatial")])
def test_contexts_equal_upstreams_masks(path, kind, groups):
    case = np.load(path)
    assert json.loads(str(case["meta"]))["upstream"].startswith("icoz69/HDN@")
    shape = tuple(case[f"ctx_{kind}_shape"])
    upstream = np.unpackbits(case[f"ctx_{kind}_packed"], count=int(np.prod(shape))).reshape(shape).astype(bool)
    upstream = upstream.reshape(shape[0], *case["gt"].shape)
    index = group_index(torch.from_numpy(case["gt"]), torch.from_numpy(case["mask"]), groups=groups).numpy()
    ours = []
    for number, level in reversed(list(enumerate((1, 2, 4)))):
        ours += [index[:, number] == c for c in range(level**2 if groups == "spatial" else level)]
    np.testing.assert_array_equal(np.stack(ours)[:, :, None], upstream)


@pytest.mark.parametrize("variant", ["hdn", "paper"])
@pytest.mark.parametrize("groups", ["range", "percentile", "spatial"])
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_contexts_equal_numpy(groups, variant, step):
    target, mask = maps(3, step=step)
    index = group_index(target, mask, groups=groups, variant=variant).numpy()
    for image in range(len(target)):
        for number, level in enumerate((1, 2, 4)):
            contexts = numpy_contexts(target[image, 0].numpy(), mask[image, 0].numpy(), groups, variant, level)
            for context, expected in enumerate(contexts):
                np.testing.assert_array_equal(index[image, number] == context, expected)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    groups=st.sampled_from(["range", "percentile", "spatial"]),
    step=st.sampled_from([0.0, 0.5, 100.0]),
    valid=st.sampled_from([0.0, 0.02, 0.7, 1.0]),
)
def test_paper_partitions_the_valid_pixels(seed, groups, step, valid):
    target, mask = maps(seed, valid=valid, step=step)
    index = group_index(target, mask, groups=groups, variant="paper")
    assert index.shape == (2, 3, 9, 13)
    for number, level in enumerate((1, 2, 4)):
        assert torch.equal(index[:, number] >= 0, mask[:, 0])
        assert index[:, number].max() < (level**2 if groups == "spatial" else level)
    if groups != "spatial":  # nested, hence one mean over levels
        assert torch.equal(index[:, 0], torch.where(mask[:, 0], 0, -1))
        assert torch.equal(index[:, 1], torch.where(mask[:, 0], index[:, 2] // 2, -1))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), groups=st.sampled_from(["range", "percentile"]))
def test_hdn_leaves_out_only_the_maximum(seed, groups):
    # eighths: the edges and the top are exact in float32, so the top segment really ends at the maximum
    target, mask = maps(seed, step=0.125)
    index = group_index(target, mask, groups=groups, variant="hdn")
    top = torch.where(mask, target, -torch.inf).amax((1, 2, 3), keepdim=True)
    expected = mask & (target < top)
    for number in range(3):
        assert torch.equal(index[:, number] >= 0, expected[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pixels", [50, 40000])  # either number of bits per pass
@pytest.mark.parametrize("select", [select, by_radix])  # a CPU's way, a GPU's
def test_selection_equals_sorting(dtype, pixels, select):
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3, pixels, generator=generator, dtype=dtype) * 10.0 ** torch.randint(
        -20, 20, (3, pixels), generator=generator
    )
    values[:, ::7] = 0.0
    values[1] = values[1].round()
    group = torch.randint(0, 3, (3, pixels), generator=generator)
    contexts = torch.tensor([[0, 1, 2], [3, 3, 4], [5, 5, 5]])  # every group; two groups joined; all
    members = [(0,), (1,), (2,), (0, 1), (2,), (0, 1, 2)]
    for share in (0.0, 0.3, 0.999):
        sizes = torch.stack([torch.isin(group, torch.tensor(each)).sum(1) for each in members], 1)
        ranks = ((sizes - 1) * share).long()
        places = select(values, group, contexts, ranks)
        for row in range(3):
            for context, each in enumerate(members):
                chosen = torch.isin(group[row], torch.tensor(each))
                expected = values[row][chosen].sort().values[ranks[row, context]]
                place = places[row, context]
                assert values[row, place] == expected and chosen[place]
                if expected:  # zeros have two signs
                    assert place == (chosen & (values[row] == expected)).nonzero()[0]


@pytest.mark.parametrize("select", [select, by_radix])
def test_what_there_is_nothing_to_select_from_gives_the_first_pixel(select):
    values = torch.tensor([[3.0, 1.0, 2.0, torch.nan], [4.0, 5.0, 6.0, 7.0]])
    group = torch.tensor([[0, 0, 0, 2], [1, 1, 1, 1]])
    contexts = torch.tensor([[0, 1, 2]])
    places = select(values, group, contexts, torch.tensor([[1, 0, 0], [0, 3, 0]]))
    assert places[:, :2].tolist() == [[2, 0], [0, 3]]


@pytest.mark.parametrize("of_ranks", [of_ranks, of_ranks_by_radix])
@pytest.mark.parametrize("step", [0.0, 0.5])
def test_values_of_ranks_equal_sorting(of_ranks, step):
    target, mask = maps(8, batch=3, step=step)
    values, valid = target.flatten(1), mask.flatten(1)
    valid[2] = False
    last = valid.sum(1, keepdim=True).clamp(min=1) - 1
    ranks = (torch.tensor([[0.0, 0.25, 0.26, 0.5, 1.0, 1.0]]) * last).long()
    found = of_ranks(values, valid, ranks)
    for row in range(2):
        assert torch.equal(found[row], values[row][valid[row]].sort().values[ranks[row]])
    assert found.isfinite().all()


def test_every_context_is_one_piece_and_groups_beyond_are_left_out():
    group = np.random.default_rng(0).integers(0, 17, 500)
    tiles = np.arange(16)
    contexts = [[0] * 16, (tiles // 8 * 2 + tiles % 4 // 2).tolist(), tiles.tolist()]  # a square, its quarters, theirs
    pixels, layers = runs(group, contexts)
    assert sorted(pixels) == np.flatnonzero(group < 16).tolist()
    for layer, pieces in zip(contexts, layers, strict=True):
        assert set(pieces) == set(layer)
        for context, piece in pieces.items():
            expected = np.flatnonzero(np.isin(group, np.flatnonzero(np.array(layer) == context)))
            assert sorted(pixels[piece]) == expected.tolist()


@pytest.mark.parametrize("variant", ["hdn", "paper"])
@pytest.mark.parametrize("groups", ["range", "percentile", "spatial"])
def test_normalised_map_has_median_zero_and_deviation_one(groups, variant):
    target, mask = maps(11, height=24, width=24)
    normalised = normalise(target, None, mask, groups=groups, variant=variant)
    index = group_index(target, mask, groups=groups, variant=variant)
    assert normalised.shape == index.shape
    assert (normalised[index < 0] == 0).all()
    for image in range(2):
        for number in range(3):
            for context in range(int(index[image, number].max()) + 1):
                inside = normalised[image, number][index[image, number] == context]
                assert inside.median() == 0  # torch's is the lower median
                count = len(inside)
                expected = 1.0 if variant == "paper" else (count + 1) / count
                assert inside.abs().mean().item() == pytest.approx(expected, rel=2e-4)


def test_the_contexts_of_a_map_can_come_from_another():
    target, mask = maps(1)
    other = torch.randn(target.shape, generator=torch.Generator().manual_seed(2))
    assert torch.equal(normalise(target, target, mask), normalise(target, None, mask))
    assert not torch.allclose(normalise(other, target, mask), normalise(other, None, mask))


def test_mistakes_are_named():
    target, mask = maps(1)
    with pytest.raises(UserError, match="groups 'depth'.*range, percentile, spatial"):
        group_index(target, mask, groups="depth")
    with pytest.raises(UserError, match="'none' has no contexts"):
        normalise(target, None, mask, normalization="none")
    with pytest.raises(UserError, match="must be boolean"):
        group_index(target, mask.float())
    with pytest.raises(UserError, match=r"\(B,1,H,W\)"):
        group_index(target[:, 0], mask[:, 0])
