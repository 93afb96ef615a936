"""Several students in one process: each becomes what it becomes alone, and what they share is computed once."""

import json

import pytest
import torch

from dad.distill.labels import compute_labels
from dad.distill.shared import Shared
from dad.distill.train import Run, Training, train, train_together
from dad.errors import CollapseError, UserError
from dad.models.depth_anything import DepthAnything
from dad.study.cells import cell_id, label_id
from dad.study.config import AssistantConfig, LabelConfig


def different(cell, **labels):
    """Students of one label plan: three modes, an assistant, another network, other rates."""
    labels = cell.labels.model_copy(update=labels)
    cell = cell.model_copy(update={"labels": labels})
    guided = {"supervision": "select", "assistant": AssistantConfig(model="zoo/vit-small", share=0.5), "mode": "cross"}
    midas = {"model": "zoo/midas-large", "init": "encoder"}
    changes = (
        {},
        {"mode": "local-global", "normalization": "global"},
        {"mode": "cross", "normalization": "local"},
        guided,
        {"student": cell.student.model_copy(update=midas), "loss": cell.loss.model_copy(update={"feature": 0.0})},
        {"optim": cell.optim.model_copy(update={"head_rate": 1e-4, "checkpoint_every": 3})},
    )
    return [cell.model_copy(update=change) for change in changes]


def caches(cell, manifest, root):
    """Label caches of the teacher and the assistant, both views."""
    folders = {}
    for role, plan in cell.label_plans.items():
        folders[role] = root / label_id(plan)
        for view in ("square", "patches"):
            compute_labels(plan, manifest, view, folders[role] / view)
    return {"labels": folders["teacher"], "assistant_labels": folders.get("assistant")}


def runs(cells, root, **listeners):
    names = [cell_id(cell) for cell in cells]
    return [
        Run(cell, root / name, root / "work" / name, listeners.get(f"of_{number}", ()))
        for number, (cell, name) in enumerate(zip(cells, names, strict=True))
    ]


def results(root, cells):
    return {
        (cell_id(cell), file): (root / cell_id(cell) / file).read_bytes()
        for cell in cells
        for file in ("model.safetensors", "metrics.csv", "config.json")
    }


def alone(cells, manifest, root, places):
    for run in runs(cells, root):
        train(run.cell, manifest=manifest, out=run.out, work=run.work, **places)
    return results(root, cells)


NOWHERE = {"labels": None, "assistant_labels": None}


@pytest.mark.parametrize("mode", ["cached", "online"])
def test_each_student_becomes_what_it_becomes_alone(cell, manifest, tmp_path, mode):
    cells = different(cell, mode=mode)
    places = caches(cells[3], manifest, tmp_path / "labels") if mode == "cached" else NOWHERE
    before = alone(cells, manifest, tmp_path / "alone", places)
    train_together(runs(cells, tmp_path / "together"), manifest=manifest, **places)
    assert results(tmp_path / "together", cells) == before
    facts = [json.loads((run.out / "provenance.json").read_text()) for run in runs(cells, tmp_path / "together")]
    assert [one["students_together"] for one in facts] == [len(cells)] * len(cells)
    assert not any(run.work.exists() for run in runs(cells, tmp_path / "together"))


def counted(monkeypatch, trainings):
    """The crops that go through each network from now on, by what it is for."""
    seen = {}
    forward, encode = DepthAnything.forward, DepthAnything.encode

    def name_of(network):
        students = {id(training.network): f"student {number}" for number, training in enumerate(trainings)}
        return students.get(id(network), "read")

    def count(self, x, real, **options):
        seen[name_of(self), real.__name__] = seen.get((name_of(self), real.__name__), 0) + len(x)
        return real(self, x, **options)

    monkeypatch.setattr(DepthAnything, "forward", lambda self, x, **options: count(self, x, forward, **options))
    monkeypatch.setattr(DepthAnything, "encode", lambda self, x: count(self, x, encode))
    return seen


