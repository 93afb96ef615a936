import csv
import json
import math
import threading
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

import dad.models
from dad.data.benchmarks.base import Sample
from dad.errors import UserError
from dad.evaluation import available_protocols, load_protocol, score
from dad.evaluation.evaluate import (
    COLUMNS,
    PredictionFolder,
    Subject,
    evaluate,
    evaluate_subjects,
    resolve_protocols,
    summarise,
)
from dad.evaluation.fitting import fit_image
from dad.evaluation.metrics import METRICS
from dad.evaluation.one_image import _suspicion
from dad.evaluation.predictions import EstimatorPredictions
from dad.evaluation.to_files import evaluate_to_files

SHAPE = (12, 16)


class Scenes:
    """Made up on demand, so that a test can see how many samples are held at once."""

    name = "scenes-indoor"
    min_depth, max_depth, align_max_res = 1e-3, 10.0, None

    def __init__(self, count=3, empty=()):
        self.count, self.empty = count, set(empty)
        self.alive = weakref.WeakSet()
        self.most_alive = 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        rgb = rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
        # the red channel is the nearness: an estimator that returns it is nearly perfect
        depth = (1 / (0.1 + rgb[..., 0] / 255)).astype(np.float32)
        mask = rng.random(SHAPE) < (0 if index in self.empty else 0.8)
        sample = Held(f"room {index}/rgb/{index:03d}.v2.png", f"room {index}", rgb, depth, mask)
        self.alive.add(sample)
        self.most_alive = max(self.most_alive, len(self.alive))
        return sample


class Held(Sample):
    """A sample that can be counted: hashed by identity."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class RedChannel:
    """A disparity estimator with a little deterministic noise."""

    kind, name, patch = "disparity", "red", 1

    def __init__(self):
        self.seen = []

    def __call__(self, rgb):
        self.seen.append((rgb.shape, rgb.dtype, float(rgb.min()), float(rgb.max())))
        return rgb[:, :1] * 3 + 1 + 0.05 * rgb[:, 1:2]


def test_an_estimator_is_scored_image_by_image():
    benchmark, estimator = Scenes(), RedChannel()
    calls = []
    rows = evaluate(benchmark, estimator, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert [list(row) for row in rows] == [COLUMNS] * 3
    assert len(estimator.seen) == 3
    for shape, dtype, low, high in estimator.seen:
        assert (shape, dtype) == ((1, 3, *SHAPE), torch.float32)
        assert 0 <= low < 0.1 < 0.9 < high <= 1
    for index, row in enumerate(rows):
        sample = benchmark[index]
        rgb = sample.rgb.astype(np.float32) / 255
        prediction = rgb[..., 0] * 3 + 1 + 0.05 * rgb[..., 1]
        expected = score(prediction, sample.depth, sample.mask, kind="disparity", dataset="scenes-indoor")
        assert (row["model"], row["dataset"], row["image"], row["scene"]) == (
            "red",
            benchmark.name,
            sample.id,
            sample.scene,
        )
        assert (row["protocol"], row["protocol_hash"]) == ("marigold@1", load_protocol("marigold").hash)
        assert row["n"] == sample.mask.sum()
        assert isinstance(row["n"], int)
        for key in (*METRICS, "scale", "shift"):
            assert row[key] == pytest.approx(expected[key], rel=1e-4), key


def test_several_protocols_take_one_pass():
    estimator = RedChannel()
    rows = evaluate(
        Scenes(), estimator, ["marigold", load_protocol("marigold", {"decimation": "grid"}), "midas"], model="cell-1"
    )
    assert len(estimator.seen) == 3
    assert [row["protocol"] for row in rows] == ["marigold@1", "marigold@1+decimation=grid", "midas@1"] * 3
    assert {row["model"] for row in rows} == {"cell-1"}
    everything = evaluate(Scenes(1), estimator, ["all"])
    assert [row["protocol"] for row in everything] == [f"{name}@1" for name in available_protocols()]
    assert len(everything) == 8


class Counting(Scenes):
    """Counts what is decoded."""

    decoded = 0

    def __getitem__(self, index):
        self.decoded += 1
        return super().__getitem__(index)


class Unreadable(Counting):
    """One of its images cannot be read."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        if index == 2:
            raise UserError("image 2 is damaged")
        return sample

    def image(self, index):
        return f"image {index}"


class Darker(RedChannel):
    """Another one, which fails on one image."""

    name = "darker"

    def __call__(self, rgb):
        found = super().__call__(rgb) ** 2
        if len(self.seen) == 4:
            raise RuntimeError("out of memory")
        return found


