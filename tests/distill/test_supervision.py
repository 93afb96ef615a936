"""Two teachers: who supervises which step, what their mean is, and what a student of both leaves behind."""

import csv
import json
import math
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dad.distill.labels import compute_labels
from dad.distill.supervision import assistant_turn, average_labels
from dad.distill.train import train
from dad.errors import UserError
from dad.study.cells import cell_id, label_id, label_views
from dad.study.config import AssistantConfig, Cell, NoiseConfig


def guided(cell, supervision, **changes):
    assistant = AssistantConfig(model="zoo/vit-small", **changes)
    return cell.model_copy(update={"supervision": supervision, "assistant": assistant, "mode": "cross"})


def run(cell, manifest, root):
    folders = {}
    for role, plan in cell.label_plans.items():
        folders[role] = root / label_id(plan)
        for view in label_views(cell):
            compute_labels(plan, manifest, view, folders[role] / view)
    out = root / cell_id(cell)
    options = {"labels": folders["teacher"], "assistant_labels": folders.get("assistant")}
    train(cell, manifest=manifest, out=out, work=root / f"work-{cell_id(cell)}", **options)
    with open(out / "metrics.csv") as file:
        return json.loads((out / "provenance.json").read_text()), list(csv.DictReader(file))


def test_the_draw_has_the_stated_share():
    turns = [assistant_turn(0, step, 0.3) for step in range(20_000)]
    # five standard deviations of a binomial share
    assert abs(np.mean(turns) - 0.3) < 5 * math.sqrt(0.3 * 0.7 / len(turns))
    assert turns[:50] != [assistant_turn(1, step, 0.3) for step in range(50)]


@given(st.integers(0, 2**31), st.integers(0, 10**6))
def test_a_larger_share_only_adds_turns(seed, step):
    assert assistant_turn(seed, step, 0.2) <= assistant_turn(seed, step, 0.7)


def test_the_mean_of_a_map_and_its_affine_copy_is_the_map():
    teacher = torch.rand(2, 3, 1, 9, 9, generator=torch.Generator().manual_seed(0)) + 1
    label, mask = average_labels(teacher, 5 * teacher - 2, 1.0)
    assert torch.allclose(label, teacher, atol=1e-5)
    assert mask.all()


