"""Training: labels from the cache or online, interruption and resumption, distinct cells, outputs whole or absent."""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch.nn import functional

from dad.distill.heads import Orientation, cure_dead_head, make_student, mirror_head
from dad.distill.labels import LabelCache, compute_labels, training_photos
from dad.distill.loop import rate_factor
from dad.distill.monitor import agreement
from dad.distill.replay import replay
from dad.distill.train import cell_loss, train
from dad.errors import CollapseError, UserError
from dad.models.checkpoints import load_network, read_header
from dad.study.cells import cell_id, label_views


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def run(cell, manifest, root, name, *, labels=None, **options):
    if labels is None and cell.labels.mode == "cached":
        labels = root / "labels" / cell.mode
        for view in label_views(cell):
            compute_labels(cell.label_plans["teacher"], manifest, view, labels / view)
    train(cell, manifest=manifest, labels=labels, out=root / name, work=root / f"work-{name}", **options)
    return root / name


def with_values(cell, **changes):
    return cell.model_copy(update=changes)


@pytest.mark.parametrize("mode", ["baseline", "shared", "local-global", "cross"])
def test_cached_and_online_labels_give_the_same_training(cell, manifest, tmp_path, mode):
    cached = with_values(cell, mode=mode)
    online = with_values(cached, labels=cached.labels.model_copy(update={"mode": "online"}))
    one, two = run(cached, manifest, tmp_path, "cached"), run(online, manifest, tmp_path, "online")
    first, second = (
        [{key: value for key, value in row.items() if key != "wall"} for row in rows(folder / "metrics.csv")]
        for folder in (one, two)
    )
    assert len(first) == cell.optim.steps
    assert first == second
    expected = {"shared": {"loss_shared"}, "baseline": {"loss_shared"}, "local-global": {"loss_local_global"}}
    terms = {key for key in first[0] if key.startswith("loss_")}
    assert terms == expected.get(mode, {"loss_shared", "loss_local_global"}) | {"loss_gradient", "loss_feature"}


def test_outputs_and_provenance(cell, manifest, tmp_path):
    out = run(cell, manifest, tmp_path, "run")
    assert json.loads((out / "config.json").read_text()) == cell.model_dump(mode="json")
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["cell"] == cell_id(cell)
    assert facts["photos_used"] == 15
    assert facts["photos_too_small"] == 0
    assert not (tmp_path / "work-run").exists()
    header = read_header(out / "model.safetensors")
    assert header.input_size == cell.crop.size
    network, _ = load_network(out)
    start = make_student(cell.student, seed=cell.seed)
    moved = [name for name, value in network.state_dict().items() if not torch.equal(value, start.state_dict()[name])]
    assert any(name.startswith("pretrained.") for name in moved)
    assert any(name.startswith("depth_head.") for name in moved)


@pytest.fixture
def other_precisions():
    """accelerate allows a process one precision."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.mark.usefixtures("other_precisions")
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_in_half_precision_students_train_with_plain_attention(cell, manifest, tmp_path, monkeypatch, precision):
    """On the CPU with few tokens; what is only read keeps torch's fused kernel, so that labels are what they were."""
    seen, real = set(), functional.scaled_dot_product_attention

    def noted(*arguments, **options):
        seen.add(torch.is_grad_enabled())
        return real(*arguments, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", noted)
    run(with_values(cell, optim=cell.optim.model_copy(update={"precision": precision})), manifest, tmp_path, "run")
    assert seen == ({False} if precision == "bf16" else {False, True})


def test_each_cell_is_another_training(cell, manifest, tmp_path):
    """Same crops and labels, other loss: the first step's prediction is equal, the final weights differ."""
    weights = {}
    for normalization in ("global", "hybrid", "local", "none"):
        out = run(with_values(cell, normalization=normalization), manifest, tmp_path, normalization)
        weights[normalization] = load_file(out / "model.safetensors")
    medians = {rows(tmp_path / name / "metrics.csv")[0]["output_median"] for name in weights}
    assert len(medians) == 1
    key = "depth_head.scratch.output_conv1.weight"
    for one in weights:
        for two in weights:
            assert (one == two) == torch.equal(weights[one][key], weights[two][key])


def test_interrupted_training_resumes_bit_for_bit(cell, manifest, tmp_path):
    class Interrupted(Exception):
        pass

    def stop_late(new_rows):
        if new_rows[-1]["step"] >= 3:
            raise Interrupted

    undisturbed = run(cell, manifest, tmp_path, "whole")
    labels = tmp_path / "labels" / cell.mode
    with pytest.raises(Interrupted):
        run(cell, manifest, tmp_path, "broken", labels=labels, listeners=(stop_late,))
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / "work-broken" / "last.pt").exists()
    resumed = run(cell, manifest, tmp_path, "broken", labels=labels)
    one, two = load_file(undisturbed / "model.safetensors"), load_file(resumed / "model.safetensors")
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert rows(undisturbed / "metrics.csv") == rows(resumed / "metrics.csv")


