"""The paper's figures from a tiny study: made-up students, rendered scenes of 32 x 48 pixels, made-up scores."""

import csv
import io
import math
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dad.data.manifest import make_manifest
from dad.data.scenes import write_scenes
from dad.errors import UserError
from dad.evaluation import load_protocol, score
from dad.evaluation.detail import CENTRE, score_local_global
from dad.evaluation.evaluate import COLUMNS
from dad.models import estimator
from dad.report import pictures
from dad.report.figures import (
    FIGURES,
    fig2,
    fig4,
    fig5,
    fig8,
    fig9,
    fig10,
    figure_needs,
    figure_number,
    write_paper_figure,
)
from dad.report.figures.job import Drawing, Job, caption
from dad.report.pictures import benchmark_of
from dad.report.style import draw_curve, new_figure
from dad.study.cells import all_cells, all_models, load_study
from dad.study.config import LossConfig, StudyConfig
from dad.study.layout import Layout

SCENES = 3
STUDY = {
    "name": "tiny",
    "description": "made-up students",
    "seeds": [0, 1],
    "teacher": "zoo/big",
    "assistant": {"model": "zoo/diffusion"},
    "student": {"model": "zoo/small", "init": "encoder"},
    "photos": {"source": "scenes", "kinds": ["indoor", "driving"], "count": 4, "seed": 1, "height": 32, "width": 48},
    "scaling": [2, 4],
    "crop": {"size": 28, "min_crop": 30, "patches": 2},
    "optim": {"steps": 20, "batch": 4, "encoder_rate": 1e-4, "head_rate": 1e-3},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": SCENES, "seed": 9, "height": 32, "width": 48, "stands_for": "ETH3D"},
        {"dataset": "scenes-driving", "count": SCENES, "seed": 9, "height": 32, "width": 48, "stands_for": "KITTI"},
    ],
}


class Fake:
    """Nearer further down, with the photo's own light on top; the scale depends on the name."""

    kind, patch = "disparity", 1

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, rgb: torch.Tensor) -> torch.Tensor:
        down = torch.linspace(0.1, 1, rgb.shape[2])[:, None]
        return (1 + len(self.name) % 3) * (down + 0.2 * rgb.mean(1, keepdim=True))


def _study(**changes) -> StudyConfig:
    return StudyConfig.model_validate({**STUDY, **changes})


def _layout(results: Path) -> Layout:
    return Layout(_study(), results)


def _write_scores(study: StudyConfig, results: Path, store) -> None:
    protocol = load_protocol("marigold")
    head = {"protocol": protocol.id, "protocol_hash": protocol.hash, "status": "ok"}
    for group, subject in {pair for name in FIGURES for pair in figure_needs(study, name).scores}:
        rng = np.random.default_rng([len(subject), *subject.encode()])
        lines = []
        for dataset in {"ablation": ["scenes-indoor"], "zero-shot": ["scenes-driving"]}[group]:
            for image in range(5):
                values = dict(zip(("abs_rel", "delta1", *CENTRE), rng.uniform(0.1, 0.9, 6), strict=True))
                name = {
                    "model": subject,
                    "dataset": dataset,
                    "image": f"rgb/{image:06d}.png",
                    "scene": str(image),
                    "n": 9,
                }
                lines.append(dict.fromkeys(COLUMNS, 0.0) | head | name | values)
        store(results / study.name / "scores" / group / f"{subject}.csv", subject, lines)


@pytest.fixture(scope="module")
def results(tmp_path_factory, store_scores) -> Path:
    root = tmp_path_factory.mktemp("paper_figures") / "results"
    study, own = _study(), root / "tiny"
    for kind in ("indoor", "driving"):
        options = {"kind": kind, "height": 32, "width": 48, "samples": 1}
        write_scenes(own / "benchmarks" / f"scenes-{kind}", count=SCENES, seed=9, **options)
        write_scenes(own / "photos" / kind, count=2, seed=1, **options)
    make_manifest(own / "photos", own / "photos-4.jsonl", seed=1, only=["indoor/rgb", "driving/rgb"], progress=False)
    for name in FIGURES:
        for cell in figure_needs(study, name).cells:
            (own / "runs" / cell).mkdir(parents=True, exist_ok=True)
            (own / "runs" / cell / "model.safetensors").touch()
    _write_scores(study, root, store_scores)
    return root