def subjects():
    protocols = [resolve_protocols(names, "disparity") for names in (["marigold", "moge"], ["midas"])]
    sources = [EstimatorPredictions(RedChannel()), EstimatorPredictions(Darker())]
    return [Subject(source.name, source, chosen) for source, chosen in zip(sources, protocols, strict=True)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_several_subjects_share_an_image_and_are_scored_as_alone(workers):
    benchmark, alone = Unreadable(7, empty=[5]), []
    for subject in subjects():
        failures = []
        rows = evaluate(Unreadable(7, empty=[5]), subject.source, subject.protocols, failures=failures)
        alone.append((rows, failures))
    failures, calls = [[], []], []
    found = evaluate_subjects(
        benchmark,
        subjects(),
        failures=failures,
        workers=workers,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert benchmark.decoded == 7
    assert calls == [(done, 7) for done in range(1, 8)]
    for rows, failed, (rows_alone, failed_alone) in zip(found, failures, alone, strict=True):
        assert failed == failed_alone
        assert json.dumps(rows) == json.dumps(rows_alone)
    assert [one.image for one in failures[0]] == ["image 2"]
    assert [one.image for one in failures[1]] == ["image 2", "image 4"]


def test_scoring_in_threads_holds_few_images_and_overlaps_with_predicting(monkeypatch):
    import dad.evaluation.evaluate as module

    waiting, started = threading.Event(), []
    real = module.score_image

    def score_image(image, *rest):
        started.append(image.index)
        if image.index == 0:
            assert waiting.wait(60), "nothing was predicted while the first image was scored"
        return real(image, *rest)

    class Waking(RedChannel):
        def __call__(self, rgb):
            if len(self.seen) == 1:
                waiting.set()
            return super().__call__(rgb)

    monkeypatch.setattr(module, "score_image", score_image)
    benchmark = Scenes(8)
    rows = evaluate(benchmark, Waking(), workers=2)
    assert sorted(started) == list(range(8))
    assert [row["image"] for row in rows] == [benchmark[index].id for index in range(8)]
    assert benchmark.most_alive <= 2 + 2


def test_the_first_failure_ends_an_evaluation_in_threads():
    with pytest.raises(UserError, match="image 2 is damaged"):
        evaluate(Unreadable(7), RedChannel(), workers=3)


def test_one_sample_is_held_at_a_time():
    benchmark = Scenes(8)
    evaluate(benchmark, RedChannel())
    assert benchmark.most_alive <= 2


def save(folder, benchmark):
    for index in range(len(benchmark)):
        sample = benchmark[index]
        path = folder / sample.id.replace(".png", ".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        rgb = sample.rgb.astype(np.float32) / 255
        np.save(path, rgb[..., 0] * 3 + 1 + np.float32(0.05) * rgb[..., 1])


def test_a_folder_of_predictions_gives_the_estimators_scores(tmp_path):
    benchmark = Scenes()
    save(tmp_path, benchmark)
    from_folder = evaluate(benchmark, PredictionFolder(tmp_path, "disparity"), model="m")
    from_estimator = evaluate(benchmark, RedChannel(), model="m")
    for stored, made in zip(from_folder, from_estimator, strict=True):
        assert stored == {
            key: pytest.approx(made[key], rel=1e-4) if key in METRICS or key in ("scale", "shift") else made[key]
            for key in stored
        }


def test_empty_images_are_counted_and_left_out_but_poison_in_strict_mode():
    benchmark = Scenes(4, empty=[1, 2])
    protocols = [load_protocol("marigold"), load_protocol("moge")]
    rows = evaluate(benchmark, RedChannel(), protocols)
    assert [row["n"] > 0 for row in rows[::2]] == [True, False, False, True]
    assert math.isnan(rows[2]["abs_rel"])
    marigold, moge = summarise(rows, protocols)
    for result, own in ((marigold, rows[::2]), (moge, rows[1::2])):
        assert (result["images"], result["empty"]) == (4, 2)
        for metric in METRICS:
            assert result["mean"][metric] == pytest.approx((own[0][metric] + own[3][metric]) / 2)
    strict_marigold, strict_moge = summarise(rows, protocols, strict=True)
    assert all(math.isnan(strict_marigold["mean"][metric]) for metric in METRICS)
    assert strict_moge["mean"] == moge["mean"]


def test_an_infinite_metric_is_not_hidden_in_the_mean():
    protocol = load_protocol("marigold")
    rows = evaluate(Scenes(2), RedChannel(), [protocol])
    rows[0]["abs_rel"] = math.inf
    (result,) = summarise(rows, [protocol])
    assert result["mean"]["abs_rel"] == math.inf
    assert math.isfinite(result["mean"]["rmse"])


def test_a_benchmark_of_empty_images_has_no_means():
    protocol = load_protocol("marigold")
    (result,) = summarise(evaluate(Scenes(2, empty=[0, 1]), RedChannel(), [protocol]), [protocol])
    assert (result["images"], result["empty"]) == (2, 2)
    assert math.isnan(result["mean"]["abs_rel"])


def spoil_missing(path):
    path.unlink()


def spoil_shape(path):
    np.save(path, np.ones((3, 4), np.float32))


def spoil_nan(path):
    np.save(path, np.full(SHAPE, np.nan, np.float32))


def spoil_truncated(path):
    path.write_bytes(path.read_bytes()[:100])


def spoil_pickle(path):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def spoil_text(path):
    path.write_text("not numpy")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_missing, "there is no prediction"),
        (spoil_shape, r"the prediction is \(3, 4\), the ground truth \(12, 16\)"),
        (spoil_nan, "valid pixels of the prediction are NaN or infinite"),
        (spoil_truncated, "is not a readable .npy file"),
        (spoil_pickle, "is not a readable .npy file"),
        (spoil_text, "is not a readable .npy file"),
    ],
)
def test_a_bad_prediction_names_its_image(tmp_path, spoil, message):
    benchmark = Scenes()
    save(tmp_path, benchmark)
    spoil(tmp_path / benchmark[1].id.replace(".png", ".npy"))
    with pytest.raises(UserError, match=rf"image room 1/rgb/001\.v2\.png: .*{message}"):
        evaluate(benchmark, PredictionFolder(tmp_path, "disparity"))


