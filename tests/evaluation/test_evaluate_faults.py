"""What `evaluate` does with truth that is none, sets of one kind, names that collide, and images raising anything."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from dad.cli import main
from dad.data.benchmarks import open_benchmark
from dad.data.benchmarks.base import Sample
from dad.data.check import check
from dad.data.kinds import kind_of
from dad.errors import UserError
from dad.evaluation import available_protocols, load_protocol, score
from dad.evaluation.datasets import dataset_rules
from dad.evaluation.evaluate import evaluate
from dad.evaluation.to_files import evaluate_to_files

SHAPE = (24, 32)


class OneSet:
    """A benchmark of given samples."""

    name, min_depth, max_depth, align_max_res = "diode", 0.6, 350.0, None

    def __init__(self, *depths, mask=None):
        rng = np.random.default_rng(0)
        rgb = rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
        mask = np.ones(SHAPE, bool) if mask is None else mask
        self.samples = [
            Sample(f"{i}.png", str(i), rgb, depth.astype(np.float32), mask) for i, depth in enumerate(depths)
        ]

    def __len__(self):
        return len(self.samples)

    def image(self, index):
        return self.samples[index].id

    def __getitem__(self, index):
        return self.samples[index]


class Inverse:
    """Predicts the disparity of a fixed depth."""

    kind, name = "disparity", "inverse"

    def __init__(self, depth):
        self.depth = depth

    def __call__(self, rgb):
        import torch

        return torch.from_numpy(1 / self.depth)[None, None]


def _depth(seed=1):
    rows, columns = np.indices(SHAPE)  # smooth, so that no protocol takes edges out
    return (2 + rows / 24 + seed * columns / 64 + 0.01 * np.random.default_rng(seed).random(SHAPE)).astype(np.float32)


@pytest.mark.parametrize("value", [0.0, -0.7, np.nan, np.inf])
@pytest.mark.parametrize("protocol", available_protocols())
def test_truth_that_is_not_positive_is_named_and_left_out(value, protocol):
    """The rest is scored as it is where the mask leaves these pixels out."""
    depth, model = _depth(), Inverse(_depth(2))
    broken, rows = depth.copy(), np.arange(SHAPE[0])[:, None].repeat(SHAPE[1], 1)
    broken[rows < 6] = value
    (found,) = evaluate(OneSet(broken), model, [protocol])
    (expected,) = evaluate(OneSet(depth, mask=rows >= 6), model, [protocol])
    assert (found["status"], found["n"]) == ("partial", 18 * 32)
    assert "192 pixels are left out: their truth is not positive or not finite" in found["message"]
    assert found["abs_rel"] == expected["abs_rel"] > 0
    assert expected["status"] == "ok"
    (nothing,) = evaluate(OneSet(np.full(SHAPE, value)), model, [protocol])
    assert (nothing["status"], nothing["n"]) == ("empty", 0)
    assert math.isnan(nothing["abs_rel"])


def test_strict_keeps_the_truth_as_upstream_does():
    broken = _depth()
    broken[0] = -0.7
    (found,) = evaluate(OneSet(broken), Inverse(_depth(2)), ["native"], strict=True)
    assert found["n"] == broken.size


@pytest.mark.parametrize("protocol", available_protocols())
def test_one_pixel_has_no_error_of_zero(protocol):
    depth = _depth()
    mask = np.zeros(SHAPE, bool)
    mask[3, 4] = True
    found = score(1 / _depth(2), depth, mask, kind="disparity", protocol=protocol)
    assert math.isnan(found["abs_rel"])
    assert found["n"] == 0
    (row,) = evaluate(OneSet(depth, mask=mask), Inverse(_depth(2)), [protocol])
    assert (row["status"], row["message"]) == ("empty", "1 valid pixels are too few for the fit")
    mask[5, 6] = True
    (row,) = evaluate(OneSet(depth, mask=mask), Inverse(_depth(2)), [protocol])
    if load_protocol(protocol).alignments["disparity"].solver == "median":  # a scale alone does not meet two pixels
        few = load_protocol(protocol).least_pixels
        assert (row["n"], row["message"]) == ((0, "2 valid pixels are too few for the fit") if few else (2, ""))
    else:
        assert row["message"] == "the fit meets 2 pixels exactly, whatever was predicted"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scenes-indoor", "scenes-indoor"),
        ("scenes-indoor-b", "scenes-indoor"),
        ("scenes-driving-2", "scenes-driving"),
        ("samples-garden", "samples"),
        ("samples", "samples"),
        ("nyuv2-none", "nyuv2"),
        ("diode", "diode"),
    ],
)
def test_a_suffix_tells_sets_of_one_kind_apart(name, kind):
    assert kind_of(name) == kind
    assert dataset_rules(name).kind == kind
    assert dataset_rules(name).max_depth == dataset_rules(kind).max_depth


@pytest.mark.parametrize("protocol", available_protocols())
@pytest.mark.parametrize("kind", ["nyuv2", "kitti", "scenes-indoor", "scenes-outdoor", "samples", "diode"])
def test_sets_of_one_kind_score_alike_under_every_protocol(protocol, kind):
    depth = _depth() * 5
    rng = np.random.default_rng(3)
    prediction = np.where(rng.random(SHAPE) < 0.05, -2, 1 / depth + 0.02 * rng.random(SHAPE)).astype(np.float32)
    found = [
        score(prediction, depth, np.ones(SHAPE, bool), kind="disparity", protocol=protocol, dataset=name)
        for name in (kind, f"{kind}-b")
    ]
    assert found[0] == found[1]
    if load_protocol(protocol).alignments["disparity"].floor == "cap" and kind != "samples":
        assert dataset_rules(f"{kind}-b").max_depth == dataset_rules(kind).max_depth


def test_whatever_one_image_raises_the_others_are_scored():
    class Picky(Inverse):
        calls = 0

        def __call__(self, rgb):
            self.calls += 1
            if self.calls == 2:
                raise MemoryError
            if self.calls == 3:
                raise RuntimeError("Calculated padded input size")
            return super().__call__(rgb)

    failures = []
    rows = evaluate(OneSet(*(_depth(i) for i in range(4))), Picky(_depth(2)), failures=failures)
    assert [row["status"] for row in rows] == ["ok", "failed", "failed", "ok"]
    assert "out of memory" in failures[0].message
    assert "padded input size" in failures[1].message
    assert all("\n" not in failure.message for failure in failures)


@pytest.fixture
def pairs(tmp_path):
    """Two RGB-D pairs in a folder, and predictions of them."""
    root = tmp_path / "pairs"
    (tmp_path / "maps").mkdir()
    root.mkdir()
    steps = (1000 + np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) * 3).astype(np.uint16)
    for name in ("a.jpg", "b.png"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)).save(root / name)
        np.save((tmp_path / "maps" / name).with_suffix(".npy"), 1 / _depth())
    Image.fromarray(steps).save(root / "d.png")
    (root / "manifest.csv").write_text("rgb,gt,kind,scale\na.jpg,d.png,depth,0.001\nb.png,d.png,depth,0.001\n")
    return tmp_path


def _arguments(pairs, **changed):
    given = {
        "dataset": "samples",
        "root": pairs / "pairs",
        "predictions": pairs / "maps",
        "kind": "disparity",
        "out": pairs / "e.csv",
    }
    return ["evaluate", *(word for key, value in (given | changed).items() for word in (f"--{key}", str(value)))]


def test_allowed_failures_are_named_and_counted_and_exit_with_0(pairs, capsys):
    (pairs / "maps/b.npy").unlink()
    with pytest.raises(SystemExit) as stopped:
        main(_arguments(pairs))
    assert stopped.value.code == 2
    capsys.readouterr()
    assert main(_arguments(pairs, failures="allow", summary=pairs / "e.json")) == 0
    told = capsys.readouterr()
    assert "b.png: there is no prediction" in told.err
    assert "1 of them failed" in told.out
    assert json.loads((pairs / "e.json").read_text())["results"][0]["failed"] == 1
    assert [row["status"] for row in csv.DictReader((pairs / "e.csv").open())] == ["ok", "failed"]


@pytest.mark.parametrize(
    "changed",
    [
        {"out": "pairs/manifest.csv"},
        {"out": "pairs/a.jpg"},
        {"out": "maps/a.npy"},
        {"summary": "pairs/d.png"},
        {"summary": "e.csv"},
        {"summary": "E.CSV"},
        {"summary": "pairs/../e.csv"},
        {"previews": "pairs"},
        {"previews": "pairs/shown"},
        {"previews": "maps/shown"},
        {"previews": "e.csv"},
        {"out": "pairs"},
        {"out": "pairs/a.jpg/e.csv"},
        {"out": "link.csv"},
    ],
)
def test_outputs_that_would_meet_inputs_are_refused_in_one_line(pairs, monkeypatch, capsys, changed):
    monkeypatch.chdir(pairs)
    (pairs / "link.csv").symlink_to("pairs/manifest.csv")
    before = {path: path.read_bytes() for path in pairs.rglob("*") if path.is_file()}
    assert main(_arguments(pairs, **changed)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert before == {path: path.read_bytes() for path in pairs.rglob("*") if path.is_file()}


def test_two_images_never_share_a_prediction_or_a_preview(pairs, capsys):
    Image.open(pairs / "pairs/a.jpg").save(pairs / "pairs/a.png")
    manifest = pairs / "pairs/manifest.csv"
    manifest.write_text(manifest.read_text() + "a.png,d.png,depth,0.001\n")
    assert main(_arguments(pairs)) == 2
    assert "a.jpg and a.png would share the prediction a.npy" in capsys.readouterr().err
    words = _arguments(pairs, previews=pairs / "shown")
    at = words.index("--predictions")
    words[at : at + 4] = ["--model", "zoo/vit-small"]
    assert main(words) == 2
    assert "would share the preview" in capsys.readouterr().err


def test_an_image_listed_twice_in_two_spellings_is_refused(pairs):
    manifest = pairs / "pairs/manifest.csv"
    manifest.write_text(manifest.read_text() + "./a.jpg,d.png,depth,0.001\n")
    with pytest.raises(UserError, match="was listed before in line 2"):
        open_benchmark("samples", pairs / "pairs")


@pytest.mark.parametrize("count", [10**12, -1, 0, 2.5, True, "3", None])
def test_impossible_counts_of_scenes_are_refused_at_once(tmp_path, count):
    (tmp_path / "rgb").mkdir()
    (tmp_path / "scenes.json").write_text(json.dumps({"kind": "indoor", "count": count, "seed": 0}))
    with pytest.raises(UserError, match=r"files are missing .* first rgb/000000\.png|is damaged"):
        open_benchmark("scenes-indoor", tmp_path)


def test_data_check_names_truth_that_is_not_positive(tmp_path):
    folder = tmp_path / "val/indoors/scene_00019/scan_00183"
    folder.mkdir(parents=True)
    depth = _depth()[:, :, None]
    depth[:6] = -0.7
    Image.fromarray(np.zeros((*SHAPE, 3), np.uint8)).save(folder / "a.png")
    np.save(folder / "a_depth.npy", depth)
    np.save(folder / "a_depth_mask.npy", np.ones(SHAPE, np.float32))
    report = check("diode", tmp_path)
    assert any("192 pixels have no positive depth" in line for line in report.warnings)
    written = evaluate_to_files(benchmarks=[("diode", tmp_path)], out=tmp_path / "e.csv", model="zoo/vit-small")
    assert written["results"][0]["partial"] == 1


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "text", "size", "colour"])
def test_one_damaged_sample_does_not_delete_the_scores_of_the_others(pairs, damage, capsys):
    """Whatever is wrong with its file, and whenever that is found out."""
    path = pairs / "pairs/b_truth.png"
    data = (pairs / "pairs/d.png").read_bytes()
    manifest = pairs / "pairs/manifest.csv"
    manifest.write_text(manifest.read_text().replace("b.png,d.png", "b.png,b_truth.png"))
    if damage in ("size", "colour"):
        shape, kind = ((5, 7), np.uint16) if damage == "size" else ((*SHAPE, 3), np.uint8)
        Image.fromarray(np.ones(shape, kind)).save(path)
    elif damage != "gone":
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"no image"}[damage])
    assert main(_arguments(pairs, failures="allow", summary=pairs / "e.json")) == 0
    assert "b_truth.png" in capsys.readouterr().err
    rows = list(csv.DictReader((pairs / "e.csv").open()))
    assert [row["status"] for row in rows] == ["ok", "failed"]
    assert float(rows[0]["abs_rel"]) > 0
    (pairs / "maps/a.npy").unlink()
    assert main(_arguments(pairs, failures="allow", out=pairs / "none.csv")) == 2
    assert not (pairs / "none.csv").exists()