def test_a_killed_process_resumes_to_the_same_weights(cell, manifest, tmp_path):
    longer = with_values(cell, optim=cell.optim.model_copy(update={"steps": 12}))
    whole = run(longer, manifest, tmp_path, "whole")
    config = tmp_path / "cell.json"
    config.write_text(json.dumps(longer.model_dump(mode="json")))
    out, work = tmp_path / "killed", tmp_path / "work"
    command = [sys.executable, "-m", "dad", "train", "--cell", config, "--manifest", manifest]
    command += ["--labels", tmp_path / "labels" / cell.mode, "--out", out, "--work", work]
    process = subprocess.Popen(
        list(map(str, command)), env=os.environ | {"OMP_NUM_THREADS": "1"}, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (work / "last.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (out / "provenance.json").exists()
        subprocess.run(
            list(map(str, command)), check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True
        )
    one, two = load_file(whole / "model.safetensors"), load_file(out / "model.safetensors")
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_asked_to_end_a_training_keeps_its_last_step_and_goes_on_from_there(cell, manifest, tmp_path):
    # no checkpoint would be due before the end
    longer = with_values(cell, optim=cell.optim.model_copy(update={"steps": 60, "checkpoint_every": 1000}))
    whole = run(longer, manifest, tmp_path, "whole")
    config = tmp_path / "cell.json"
    config.write_text(json.dumps(longer.model_dump(mode="json")))
    out, work = tmp_path / "ended", tmp_path / "work"
    command = [sys.executable, "-m", "dad", "train", "--cell", config, "--manifest", manifest]
    command += ["--labels", tmp_path / "labels" / cell.mode, "--out", out, "--work", work]
    how = {"env": os.environ | {"OMP_NUM_THREADS": "1"}, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(list(map(str, command)), **how) as process:
        for line in process.stderr:
            if line.startswith("step "):
                break
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert process.returncode == 143, said
    kept = torch.load(work / "last.pt", weights_only=True)["step"]
    assert f"after step {kept}, which is kept" in said
    assert 0 < kept < 60
    assert not out.exists()
    subprocess.run(list(map(str, command)), check=True, **how)
    one, two = load_file(whole / "model.safetensors"), load_file(out / "model.safetensors")
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert rows(whole / "metrics.csv") == rows(out / "metrics.csv")
    assert [segment["from"] for segment in json.loads((out / "provenance.json").read_text())["segments"]] == [0, kept]


def test_another_configs_checkpoint_is_refused(cell, manifest, tmp_path):
    def stop(new_rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cell, manifest, tmp_path, "run", listeners=(lambda new: stop(new) if new[-1]["step"] >= 3 else None,))
    with pytest.raises(UserError, match="belongs to another configuration"):
        run(with_values(cell, normalization="none"), manifest, tmp_path, "run", labels=tmp_path / "labels" / cell.mode)


def test_labels_of_another_plan_or_other_photos_are_refused(cell, manifest, tmp_path):
    compute_labels(cell.label_plans["teacher"], manifest, "square", tmp_path / "square")
    photos, _ = training_photos(cell.label_plans["teacher"], manifest)
    other = cell.label_plans["teacher"].model_copy(update={"seed": 1})
    with pytest.raises(UserError, match="another plan"):
        LabelCache(tmp_path / "square", other, photos)
    with pytest.raises(UserError, match="other photos"):
        LabelCache(tmp_path / "square", cell.label_plans["teacher"], photos.subset(3))
    with pytest.raises(UserError, match="another plan"):
        compute_labels(other, manifest, "square", tmp_path / "square")


def test_labels_resume_without_recomputing(cell, manifest, tmp_path, monkeypatch):
    from dad.distill import labels as module

    monkeypatch.setattr(module, "SHARD", 4)
    compute_labels(cell.label_plans["teacher"], manifest, "square", tmp_path)
    files = sorted(tmp_path.glob("shard-*"))
    assert len(files) == 3
    before = {file.name: file.read_bytes() for file in files}
    kept = files[0].stat().st_mtime_ns
    files[1].unlink()
    (tmp_path / "index.json").unlink()
    compute_labels(cell.label_plans["teacher"], manifest, "square", tmp_path)
    assert {file.name: file.read_bytes() for file in sorted(tmp_path.glob("shard-*"))} == before
    assert files[0].stat().st_mtime_ns == kept


def test_loss_of_a_perfect_student_is_its_feature_term(cell, manifest):
    """A student that equals its labels has no distillation and no gradient loss left."""
    cell = with_values(cell, loss=cell.loss.model_copy(update={"feature": 0.0}))
    network, _ = load_network("zoo/vit-small")
    square = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        labels = network(network.normalise(square))
    for normalization in ("global", "hybrid", "local", "none"):
        result = cell_loss(
            network, {"square": square, "labels_square": labels}, with_values(cell, normalization=normalization), None
        )
        assert result.loss.item() == pytest.approx(0, abs=1e-5)


def test_dead_head_is_found_and_cured(cell):
    dead = 0
    for seed in range(12):
        network = make_student(cell.student, seed=seed)
        rgb = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            live_before = (network(network.normalise(rgb)) > 0).float().mean().item()
        cured = cure_dead_head(network, rgb)
        assert cured == (live_before < 0.5)
        dead += cured
        prediction = network(network.normalise(rgb))
        assert (prediction > 0).float().mean() >= 0.5
        prediction.mean().backward()
        assert network.depth_head.scratch.output_conv1.weight.grad.abs().sum() > 0
    assert 0 < dead < 12


def test_start_weights(cell):
    source, _ = load_network("zoo/vit-small")
    student = make_student(cell.student, seed=0)
    assert all(
        torch.equal(value, source.encoder.state_dict()[key]) for key, value in student.encoder.state_dict().items()
    )
    again, other = make_student(cell.student, seed=0), make_student(cell.student, seed=1)
    key = "depth_head.projects.0.weight"
    assert torch.equal(student.state_dict()[key], again.state_dict()[key])
    assert not torch.equal(student.state_dict()[key], other.state_dict()[key])
    full = make_student(cell.student.model_copy(update={"init": "full"}), seed=0)
    assert torch.equal(full.state_dict()[key], source.state_dict()[key])


def test_rates_warm_up_then_decay(cell):
    optim = cell.optim.model_copy(update={"steps": 100, "warmup": 10, "power": 0.9})
    factors = [rate_factor(step, optim) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9]
    assert factors[50] == pytest.approx(0.5**0.9)
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[10:]))


def test_a_collapsed_run_stops_with_advice(cell, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("dad.distill.train.cure_dead_head", lambda network, rgb: False)
    monkeypatch.setattr("dad.distill.monitor.CollapseDetector.PATIENCE", 3)

    def dead(config, *, seed):
        network = make_student(config, seed=seed)
        torch.nn.init.constant_(network.last_bias, -1e3)
        return network

    monkeypatch.setattr("dad.distill.train.make_student", dead)
    with pytest.raises(CollapseError, match="zero at"):
        run(cell, manifest, tmp_path, "run")
    assert not (tmp_path / "run").exists()


def test_an_inverted_start_is_found_at_the_end_of_a_window():
    values = lambda *numbers: [torch.tensor(float(number)) for number in numbers]  # noqa: E731
    turned = Orientation(20)
    assert turned.watched == 4
    told = [turned.inverted(step, value) for step, value in enumerate(values(-0.5, 0.4, 0.3, -0.1, -1))]
    assert told == [False] * 3 + [True, False]
    # what has turned around by itself is left alone, however long that took
    by_itself = Orientation(100)
    assert not any(by_itself.inverted(step, value) for step, value in enumerate(values(*[-0.9] * 15, *[0.5] * 45)))
    # a mirroring that did not help is seen by the next window, and after the last one nothing is decided
    stays = Orientation(100)
    assert [step for step, value in enumerate(values(*[-0.9] * 100)) if stays.inverted(step, value)] == [19, 39, 59]
    # a resumed run decides as an undisturbed one
    resumed = Orientation(20, turned.state()[:2])
    assert [resumed.inverted(step, value) for step, value in ((2, values(0.3)[0]), (3, values(-0.1)[0]))] == [
        False,
        True,
    ]
    assert not Orientation(3).inverted(0, torch.tensor(-1.0))
    assert Orientation(10_000).watched == Orientation.WATCHED


@pytest.mark.parametrize("model", ["zoo/vit-small", "zoo/midas-small"])
def test_a_mirrored_head_gives_the_mirrored_map(model):
    network, _ = load_network(model)
    network.eval()
    rgb = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.last_bias.add_(50)  # nothing is clipped by the last ReLU, before and after
        before = network(network.normalise(rgb))
        assert mirror_head(network, torch.optim.AdamW(network.parameters()), before.median().item())
        after = network(network.normalise(rgb))
    assert torch.allclose(after, 2 * before.median() - before, atol=1e-4)
    labels = torch.rand(before.shape, generator=torch.Generator().manual_seed(1))
    assert agreement(after, labels).item() == pytest.approx(-agreement(before, labels).item(), abs=1e-4)


def test_agreement_is_the_mean_correlation_of_trusted_pixels():
    g = torch.Generator().manual_seed(0)
    maps, labels = torch.rand(3, 1, 8, 8, generator=g), torch.rand(3, 1, 8, 8, generator=g)
    mask = torch.rand(3, 1, 8, 8, generator=g) < 0.6
    expected = [np.corrcoef(maps[i][mask[i]], labels[i][mask[i]])[0, 1] for i in range(3)]
    assert agreement(maps, labels, mask).item() == pytest.approx(np.mean(expected), abs=1e-5)
    assert agreement(labels, 3 * labels + 2).item() == pytest.approx(1, abs=1e-5)
    assert agreement(torch.ones_like(labels), labels).item() == 0


def test_an_inverted_student_is_cured_once_and_said_so(cell, manifest, tmp_path, monkeypatch):
    """A start whose map is the labels' negative; the same training with and without the cure, and interrupted."""
    longer = with_values(
        cell, optim=cell.optim.model_copy(update={"steps": 20, "encoder_rate": 1e-7, "head_rate": 1e-6})
    )

    def inverted(config, *, seed):
        network, _ = load_network(config.model)
        with torch.no_grad():
            network.last_bias.add_(20)
            mirror_head(network, torch.optim.AdamW(network.parameters()), 20.0)
        return network

    class Interrupted(Exception):
        pass

    def stop(new_rows):
        if new_rows[-1]["step"] >= 1:
            raise Interrupted

    monkeypatch.setattr("dad.distill.train.make_student", inverted)
    out = run(longer, manifest, tmp_path, "cured")
    facts = json.loads((out / "provenance.json").read_text())
    log = [float(row["agreement"]) for row in rows(out / "metrics.csv")]
    assert facts["inverted_start_cured"]
    assert max(log[:4]) < 0 < min(log[4:])
    assert facts["agreement"] == pytest.approx(np.mean(log))
    labels = tmp_path / "labels" / cell.mode
    with pytest.raises(Interrupted):
        run(longer, manifest, tmp_path, "again", labels=labels, listeners=(stop,))
    again = run(longer, manifest, tmp_path, "again", labels=labels)
    assert (again / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    monkeypatch.setattr(Orientation, "WATCHED", 0)
    left = run(longer, manifest, tmp_path, "left", labels=labels)
    facts = json.loads((left / "provenance.json").read_text())
    assert not facts["inverted_start_cured"]
    assert facts["agreement"] < 0


def test_a_collapse_can_be_seen_again(cell, manifest, tmp_path, monkeypatch, capsys):
    """Labels that turn to NaN at step 5: the batch's photos are named, the steps since the checkpoint the same ones."""
    real = LabelCache.read

    def poisoned(self, positions):
        labels = real(self, positions)
        return labels * torch.nan if int(positions[0]) >= 5 * cell.optim.batch else labels

    monkeypatch.setattr(LabelCache, "read", poisoned)
    with pytest.raises(CollapseError, match=r"step 5: .*--replay .*collapse\.pt") as caught:
        run(cell, manifest, tmp_path, "run")
    assert caught.value.step == 5
    assert not (tmp_path / "run").exists()
    kept = tmp_path / "work-run" / "collapse.pt"
    seen = replay(kept)
    assert [row["step"] for row in seen] == [4, 5]
    log = {int(row["step"]): row for row in rows(tmp_path / "work-run" / "metrics.csv")}
    assert float(log[4]["loss"]) == seen[0]["loss"]
    assert not np.isfinite(seen[1]["loss"])
    photos, _ = training_photos(cell.label_plans["teacher"], manifest)
    said = capsys.readouterr().out
    assert "loss or gradient is not finite" in said
    assert sum(photo in said for photo in photos.ids) == cell.optim.batch
    damaged = bytearray(kept.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    kept.write_bytes(damaged)
    with pytest.raises(UserError, match="cannot be replayed: its contents do not fit"):
        replay(kept)
    # the checkpoint beside it is sealed in the same way
    with pytest.raises(UserError, match=r"last\.pt cannot be replayed: it is no WORK/collapse\.pt"):
        replay(kept.with_name("last.pt"))