def test_strict_mode_stops_where_upstream_stops(tmp_path):
    benchmark = Scenes()
    save(tmp_path, benchmark)
    spoil_nan(tmp_path / benchmark[1].id.replace(".png", ".npy"))
    with pytest.raises(UserError, match=r"image room 1/rgb/001\.v2\.png: the fit meets NaN"):
        evaluate(benchmark, PredictionFolder(tmp_path, "depth"), strict=True)
    rows = evaluate(benchmark, PredictionFolder(tmp_path, "disparity"), strict=True)
    assert rows[1]["scale"] == rows[1]["shift"] == 0
    assert math.isfinite(rows[1]["abs_rel"])


def test_mistakes_before_any_work(tmp_path):
    with pytest.raises(UserError, match="the kind of the predictions is 'inverse'; it must be depth or disparity"):
        PredictionFolder(tmp_path, "inverse")
    with pytest.raises(UserError, match="does not exist"):
        PredictionFolder(tmp_path / "none", "depth")
    estimator = RedChannel()
    with pytest.raises(UserError, match="given more than once: marigold@1"):
        evaluate(Scenes(), estimator, ["marigold", "marigold"])
    with pytest.raises(UserError, match="no protocol given"):
        evaluate(Scenes(), estimator, [])
    with pytest.raises(UserError, match="has no images"):
        evaluate(Scenes(0), estimator)
    assert estimator.seen == []
    with pytest.raises(UserError, match="midas@1 scores disparity predictions, not 'depth'"):
        resolve_protocols(["marigold", "midas"], "depth")
    assert [protocol.name for protocol in resolve_protocols(["all"], "depth")] == [
        *("marigold", "log-lsq", "median", "median-pooled", "moge", "native"),
    ]


def test_an_estimator_that_changes_the_size_is_refused():
    class Half(RedChannel):
        def __call__(self, rgb):
            return rgb[:, :1, ::2, ::2]

    class Flat(RedChannel):
        def __call__(self, rgb):
            return rgb[:, 0]

    with pytest.raises(UserError, match=r"image room 0/rgb/000\.v2\.png: the prediction is \(6, 8\)"):
        evaluate(Scenes(), Half())
    with pytest.raises(UserError, match=r"estimator red gave \(1, 12, 16\), not \(1,1,H,W\)"):
        evaluate(Scenes(), Flat())


