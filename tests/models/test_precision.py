"""Networks that are only read, in half precision: what is computed in it, what is not, how far the maps are apart."""

import pytest
import torch
from torch import nn

from dad.distill.features import frozen_encoder
from dad.distill.labels import label_view, load_teacher
from dad.errors import UserError
from dad.models.estimator import load
from dad.study.base import identity
from dad.study.cells import cell_id, label_id
from dad.study.config import LabelConfig

MODELS = ("zoo/vit-large", "zoo/midas-large", "zoo/midas-small", "zoo/genpercept")


def pictures(size=128, count=2):
    rows = torch.linspace(0, 3, size)
    waves = torch.sin(rows[:, None] * torch.arange(1, 4)[:, None, None] + rows)
    noise = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))
    return (0.25 * waves + 0.5 + 0.2 * noise).clip(0, 1)


def products(network, call):
    """The types every linear layer and convolution gave during a call, and those the last convolution was given."""
    given, taken = {}, []
    for name, part in network.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            part.register_forward_hook(lambda _, inputs, output, name=name: given.update({name: output.dtype}))
            if part.bias is network.last_bias:
                part.register_forward_hook(lambda _, inputs, output, name=name: taken.append((name, output.dtype)))
    call()
    return given, taken


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("precision", "expected"), [("no", torch.float32), ("bf16", torch.bfloat16)])
def test_every_product_but_the_last_is_in_the_precision_asked_for(model, precision, expected):
    estimator = load(model, short_side=64, precision=precision)
    maps = []
    given, last = products(estimator.network, lambda: maps.append(estimator(pictures(64))))
    (name, dtype) = last[0]
    assert dtype == torch.float32
    assert {kind for part, kind in given.items() if part != name} == {expected}
    assert maps[0].dtype == torch.float32


@pytest.mark.parametrize("model", MODELS)
def test_maps_of_both_precisions_agree(model):
    """To a hundredth of a map's own spread: the labels' noise from the teacher's precision, and no staircase."""
    rgb = pictures()
    full, half = (load(model, short_side=128, precision=precision)(rgb) for precision in ("no", "bf16"))
    spread = (full - full.flatten(1).median(1).values[:, None, None, None]).abs().mean((1, 2, 3))
    apart = (full - half).abs().mean((1, 2, 3)) / spread
    print(model, apart.tolist())
    assert 0 < apart.max() < 0.03
    # rounded to bfloat16, a map would have few different values
    assert len(half[0].unique()) > 0.5 * len(full[0].unique())


def test_the_frozen_encoder_follows_and_its_tokens_agree(cell):
    tokens = {}
    for precision in ("no", "bf16"):
        encoder = frozen_encoder(cell.model_copy(update={"labels": LabelConfig(precision=precision)}))
        seen = []
        for part in encoder.modules():
            if isinstance(part, nn.Linear):
                part.register_forward_hook(lambda _, inputs, output, seen=seen: seen.append(output.dtype))
        with torch.no_grad():
            tokens[precision] = encoder(pictures(48))
        assert set(seen) == {torch.float32 if precision == "no" else torch.bfloat16}
        assert tokens[precision].dtype == torch.float32
    assert torch.cosine_similarity(tokens["no"], tokens["bf16"], dim=-1).min() > 0.99


def test_precision_is_part_of_what_labels_and_students_are(cell):
    half = cell.model_copy(update={"labels": LabelConfig(precision="bf16")})
    assert label_id(half.label_plans["teacher"]) != label_id(cell.label_plans["teacher"])
    assert cell_id(half) != cell_id(cell)
    assert not {"precision", "chunk"} & (identity(cell)["labels"].keys() | identity(cell.label_plans["teacher"]).keys())


def test_what_runs_in_its_own_way_is_refused(tmp_path, monkeypatch):
    own = (
        "class Flat:\n    name, kind, patch = 'flat', 'disparity', 1\n    def __call__(self, rgb):\n        return "
        "rgb[:, :1]\n"
    )
    (tmp_path / "own_teacher.py").write_text(own)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"labels\.precision must be no"):
        load("own_teacher:Flat", precision="bf16")


def test_a_batch_in_chunks_gives_the_same_labels(cell):
    """To float32's rounding: other batches may be summed in another order."""
    plan = cell.label_plans["teacher"]
    teacher = load_teacher(plan, "cpu")
    patches = pictures(48, 6).unflatten(0, (2, 3))
    batch, seen = {"patches": patches, "photo_id": ["a", "b"]}, []
    whole = label_view(teacher, batch, "patches", torch.float32)
    teacher.network.register_forward_hook(lambda _, inputs, output: seen.append(len(output)))
    parts = label_view(teacher, batch, "patches", torch.float32, chunk=4)
    assert seen == [4, 2]
    assert parts.shape == whole.shape == (2, 3, 1, 48, 48)
    assert torch.allclose(parts, whole, rtol=1e-4, atol=1e-5)