@pytest.fixture(autouse=True)
def fake_models(monkeypatch):
    monkeypatch.setattr(estimator, "load", lambda name, **_: Fake(str(name)))


def _numbers(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_whole_and_repeats(name, results, tmp_path):
    for out in ("first", "second"):
        write_paper_figure(_study(), name, results, tmp_path / out)
    files = {
        path.relative_to(tmp_path / "first"): path.read_bytes()
        for path in (tmp_path / "first").rglob("*")
        if path.is_file()
    }
    assert {Path(f"{name}.{suffix}") for suffix in ("png", "svg", "md")} <= files.keys()
    for file, content in files.items():
        assert (tmp_path / "second" / file).read_bytes() == content, file
    assert min(Image.open(tmp_path / "first" / f"{name}.png").size) > 400
    ElementTree.parse(tmp_path / "first" / f"{name}.svg")
    text = (tmp_path / "first" / f"{name}.md").read_text()
    assert text.startswith(f"# Figure {figure_number(name)}: ") and FIGURES[name].CAPTION in text
    assert "study `tiny`" in text and "stand in for the paper's models" in text and "Not made" not in text


def test_fig2_numbers_are_those_of_the_scores(results, tmp_path):
    write_paper_figure(_study(), "fig2", results, tmp_path)
    lines = {(line["method"], line["metric"]): line for line in _numbers(tmp_path / "fig2.csv")}
    for method in figure_needs(_study(), "fig2").methods:
        rows = [row for one in method.row.subjects for row in _numbers(results / "tiny/scores/ablation" / f"{one}.csv")]
        for metric in ("abs_rel", "delta1"):
            line = lines[method.role, metric]
            both = [[float(row[f"centre_{where}_{metric}"]) for row in rows] for where in ("global", "local")]
            assert float(line["global"]) == pytest.approx(np.mean(both[0]), rel=1e-12)
            assert float(line["local"]) == pytest.approx(np.mean(both[1]), rel=1e-12)
            assert float(line["difference"]) == pytest.approx(np.mean(both[1]) - np.mean(both[0]), rel=1e-9)
            assert float(line["global_low"]) < float(line["global"]) < float(line["global_high"])
            assert int(line["images"]) == 5


def test_fig2_error_maps_average_to_the_score(results):
    benchmark = benchmark_of(_layout(results), "scenes-indoor")
    picture = next(pictures.benchmark_pictures(benchmark, 1))
    prediction = pictures.predict(Fake("a"), picture.rgb)
    expected = score_local_global(prediction, picture.depth, picture.mask, kind="disparity", dataset="scenes-indoor")
    errors = fig2.region_errors(picture.fitted(Fake("a"), "marigold"))
    for name, error in errors.items():
        assert np.nanmean(error) == pytest.approx(expected[f"centre_{name}_abs_rel"], rel=1e-5)


def test_fig4_areas_are_ranges_of_the_label():
    label = np.random.default_rng(0).uniform(2, 10, (20, 20)).astype(np.float32)
    label[fig4.marked(label.shape)] = 7.0
    label[0, :2] = 2, 10
    shown = {panel.title: panel for panel in fig4.panels(label, LossConfig(variant="paper"))}
    assert len(shown) == 6
    assert shown["global norm."].area.all() and shown["hybrid norm., S = 1"].area.all()
    np.testing.assert_array_equal(shown["hybrid norm., S = 2"].area, label >= 6)
    quarter = (label >= 6) & (label < 8)
    for name in ("hybrid norm., S = 4", "local norm., S = 4"):
        np.testing.assert_array_equal(shown[name].area, quarter)
        inside = label[quarter]
        middle = np.sort(inside)[(len(inside) - 1) // 2]
        normalised = (inside - middle) / np.abs(inside - middle).mean()
        np.testing.assert_allclose(shown[name].values[quarter], normalised, atol=1e-5)
    assert shown["no norm."].area.sum() == 1
    np.testing.assert_array_equal(shown["no norm."].values, label)


def test_fig5_regions_lie_in_the_photo():
    for corner in fig5.REGION:
        x0, y0, x1, y1 = pictures.region_of((101, 77, 3), corner, fig5.SIZE)
        assert 0 <= x0 < x1 <= 77 and 0 <= y0 < y1 <= 101
        assert (x1 - x0, y1 - y0) == (26, 34)


def test_fig7_numbers_are_averages_over_benchmarks(results, tmp_path):
    study = _study()
    write_paper_figure(study, "fig7", results, tmp_path)
    lines = {(line["method"], line["photos"]): line for line in _numbers(tmp_path / "fig7.csv")}

    def average(method, count):
        rows = figure_needs(study, "fig7").methods
        subjects = next(one for one in rows if one.role == method and one.row.name.endswith(f"-{count}")).row.subjects
        means = []
        for group in ("ablation", "zero-shot"):
            values = [
                float(row["abs_rel"])
                for one in subjects
                for row in _numbers(results / f"tiny/scores/{group}/{one}.csv")
            ]
            means.append(np.mean(values))
        return np.mean(means)

    for count in ("2", "4"):
        ours, ssi = average("ours", count), average("ssi", count)
        assert float(lines["ours", count]["average_abs_rel"]) == pytest.approx(ours, rel=1e-12)
        assert float(lines["SSI baseline", count]["average_abs_rel"]) == pytest.approx(ssi, rel=1e-12)
        assert float(lines["ours − SSI", count]["average_abs_rel"]) == pytest.approx(ours - ssi, abs=1e-12)
    assert float(lines["teacher", ""]["average_abs_rel"]) == pytest.approx(average("teacher", 0), rel=1e-12)


def test_fig7_draws_the_intervals_that_it_is_given():
    curve = pd.DataFrame({"photos": [100, 20], "mean": [0.5, 0.1], "low": [0.4, 0.2], "high": [0.6, 0.3]})
    axes = new_figure(3, 3).subplots()
    draw_curve(axes, curve, "photos")
    assert sorted(map(tuple, axes.lines[0].get_xydata())) == [(20, 0.1), (100, 0.5)]
    band = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert band == {(20, 0.2), (20, 0.3), (100, 0.4), (100, 0.6)}


def test_fig9_counts_every_pixel_once_and_every_image_alike(results):
    study = _study()
    job = Job(study, "fig9", "", figure_needs(study, "fig9"), results, Path())
    benchmark = benchmark_of(_layout(results), "scenes-indoor")
    edges = np.geomspace(1e-4, 1e3, fig9.BINS + 1)
    found = fig9.density(job, benchmark, Fake("a"), edges)
    assert found.images == SCENES and found.counts.sum() == pytest.approx(SCENES)
    errors = []
    for index in range(SCENES):
        sample = benchmark[index]
        prediction = pictures.predict(Fake("a"), sample.rgb)
        errors.append(
            score(prediction, sample.depth, sample.mask, kind="disparity", dataset="scenes-indoor")["abs_rel"]
        )
    assert found.abs_rel == pytest.approx(np.mean(errors))


def test_fig10_writes_the_points_of_labelled_pixels(results, tmp_path):
    (tmp_path / "fig10").mkdir()
    (tmp_path / "fig10" / "old.ply").touch()
    write_paper_figure(_study(), "fig10", results, tmp_path)
    lines = _numbers(tmp_path / "fig10.csv")
    stems = {Path(line["file"]).stem for line in lines}
    assert {f"{stem}.{kind}" for stem in stems for kind in ("ply", "glb")} == {
        path.name for path in (tmp_path / "fig10").iterdir()
    }
    assert all(line["camera"] == "known" for line in lines)
    indoor = next(line for line in lines if line["file"].startswith("scenes-indoor"))
    sample = benchmark_of(_layout(results), "scenes-indoor")[1]
    assert int(indoor["points"]) == sample.mask.sum()
    content = (tmp_path / "fig10" / indoor["file"]).read_bytes()
    header, points = content.split(b"end_header\n")
    assert f"element vertex {sample.mask.sum()}".encode() in header and len(points) == 15 * sample.mask.sum()


@pytest.mark.parametrize("rendered", [True, False])
def test_fig10_leaves_out_the_sky_where_the_truth_is_sparse(rendered, tmp_path):
    depth = np.zeros((40, 60), np.float32)
    depth[20::3, ::3] = 5  # a sensor's points, below the horizon
    if rendered:
        exact = np.zeros_like(depth)
        exact[10:] = 5
        (tmp_path / "depth").mkdir()
        np.save(tmp_path / "depth" / "0.npy", exact)
    picture = pictures.Picture("d", "rgb/0.png", np.zeros((40, 60, 3), np.uint8), depth, depth > 0, root=tmp_path)
    solid = fig10._solid(picture)
    assert solid[20:, 1:-1].mean() > 0.95 and not solid[: 10 if rendered else 18].any()
    assert solid[10:20].all() == rendered


@pytest.mark.parametrize(("ours", "agrees"), [((0.1, 0.3), None), ((0.3, 0.3), False), ((0.1, 0.1), True)])
def test_fig8_says_whether_details_are_better(ours, agrees):
    values = {"teacher-student": (0.2, 0.2, math.nan), "assistant-student": (*ours, 0.1)}
    numbers = [{"method": role, "edge_abs_rel": value} for role, errors in values.items() for value in errors]
    (outcome,) = fig8.outcomes(numbers)
    assert outcome.agrees is agrees and f"better on {sum(one < 0.2 for one in ours)} of 2 images" in outcome.ours
    assert f"0.2000 and {np.mean(ours):.4f}" in outcome.ours
    assert fig8.outcomes([line | {"edge_abs_rel": math.nan} for line in numbers]) == []


def test_fig10_assumes_distances_where_there_is_no_truth(results):
    study = _study()
    job = Job(study, "fig10", "", figure_needs(study, "fig10"), results, Path())
    picture = pictures.Picture("photos", "a/b.jpg", np.zeros((6, 8, 3), np.uint8))
    cloud = fig10.cloud_of(job, picture, Fake("a"))
    assert (cloud.depth.min(), cloud.depth.max()) == pytest.approx((fig10.NEAR, fig10.FAR))
    assert cloud.file == "photos-a-b.ply" and cloud.numbers["camera"] == "assumed"


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("fig8", {"assistant": None}, "the study names no assistant"),
        ("fig7", {"scaling": []}, "the study names no sizes of photo sets (scaling)"),
    ],
)
def test_placeholder_says_why(name, changes, reason, results, tmp_path):
    (tmp_path / f"{name}.csv").write_text("of another study\n")
    write_paper_figure(_study(**changes), name, results, tmp_path)
    assert reason in (tmp_path / f"{name}.md").read_text()
    assert (tmp_path / f"{name}.png").is_file() and (tmp_path / f"{name}.svg").is_file()
    assert not (tmp_path / f"{name}.csv").exists()