@pytest.fixture
def samples(tmp_path):
    """Two RGB-D pairs as the `samples` benchmark reads them, and a good prediction of kind depth for each."""
    root, predictions = tmp_path / "data", tmp_path / "predictions"
    root.mkdir()
    rng = np.random.default_rng(0)
    lines = ["rgb,gt,kind,scale"]
    for name in ("one", "two"):
        millimetres = rng.integers(500, 9000, SHAPE).astype(np.uint16)
        Image.fromarray(rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)).save(root / f"{name}.png")
        Image.fromarray(millimetres).save(root / f"{name}_depth.png")
        lines.append(f"{name}.png,{name}_depth.png,depth,0.001")
        predictions.mkdir(exist_ok=True)
        np.save(predictions / f"{name}.npy", (millimetres * rng.lognormal(0, 0.1, SHAPE)).astype(np.float32))
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root, predictions


def test_files_of_a_prediction_folder(samples, tmp_path):
    root, predictions = samples
    out, summary = tmp_path / "results" / "scores.csv", tmp_path / "results" / "summary.json"
    returned = evaluate_to_files(
        benchmarks=[("samples", root)],
        predictions=predictions,
        kind="depth",
        protocols=["marigold", "moge"],
        out=out,
        summary=summary,
    )
    with open(out, newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == COLUMNS
    assert COLUMNS[:7] == ["model", "dataset", "protocol", "protocol_hash", "image", "scene", "n"]
    assert COLUMNS[7:19] == [*METRICS, "scale", "shift"]
    assert [(row["model"], row["image"], row["protocol"]) for row in rows] == [
        ("predictions", "one.png", "marigold@1"),
        ("predictions", "one.png", "moge@1"),
        ("predictions", "two.png", "marigold@1"),
        ("predictions", "two.png", "moge@1"),
    ]
    written = json.loads(summary.read_text())
    assert written == returned
    assert written["model"] == "predictions"
    marigold, moge = written["results"]
    assert set(marigold) == {"dataset", "empty", "failed", "images", "mean", "protocol", "protocol_hash"}
    assert (marigold["protocol"], moge["protocol"]) == ("marigold@1", "moge@1")
    assert marigold["protocol_hash"] == load_protocol("marigold").hash
    expected = (float(rows[0]["abs_rel"]) + float(rows[2]["abs_rel"])) / 2
    assert marigold["mean"]["abs_rel"] == pytest.approx(expected, rel=1e-12)
    assert 0.02 < expected < 0.2


def test_files_of_a_model(samples, tmp_path, monkeypatch):
    asked = []

    def load(name, *, device):
        asked.append((name, device))
        return RedChannel()

    monkeypatch.setattr(dad.models, "load", load, raising=False)
    out = tmp_path / "scores.csv"
    evaluate_to_files(benchmarks=[("samples", samples[0])], model="zoo/red", out=out, protocols=["all"], label="cell-7")
    assert asked == [("zoo/red", "cpu")]
    assert out.read_text().count("\ncell-7,samples,") == 2 * 8


def test_one_failure_does_not_lose_the_others(samples, tmp_path):
    root, predictions = samples
    results = tmp_path / "results"
    run = {
        "benchmarks": [("samples", root)],
        "predictions": predictions,
        "kind": "depth",
        "protocols": ["marigold", "moge"],
    }
    files = {"out": results / "scores.csv", "summary": results / "summary.json"}
    (predictions / "two.npy").unlink()
    with pytest.raises(UserError, match=r"image two\.png: there is no prediction"):
        evaluate_to_files(**run, **files, strict=True)
    assert not results.exists()
    written = evaluate_to_files(**run, **files)
    message = f"image two.png: there is no prediction {predictions / 'two.npy'}"
    assert written["failures"] == [{"dataset": "samples", "image": "two.png", "message": message}]
    assert json.loads(files["summary"].read_text()) == written
    with open(files["out"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["status"], row["message"]) for row in rows] == [
        *[("one.png", "ok", "")] * 2,
        *[("two.png", "failed", message)] * 2,
    ]
    assert {rows[2][column] for column in (*METRICS, "scale", "shift", "boundary_f1")} == {""}
    for result, row in zip(written["results"], rows, strict=False):
        assert (result["images"], result["empty"], result["failed"]) == (2, 0, 1)
        assert result["mean"]["abs_rel"] == float(row["abs_rel"])


def test_nothing_is_written_when_every_image_fails(samples, tmp_path):
    root, predictions = samples
    for path in predictions.iterdir():
        path.unlink()
    with pytest.raises(
        UserError, match=r"none of 2 images could be scored; first: image one\.png: there is no prediction"
    ):
        evaluate_to_files(
            benchmarks=[("samples", root)], predictions=predictions, kind="depth", out=tmp_path / "o" / "s.csv"
        )
    assert not (tmp_path / "o").exists()


def test_a_prediction_that_suits_one_protocol_only(monkeypatch):
    """moge does not look at truth that is far too deep, so a NaN there is of no concern to it."""
    benchmark, failures = Scenes(2), []
    sample = benchmark[1]
    sample.depth[0, 0], sample.mask[0, 0] = 1e6, True
    monkeypatch.setattr(
        Scenes, "__getitem__", lambda self, index, original=Scenes.__getitem__: (original(self, 0), sample)[index]
    )

    class Hole(RedChannel):
        def __call__(self, rgb):
            prediction = super().__call__(rgb)
            if len(self.seen) == 2:
                prediction[..., 0, 0] = math.nan
            return prediction

    rows = evaluate(benchmark, Hole(), ["marigold", "moge", "native"], failures=failures)
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "failed", "ok", "failed"]
    message = f"image {sample.id}: 1 of {sample.mask.sum()} valid pixels of the prediction are NaN or infinite"
    assert [(failure.image, failure.message) for failure in failures] == [(sample.id, message)]