def test_teacher_and_frozen_encoder_run_once_for_all(cell, manifest, tmp_path, monkeypatch):
    from dad.distill.monitor import StepLog
    from dad.distill.train import fit_all

    cells = different(cell, mode="online")[:3]
    shared = Shared(manifest)
    trainings = [Training(one, manifest=manifest, labels=None, shared=shared) for one in cells]
    seen = counted(monkeypatch, trainings)
    works = [tmp_path / str(number) for number in range(3)]
    fit_all(trainings, works, [StepLog(work / "metrics.csv") for work in works])
    crops = cell.optim.steps * cell.optim.batch
    assert seen.pop(("read", "forward")) == crops * (1 + cell.crop.patches)
    assert seen.pop(("read", "encode")) == crops
    assert seen == {(f"student {number}", "forward"): crops for number in range(3)}


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_tokens_of_the_teachers_pass_are_the_frozen_encoders(cell, manifest, tmp_path, monkeypatch, precision):
    """A student that starts from its own teacher: its anchor costs no pass of its own, and its training is the same."""
    own = cell.model_copy(
        update={
            "student": cell.student.model_copy(update={"model": cell.teacher}),
            "labels": LabelConfig(mode="online", precision=precision),
        }
    )
    training = Training(own, manifest=manifest, labels=None)
    seen = counted(monkeypatch, [training])
    assert (
        training.frozen.encoder.network
        is training.shared.teacher(own.label_plans["teacher"], torch.device("cpu")).network
    )
    train(own, manifest=manifest, labels=None, out=tmp_path / "shared", work=tmp_path / "work")
    assert ("read", "encode") not in seen
    monkeypatch.setattr(Shared, "_is_teacher", lambda *_: False)
    train(own, manifest=manifest, labels=None, out=tmp_path / "apart", work=tmp_path / "work")
    assert seen["read", "encode"] == own.optim.steps * own.optim.batch
    for file in ("model.safetensors", "metrics.csv"):
        assert (tmp_path / "shared" / file).read_bytes() == (tmp_path / "apart" / file).read_bytes()


class Interrupted(Exception):
    pass


def stop(new_rows):
    if new_rows[-1]["step"] >= 3:
        raise Interrupted


def test_an_interrupted_group_goes_on_together_or_alone(cell, manifest, tmp_path):
    cells = different(cell, mode="online")[:3]
    before = alone(cells, manifest, tmp_path / "alone", NOWHERE)
    together = tmp_path / "together"
    with pytest.raises(Interrupted):
        train_together(runs(cells, together, of_1=(stop,)), manifest=manifest, **NOWHERE)
    # the first has its checkpoint of step 4, the others are at step 2
    steps = [torch.load(run.work / "last.pt", weights_only=True)["step"] for run in runs(cells, together)]
    assert steps == [4, 2, 2]
    last = runs(cells, together)[2]
    train(last.cell, manifest=manifest, labels=None, out=last.out, work=last.work)
    train_together(runs(cells[:2], together), manifest=manifest, **NOWHERE)
    assert results(together, cells) == before


def test_of_a_group_one_may_collapse_and_the_others_are_written(cell, manifest, tmp_path):
    cells = different(cell, mode="online")[:3]
    before = alone([cells[0], cells[2]], manifest, tmp_path / "alone", NOWHERE)

    def collapse(new_rows):
        raise CollapseError("as if", step=int(new_rows[-1]["step"]))

    together = runs(cells, tmp_path / "together", of_1=(collapse,))
    with pytest.raises(
        CollapseError, match=rf"{cell_id(cells[1])}: as if; see it again: dad train --replay .*collapse\.pt"
    ):
        train_together(together, manifest=manifest, **NOWHERE)
    assert results(tmp_path / "together", [cells[0], cells[2]]) == before
    assert not together[1].out.exists()
    assert (together[1].work / "collapse.pt").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed differ"),
        ({"teacher": "zoo/vit-small"}, "teacher differ"),
        ({"mode": "baseline"}, "context differ"),
        ({"labels": LabelConfig(mode="cached")}, "all cached, all online or all shared"),
        ({}, "named twice"),
    ],
)
def test_those_who_see_other_labels_are_refused(cell, manifest, tmp_path, change, message):
    one = cell.model_copy(update={"labels": LabelConfig(mode="online")})
    with pytest.raises(UserError, match=message):
        train_together(runs([one, one.model_copy(update=change)], tmp_path), manifest=manifest, **NOWHERE)
    assert list(tmp_path.iterdir()) == []
