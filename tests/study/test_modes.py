"""Modes, the terms of eq. 9 and normalizations as data: what each adds up, and that a new one needs one entry only."""

import subprocess
import sys

import pytest
import torch

from dad.study.changes import impossible
from dad.study.config import Cell, LossConfig
from dad.study.modes import MODES, TERMS, Mode, views, weights
from dad.study.normalizations import NORMALIZATIONS, Normalization

EQUATION_9 = {  # mode -> the context, the views with labels, and the terms with the paper's weights
    "baseline": ("center", ("square",), {"shared": 1, "feature": 1, "gradient": 2}),
    "shared": ("square", ("square",), {"shared": 1, "feature": 1, "gradient": 2}),
    "local-global": ("square", ("patches",), {"local_global": 0.5, "feature": 1, "gradient": 2}),
    "cross": ("square", ("square", "patches"), {"shared": 1, "local_global": 0.5, "feature": 1, "gradient": 2}),
}


@pytest.mark.parametrize("mode", EQUATION_9)
def test_modes_are_the_papers(mode):
    context, labelled, terms = EQUATION_9[mode]
    loss = LossConfig()
    assert (MODES[mode].context, views(mode, loss), weights(mode, loss)) == (context, labelled, terms)
    assert MODES[mode].gradient in labelled
    assert list(weights(mode, loss)) == [name for name in TERMS if name in terms]


def test_what_weighs_nothing_is_not_computed_and_needs_no_labels():
    loss = LossConfig(local_global=0, feature=0)
    assert weights("cross", loss) == {"shared": 1, "gradient": 2}
    assert views("cross", loss) == ("square",)
    assert views("local-global", loss) == ()


def test_a_new_mode_is_one_entry(cell, monkeypatch):
    """Local-global distillation on the central square, which the paper does not have."""
    monkeypatch.setitem(MODES, "central", Mode("center", ("local_global",), "patches"))
    central = cell.model_copy(update={"mode": "central"})
    plan = central.label_plans["teacher"]
    assert (plan.context, views(central.mode, central.loss)) == ("center", ("patches",))
    assert weights(central.mode, central.loss) == EQUATION_9["local-global"][2]
    none = central.model_copy(update={"loss": LossConfig(local_global=0)})
    assert impossible(none) == "central distillation with loss.local_global: 0 has no distillation term left"


def test_a_new_normalization_is_one_entry(monkeypatch):
    """Two and eight segments: the loss is the mean over both of the error within segments."""
    from dad.distill.losses import distillation_loss
    from dad.distill.normalization import group_index, normalise

    monkeypatch.setitem(NORMALIZATIONS, "fine", Normalization((2, 8)))
    draw = torch.Generator().manual_seed(0)
    prediction, target = torch.rand(2, 2, 1, 12, 12, generator=draw)
    groups = group_index(target, normalization="fine", variant="paper")
    assert groups.shape == (2, 2, 12, 12) and groups[:, 1].max() == 7 and torch.equal(groups[:, 0], groups[:, 1] // 4)
    maps = [normalise(one, target, normalization="fine", variant="paper") for one in (prediction, target)]
    loss = distillation_loss(prediction, target, normalization="fine", variant="paper")
    assert loss.item() == pytest.approx((maps[0] - maps[1]).abs().mean().item(), rel=1e-5)


def test_segments_that_are_not_nested_are_refused():
    with pytest.raises(AssertionError, match="not nested"):
        Normalization((2, 3))


def test_names_of_modes_and_normalizations_are_the_registries(cell):
    described = cell.model_dump(mode="json")
    for name in MODES:
        assert Cell.model_validate(described | {"mode": name}).mode == name
    for name in NORMALIZATIONS:
        assert Cell.model_validate(described | {"normalization": name}).normalization == name
    for key in ("mode", "normalization"):
        with pytest.raises(ValueError, match=f"{key}\n.*must be one of"):
            Cell.model_validate(described | {key: "other"})


def test_reading_a_study_imports_nothing_heavy():
    code = (
        "import sys; from dad.study.cells import load_study, all_cells; all_cells(load_study('config/mini.yaml')); "
        "print([name for name in ('torch', 'numpy', 'pandas', 'matplotlib', 'mlflow') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
