"""Premises: teachers better or worse on patches by construction, frames and leaks in closed form, files and verb."""

import csv
import json

import numpy as np
import pytest
import torch

from dad.cli import main
from dad.data.crops import CropPlan
from dad.distill.noise import region
from dad.errors import UserError
from dad.premises import facts as facts_module
from dad.premises import read_facts
from dad.premises.facts import frame_facts, gather, interval, local_facts
from dad.premises.leak import keys, leak
from dad.premises.patches import frame, patch_rows
from dad.premises.shares import term_shares
from dad.premises.sources import Picture, pictures
from dad.report.premises import MARKS, markdown
from dad.study.cells import load_study

PLAN = CropPlan(seed=0, min_crop=64, size=48, patches=4, flip=True)


def waves(x, y):
    """A disparity between 0.3 and 1.7 per metre, coarse and fine, as a function of the picture's pixel coordinates."""
    return 1 + 0.5 * np.sin(x / 23 + 1) * np.cos(y / 31) + 0.2 * np.sin(x / 2.5) * np.sin(y / 2.5)


def coded_pictures(count=6, height=96, width=128):
    """Pictures whose colours say where each pixel is, so that a fake teacher can look up what is there."""
    y, x = np.mgrid[:height, :width] + 0.5
    code = np.stack([x / width, y / height, np.full_like(x, 0.5)], -1)
    depth = (1 / waves(x, y)).astype(np.float32)
    return [Picture(f"photo-{n}", np.round(255 * code).astype(np.uint8), depth) for n in range(count)]


class Fake:
    """A teacher that reads the place off the colours and gives the true disparity there, without detail in one view."""

    kind = "disparity"

    def __init__(self, *, patches, scale=1.0, shift=0.0):
        self.exact_patches, self.scale, self.shift = patches, scale, shift

    def __call__(self, rgb):
        x, y = rgb[:, 0].numpy() * 128, rgb[:, 1].numpy() * 96
        fine, coarse = waves(x, y), 1 + 0.5 * np.sin(x / 23 + 1) * np.cos(y / 31)
        patches = len(rgb) > 1  # four patches at once, one square
        answer = fine if patches == self.exact_patches else coarse
        if patches:
            answer = answer * self.scale + self.shift
        return torch.from_numpy(answer[:, None].astype(np.float32))


def rows_of(teacher, **options):
    return patch_rows(teacher, coded_pictures(**options), PLAN, 2)


def test_a_teacher_that_sees_more_in_patches_is_found_so():
    better, worse = (local_facts(rows_of(Fake(patches=exact))) for exact in (True, False))
    assert better["scored"] == better["patches"] == 6 * 2 * 4
    assert better["abs_rel"]["local"] < 0.03 < better["abs_rel"]["cut"]
    assert better["abs_rel"]["better"] == 1
    assert better["abs_rel"]["gain"]["low"] > 0
    assert worse["abs_rel"]["better"] < 0.2
    assert worse["abs_rel"]["gain"]["high"] < 0
    assert better["abs_rel"]["gain"]["n"] == 6  # photos, not patches
    assert sum(one["patches"] for one in better["by_ratio"]) == 48


def test_the_frame_of_patches_is_found():
    rows = rows_of(Fake(patches=None, scale=2.0, shift=-0.5))  # neither is exact: both coarse, and affine to each other
    scales = frame_facts(rows)["scale"]
    assert scales["p5"] == pytest.approx(2.0, abs=0.1)
    assert scales["p95"] == pytest.approx(2.0, abs=0.1)


def test_a_frame_in_closed_form():
    square = torch.rand(1, 20, 20, generator=torch.Generator().manual_seed(0)) * 3
    cut = square[:, 5:15, 5:15]
    median, spread = square.median(), (square - square.median()).abs().mean()
    assert frame(cut, cut, square) == pytest.approx((1, 0), abs=1e-6)
    scale, shift = frame(1.5 * cut + 0.7, cut, square)
    assert scale == pytest.approx(1.5, rel=1e-5)
    assert shift == pytest.approx(((1.5 * median + 0.7 - median) / spread).item(), rel=1e-4)
    assert np.isnan(frame(cut, torch.ones(1, 4, 4), square)[0])