def test_mistakes_are_named(results, tmp_path):
    with pytest.raises(UserError, match="unknown figure 'fig3'; known: fig2, fig4"):
        write_paper_figure(_study(), "fig3", results, tmp_path)
    with pytest.raises(UserError, match=r"there is no manifest .*photos-4\.jsonl"):
        write_paper_figure(_study(), "fig4", tmp_path, tmp_path)
    with pytest.raises(UserError, match="there are no scores of .*; evaluate it first"):
        write_paper_figure(_study(), "fig7", tmp_path, tmp_path)


def test_unfinished_student_is_named(results, tmp_path):
    own = tmp_path / "results" / "tiny"
    own.mkdir(parents=True)
    (own / "benchmarks").symlink_to(results / "tiny" / "benchmarks")
    with pytest.raises(UserError, match="there is no trained student .*: train it first"):
        write_paper_figure(_study(), "fig9", tmp_path / "results", tmp_path)


def test_the_registry_is_light():
    """The workflow imports it for every job."""
    script = """
import sys
from dad.report.figures import FIGURES, figure_needs
from dad.study.cells import load_study
for name in FIGURES:
    figure_needs(load_study("config/mini.yaml"), name)
sys.exit(", ".join(sys.modules.keys() & {"torch", "matplotlib", "pandas", "mlflow"}) or 0)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_folder_is_the_registry():
    folder = Path(pictures.__file__).parent / "figures"
    assert list(FIGURES) == sorted((path.stem for path in folder.glob("fig*.py")), key=figure_number)
    for figure in FIGURES.values():
        assert figure.TITLE and figure.CAPTION.endswith(".") and figure.NOTES and callable(figure.draw)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (0.1, "As in the paper, our method is closer"),
        (0.3, "**The opposite of the paper's figure**: there, our method"),
    ],
)
def test_a_figure_says_when_it_shows_the_opposite(ours, said, tmp_path, results):
    numbers = [
        {"method": name, "dataset": "d", "images": 3, "abs_rel": value}
        for name, value in (("base", 0.2), ("ours", ours))
    ]
    (outcome,) = fig9.outcomes(numbers)
    assert outcome.agrees == (ours < 0.2) and "0.2000 for the baseline" in outcome.ours
    study = _study()
    drawing = Drawing(None, {"pictures": [], "images": 1}, numbers, [outcome])
    job = Job(study, "fig9", "Figure 9", figure_needs(study, "fig9"), results, tmp_path)
    assert said in caption(job, fig9, drawing)


@pytest.mark.parametrize("config", ["config/mini.yaml", "config/photos.yaml"])
def test_needs_are_made_by_the_study(config):
    study = load_study(str(Path(__file__).parents[2] / config))
    cells, models = all_cells(study), all_models(study)
    for name in FIGURES:
        needs = figure_needs(study, name)
        if needs.reason:
            continue
        assert set(needs.cells) <= cells.keys()
        assert set(needs.models) <= set(models.values())
        assert {subject for _, subject in needs.scores} <= cells.keys() | models.keys()
        assert {group for group, _ in needs.scores} <= {"ablation", "zero-shot"}
        assert set(needs.datasets) <= {one.dataset for one in study.scored}
        assert needs.cells or needs.models or needs.scores


def test_ours_is_the_best_that_a_study_has():
    assert figure_needs(_study(), "fig6").method("ours").row.name == "select"
    alone = figure_needs(_study(assistant=None), "fig6")
    assert alone.method("ours").row.name == "cross" and alone.method("assistant") is None


def test_fig10_large_maps_are_thinned_with_their_camera(results, monkeypatch):
    monkeypatch.setattr(fig10, "LARGEST", 20)
    study = _study()
    job = Job(study, "fig10", "", figure_needs(study, "fig10"), results, Path())
    picture = next(pictures.benchmark_pictures(benchmark_of(_layout(results), "scenes-indoor"), 1))
    cloud = fig10.cloud_of(job, picture, Fake("a"))
    assert cloud.depth.shape == cloud.mask.shape == cloud.picture.rgb.shape[:2] == (11, 16)
    points, _ = cloud.of(cloud.picture.depth, cloud.picture.mask)
    monkeypatch.setattr(fig10, "LARGEST", 1024)
    whole, _ = fig10.cloud_of(job, picture, Fake("a")).of(picture.depth, np.ones_like(picture.mask))
    np.testing.assert_allclose(
        points, whole.reshape(32, 48, 3)[::3, ::3].reshape(-1, 3)[cloud.picture.mask.ravel()], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("figure", "facts", "rest"),
    [
        (fig9, {"pictures": [], "images": 1}, ", the first of 3"),
        (fig8, {"teacher": "t", "assistant": "a", "images": "i"}, ""),
    ],
)
def test_the_seeds_that_are_told_are_those_of_the_rows_shown(figure, facts, rest, results, tmp_path):
    study, name = _study(seeds=[0], table_seeds={"table2": [0, 3, 4]}), figure.__name__.rpartition(".")[2]
    job = Job(study, name, "A figure", figure_needs(study, name), results, tmp_path)
    assert f"- students of seed 0{rest}\n" in caption(job, figure, Drawing(None, facts))