def test_metrics_in_metres_are_empty_where_depth_is_relative(samples, tmp_path):
    root, predictions = samples
    manifest = (root / "manifest.csv").read_text().replace("one_depth.png,depth", "one_depth.png,disparity")
    (root / "manifest.csv").write_text(manifest)
    out = tmp_path / "scores.csv"
    written = evaluate_to_files(benchmarks=[("samples", root)], predictions=predictions, kind="depth", out=out)
    with open(out, newline="") as file:
        relative, metric = csv.DictReader(file)
    assert [column for column in METRICS if relative[column] == ""] == ["sq_rel", "rmse", "i_rmse"]
    assert "" not in [metric[column] for column in METRICS]
    (result,) = written["results"]
    assert result["mean"]["rmse"] == float(metric["rmse"])
    assert result["mean"]["abs_rel"] == pytest.approx((float(relative["abs_rel"]) + float(metric["abs_rel"])) / 2)


def test_suspicious_predictions_are_scored_and_said(samples, tmp_path):
    root, predictions = samples
    np.save(predictions / "one.npy", np.full(SHAPE, 3, np.float32))
    disparity = -np.ones(SHAPE, np.float32)
    disparity[0] = np.linspace(0.5, 1, SHAPE[1])
    np.save(predictions / "two.npy", disparity)
    out = tmp_path / "scores.csv"
    written = evaluate_to_files(
        benchmarks=[("samples", root)], predictions=predictions, kind="disparity", out=out, protocols=["all"]
    )
    assert written["failures"] == []
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["image"], row["status"], row["message"]) for row in rows} == {
        ("one.png", "ok", "the prediction is 3 everywhere"),
        ("two.png", "ok", "91.67% of the predicted disparities are not positive"),
    }
    assert all(math.isfinite(float(row["abs_rel"])) for row in rows)


def test_a_prediction_that_the_fit_turns_around_is_said():
    depth = np.random.default_rng(0).uniform(1, 9, SHAPE).astype(np.float32)
    for kind, said in (("depth", ""), ("disparity", "the fit turns the prediction around")):
        fitted = fit_image(2 * depth + 1, depth, np.ones(SHAPE, bool), kind=kind)
        assert _suspicion(fitted).partition(" (")[0] == said