def test_leaks_in_closed_form():
    label = torch.rand(1, 60, 60, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 1
    found = leak(label, 0.2, np.random.default_rng(0), groups="spatial", variant="paper")
    assert found["none"] == 0
    spoiled = region(label, 0.2, np.random.default_rng(0))
    outside = (spoiled == label)[0].numpy()

    def normalised(values):
        median = np.sort(values)[(len(values) - 1) // 2]
        return (values - median) / np.abs(values - median).mean()

    before, after = label[0].numpy(), spoiled[0].numpy()
    changed = np.abs(normalised(after.ravel()) - normalised(before.ravel())).reshape(60, 60)
    assert found["global"] == pytest.approx(changed[outside].mean(), rel=1e-6)
    tiles = np.zeros((60, 60))
    for i in range(0, 60, 15):
        for j in range(0, 60, 15):
            one = np.s_[i : i + 15, j : j + 15]
            tiles[one] = np.abs(normalised(after[one].ravel()) - normalised(before[one].ravel())).reshape(15, 15)
    assert found["local"] == pytest.approx(tiles[outside].mean(), rel=1e-6)
    assert found["local"] < found["global"]  # tiles that the region does not touch do not change
    assert set(found) == set(keys("spatial"))


def test_intervals_are_students():
    found = interval([1.0, 2.0, 3.0, float("nan")])
    assert (found["mean"], found["n"]) == (2.0, 3)
    assert found["high"] - found["mean"] == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)  # t with 2 degrees of freedom
    assert interval([5.0])["low"] is None
    assert interval([])["mean"] is None


def test_shares_of_a_run(cell, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(cell.model_dump(mode="json")))
    columns = "step,loss,loss_shared,loss_feature,loss_gradient"
    lines = [columns] + [f"{step},0,{1.0},{0.0},{0.5 if step < 20 else 1.5}" for step in range(40)]
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    found = term_shares(tmp_path)
    assert found["start"] == pytest.approx({"shared": 0.5, "feature": 0.0, "gradient": 0.5})  # gradient weighs 2
    assert found["end"] == pytest.approx({"shared": 0.25, "feature": 0.0, "gradient": 0.75})
    with pytest.raises(UserError, match="no run folder"):
        term_shares(tmp_path / "nothing")


@pytest.fixture
def study(tmp_path, scene_folders):
    path = tmp_path / "study.yaml"
    path.write_text(
        f"""
name: own
description: a test
seeds: [0]
teacher: zoo/vit-large
student: {{model: zoo/vit-small, init: encoder}}
photos: {{source: scenes, kinds: [indoor, outdoor], count: 10, seed: 40, height: 72, width: 96}}
crop: {{size: 48, min_crop: 56, patches: 4}}
optim: {{steps: 4, batch: 2, encoder_rate: 1e-4, head_rate: 1e-3}}
benchmarks: [{{dataset: scenes-indoor, root: {scene_folders["indoor"]}}}]
"""
    )
    return path


def test_the_photos_are_those_of_the_study(study, scene_folders):
    from PIL import Image

    loaded = load_study(str(study))
    found = list(pictures(loaded, 4))
    assert [one.id for one in found] == ["indoor-40", "outdoor-40", "indoor-41", "outdoor-41"]
    depth = np.load(scene_folders["indoor"] / "depth" / "000001.npy")
    assert np.array_equal(found[2].depth, depth)
    changed = loaded.model_copy(update={"crop": loaded.crop.model_copy(update={"min_crop": 100})})
    with pytest.raises(UserError, match="min_crop 100"):
        list(pictures(changed, 2))
    folder = scene_folders["indoor"] / "rgb"
    own = loaded.model_copy(
        update={"photos": type(loaded).model_validate(loaded.model_dump() | {"photos": str(folder)}).photos}
    )
    without = list(pictures(own, 2))
    assert all(one.depth is None for one in without)
    assert any(np.array_equal(without[0].rgb, np.asarray(Image.open(path))) for path in folder.iterdir())


def test_the_verb_writes_what_the_report_reads(study, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["premises", "--config", str(study), "--out", str(out), "--count", "3", "--draws", "1"]) == 0
    facts = read_facts(out)
    assert facts["photos"] == {"count": 3, "with_depth": 3, "draws": 1}
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(facts["premises"]) + 1
    assert all(line.startswith(tuple(MARKS.values())) for line in printed[:-1])
    with open(out / "premises.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4
    ours = [float(row["local_abs_rel"]) for row in rows if row["local_abs_rel"] != "nan"]
    assert facts["models"]["teacher"]["abs_rel"]["local"] == pytest.approx(np.mean(ours), rel=1e-4)
    assert (out / "premises.md").read_text() == markdown(facts)
    assert (out / "premises.png").stat().st_size > 10_000
    assert read_facts(tmp_path) is None


def test_premises_that_fail_are_said_to_fail(study, monkeypatch):
    loaded = load_study(str(study))
    monkeypatch.setattr(facts_module, "pictures", lambda study, count: iter(coded_pictures(count)))
    for exact in (True, False):
        monkeypatch.setattr(facts_module, "load", lambda *names, exact=exact, **how: Fake(patches=exact))
        facts, _ = gather(loaded, count=6, draws=2)
        verdicts = {one["name"]: one["holds"] for one in facts["premises"]}
        assert verdicts["local-abs_rel-teacher"] is exact