def test_the_mean_against_numpy_and_where_it_is_trusted():
    rng = np.random.default_rng(0)
    teacher, assistant = rng.gamma(2, 1, (2, 1, 8, 9)), rng.gamma(2, 1, (2, 1, 8, 9))
    label, mask = average_labels(torch.tensor(teacher), torch.tensor(assistant), 0.8)
    for index in range(2):
        normal, frames = [], []
        for values in (teacher[index], assistant[index]):
            middle = np.sort(values.ravel())[(values.size - 1) // 2]
            spread = np.abs(values - middle).mean()
            normal.append((values - middle) / spread)
            frames.append((middle, spread))
        expected = (normal[0] + normal[1]) / 2 * frames[0][1] + frames[0][0]
        assert np.allclose(label[index], expected, atol=1e-5)
        assert (mask[index].numpy() == (np.abs(normal[0] - normal[1]) <= 0.8)).all()
    assert average_labels(torch.tensor(teacher), torch.tensor(assistant), None)[1].all()


def test_a_flat_map_averages_to_finite_numbers():
    label, mask = average_labels(torch.full((1, 1, 4, 4), 3.0), torch.rand(1, 1, 4, 4), 1.0)
    assert torch.isfinite(label).all()
    assert mask.any()


def test_selection_is_logged_step_by_step(cell, manifest, tmp_path):
    chosen = guided(cell, "select", share=0.5)
    facts, log = run(chosen, manifest, tmp_path)
    turns = [float(row["assistant_turn"]) for row in log]
    assert turns == [float(assistant_turn(chosen.seed, step, 0.5)) for step in range(chosen.optim.steps)]
    assert facts["assistant_share"] == pytest.approx(np.mean(turns))
    for row, turn in zip(log, turns, strict=True):
        mine, other = ("loss_by_assistant", "loss_by_teacher") if turn else ("loss_by_teacher", "loss_by_assistant")
        assert float(row[mine]) == pytest.approx(float(row["loss"]), rel=1e-5)
        assert math.isnan(float(row[other]))


def test_online_labels_give_the_same_training_with_an_assistant(cell, manifest, tmp_path):
    for supervision in ("select", "average"):
        cached = guided(cell, supervision, share=0.5)
        online = cached.model_copy(update={"labels": cached.labels.model_copy(update={"mode": "online"})})
        _, first = run(cached, manifest, tmp_path)
        _, second = run(online, manifest, tmp_path / "online")
        assert first == second


def test_an_average_trains_on_what_both_teachers_say(cell, manifest, tmp_path):
    _, average = run(guided(cell, "average"), manifest, tmp_path)
    _, alone = run(cell.model_copy(update={"mode": "cross"}), manifest, tmp_path)
    assert average[0]["loss"] != alone[0]["loss"]
    assert "assistant_turn" not in average[0]


def test_a_cell_has_an_assistant_exactly_where_it_needs_one(cell):
    with pytest.raises(ValueError, match="needs an assistant"):
        Cell.model_validate(cell.model_dump() | {"supervision": "select"})
    with pytest.raises(ValueError, match="has no assistant"):
        Cell.model_validate(cell.model_dump() | {"assistant": {"model": "zoo/vit-small"}})


def test_a_missing_cache_is_named(cell, manifest, tmp_path):
    chosen = guided(cell, "select")
    for view in label_views(chosen):
        compute_labels(chosen.label_plans["teacher"], manifest, view, tmp_path / "labels" / view)
    with pytest.raises(UserError, match="the assistant's label cache"):
        train(chosen, manifest=manifest, labels=tmp_path / "labels", out=tmp_path / "run", work=tmp_path / "work")
    assert not (tmp_path / "run").exists()


def test_weights_fall_with_the_distance_of_the_two_maps():
    teacher = torch.tensor([[0.0, 1.0], [2.0, 5.0]])[None, None].repeat(1, 1, 3, 3)
    generator = torch.Generator().manual_seed(1)
    assistant = teacher * 3 + 1 + torch.randn(teacher.shape, generator=generator)
    label, weight = average_labels(teacher, assistant, 0.5, "weights")
    same, _ = average_labels(teacher, assistant, 0.5, "cut")
    assert torch.equal(label, same)  # the mean is the same, only how much each pixel counts is not
    frames = []
    for values in (teacher.numpy().ravel(), assistant.numpy().ravel()):
        median = np.sort(values)[(len(values) - 1) // 2]
        frames.append((values - median) / np.abs(values - median).mean())
    assert weight.numpy().ravel() == pytest.approx(np.exp(-np.abs(frames[0] - frames[1]) / 0.5), rel=1e-4)
    assert average_labels(teacher, 2 * teacher - 7, 0.5, "weights")[1].min() == pytest.approx(
        1, abs=1e-5
    )  # full agreement


def test_weights_need_a_distance():
    with pytest.raises(ValueError, match="1/e"):
        AssistantConfig(model="zoo/vit-small", averaging="weights", agreement=None)


def test_the_way_of_averaging_is_in_the_id_only_where_it_is_not_the_old_one(cell):
    old, new = (guided(cell, "average", averaging=averaging) for averaging in ("cut", "weights"))
    assert cell_id(old) == cell_id(guided(cell, "average"))
    assert cell_id(new) != cell_id(old)


def test_weighted_averages_and_noise_train_like_anything_else(cell, manifest, tmp_path):
    plain = guided(cell, "average", averaging="weights", agreement=0.5)
    noisy = plain.model_copy(
        update={"labels": plain.labels.model_copy(update={"noise": NoiseConfig(kind="frame", strength=0.5)})}
    )
    losses = {}
    for name, one in (("cut", guided(cell, "average", agreement=0.5)), ("weights", plain), ("noise", noisy)):
        _, log = run(one, manifest, tmp_path / name)
        losses[name] = [float(row["loss"]) for row in log]
        assert all(math.isfinite(loss) for loss in losses[name])
    assert losses["cut"][0] != losses["weights"][0] != losses["noise"][0]
    online = noisy.model_copy(update={"labels": noisy.labels.model_copy(update={"mode": "online"})})
    train(online, manifest=manifest, labels=None, out=tmp_path / "online", work=tmp_path / "work")
    with open(tmp_path / "online" / "metrics.csv") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == losses["noise"]


@pytest.mark.parametrize(
    "there", [(), ("teacher/square",), ("teacher/patches", "assistant/square", "assistant/patches")]
)
def test_shared_labels_are_the_same_training_whatever_of_them_is_stored(cell, manifest, tmp_path, there):
    """Bit for bit, and the record says what was read."""
    cached = guided(cell, "average")
    run(cached, manifest, tmp_path)
    shared = cached.model_copy(update={"labels": cached.labels.model_copy(update={"mode": "shared"})})
    folders = {}
    for role, plan in cached.label_plans.items():
        for view in label_views(cached):
            if f"{role}/{view}" in there:
                folders[role] = tmp_path / "some" / label_id(plan)
                shutil.copytree(tmp_path / label_id(plan) / view, folders[role] / view)
    out = tmp_path / "shared"
    options = {"labels": folders.get("teacher"), "assistant_labels": folders.get("assistant")}
    train(shared, manifest=manifest, out=out, work=tmp_path / "work", **options)
    for file in ("model.safetensors", "metrics.csv"):
        assert (out / file).read_bytes() == (tmp_path / cell_id(cached) / file).read_bytes()
    stored = json.loads((out / "provenance.json").read_text())["labels_stored"]
    assert {f"{role}/{view}" for role, views in stored.items() for view in views} == set(there)


def test_a_training_on_shared_labels_goes_on_when_they_are_stored_in_between(cell, manifest, tmp_path):
    shared = cell.model_copy(update={"labels": cell.labels.model_copy(update={"mode": "shared"})})
    train(shared, manifest=manifest, labels=None, out=tmp_path / "whole", work=tmp_path / "work-whole")

    def stop(rows):
        if rows[-1]["step"] >= 3:
            raise KeyboardInterrupt

    options = {"manifest": manifest, "out": tmp_path / "run", "work": tmp_path / "work"}
    with pytest.raises(KeyboardInterrupt):
        train(shared, labels=None, listeners=(stop,), **options)
    (plan,) = shared.label_plans.values()
    for view in label_views(shared):
        compute_labels(plan, manifest, view, tmp_path / "labels" / view)
    train(shared, labels=tmp_path / "labels", **options)
    facts = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert facts["segments"][-1]["from"] > 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()