def test_upstreams_prediction_names_and_other_layouts(tmp_path):
    depth = np.ones(SHAPE, np.float32)

    def find(image, aliases, name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, depth)
        sample = Sample(image, "s", np.zeros((*SHAPE, 3), np.uint8), depth, depth > 0, aliases=aliases)
        try:
            return PredictionFolder(tmp_path, "depth").predict(sample)
        finally:
            path.unlink()

    assert np.array_equal(find("test/bath/rgb_0012.png", (), "test/bath/pred_0012.npy"), depth)
    assert np.array_equal(find("color/000300.jpg", (), "color/pred_000300.npy"), depth)
    assert np.array_equal(find("val/outdoor/a.png", ("outdoor/a.png", "outdoors/a.png"), "outdoors/pred_a.npy"), depth)
    with pytest.raises(UserError, match=rf"image color/1\.jpg: there is no prediction {tmp_path}/color/1\.npy"):
        find("color/1.jpg", (), "color/pred_2.npy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": None}, "either a model or a folder"),
        ({"model": "zoo/red"}, "either a model or a folder"),
        ({"kind": None}, "kind of the predictions in .* is needed"),
        ({"predictions": None, "model": "zoo/red"}, "a model knows its own kind"),
        ({"protocols": ["marigold", "best"]}, "unknown protocol 'best'"),
        ({"protocols": ["midas"]}, "midas@1 scores disparity predictions, not 'depth'"),
        ({"benchmarks": [("imagenet", ".")]}, "unknown benchmark 'imagenet'"),
        ({"options": {"kitti": {"crop": "garg"}}}, "options for kitti, which is not among the data sets samples"),
        ({"options": {"samples": {"crop": "garg"}}}, "benchmark samples takes no crop"),
        ({"benchmarks": []}, "every data set is given once, at least one; given: none"),
        ({"benchmarks": [("samples", "a"), ("samples", "b")]}, "every data set is given once"),
    ],
)
def test_mistakes_in_arguments(samples, tmp_path, change, message):
    root, predictions = samples
    arguments = {
        "benchmarks": [("samples", root)],
        "predictions": predictions,
        "kind": "depth",
        "out": tmp_path / "o.csv",
    }
    with pytest.raises(UserError, match=message):
        evaluate_to_files(**{**arguments, **change})
    assert not (tmp_path / "o.csv").exists()


def test_several_benchmarks_in_one_file(samples, tmp_path, monkeypatch):
    opened = {"samples": Scenes(2), "scenes-indoor": Scenes(3)}
    opened["samples"].name = "samples"
    monkeypatch.setattr("dad.data.benchmarks.open_benchmark", lambda name, root: opened[name])
    monkeypatch.setattr(dad.models, "load", lambda name, *, device: RedChannel(), raising=False)
    pairs = [("scenes-indoor", tmp_path), ("samples", tmp_path)]
    written = evaluate_to_files(benchmarks=pairs, model="zoo/red", out=tmp_path / "scores.csv")
    assert [(result["dataset"], result["images"]) for result in written["results"]] == [
        ("scenes-indoor", 3),
        ("samples", 2),
    ]
    with open(tmp_path / "scores.csv", newline="") as file:
        assert [row["dataset"] for row in csv.DictReader(file)] == ["scenes-indoor"] * 3 + ["samples"] * 2


def test_half_precision_is_asked_of_networks_that_take_it_and_the_summary_says_so(samples, tmp_path, capsys):
    """Scores' identity holds a precision that is not float32; a model that runs as it does is said, not refused."""
    run = {"benchmarks": [("samples", samples[0])], "out": tmp_path / "s.csv", "summary": tmp_path / "s.json"}
    plain = evaluate_to_files(**run, model="zoo/vit-small")
    half = evaluate_to_files(**run, model="zoo/vit-small", precision="bf16")
    assert "precision" not in plain and half["precision"] == "bf16"
    assert json.loads((tmp_path / "s.json").read_text()) == half
    one, two = plain["results"][0]["mean"]["abs_rel"], half["results"][0]["mean"]["abs_rel"]
    assert one != two and one == pytest.approx(two, rel=0.05)
    level = evaluate_to_files(**run, model="no-skill:constant", precision="bf16")
    assert "precision" not in level
    assert "no-skill:constant runs as its makers' code runs it, and not in bf16" in capsys.readouterr().err


def test_the_verb_scores_several_models_as_one_by_one(samples, tmp_path, capsys):
    from dad.cli import main

    def call(*options):
        return main(["evaluate", "--dataset", "samples", "--root", str(samples[0]), "--device", "cpu", *options])

    models = {"a": "no-skill:constant", "b": "zoo/vit-small"}
    for name, model in models.items():
        call(
            "--model",
            model,
            "--label",
            name,
            "--out",
            str(tmp_path / f"{name}.csv"),
            "--summary",
            str(tmp_path / f"{name}.json"),
        )
    options = []
    for name, model in models.items():
        options += ["--model", model, "--label", name, "--out", str(tmp_path / "both" / f"{name}.csv")]
        options += ["--summary", str(tmp_path / "both" / f"{name}.json")]
    call(*options, "--workers", "2")
    for name in models:
        for suffix in ("csv", "json"):
            assert (tmp_path / "both" / f"{name}.{suffix}").read_bytes() == (tmp_path / f"{name}.{suffix}").read_bytes()
    assert call("--model", "no-skill:constant", "--model", "no-skill:gradient", "--out", str(tmp_path / "one.csv")) == 2
    assert "--out is given 1 times for 2 models: give one for each --model" in capsys.readouterr().err
