import csv
import json
import re

import numpy as np
import pytest

from dad.analysis.columns import table_columns
from dad.analysis.frame import load_frame
from dad.analysis.provenance import duration
from dad.analysis.scores import score_paths
from dad.errors import UserError
from dad.report.tables import SUFFIXES, table_files, write_texts
from dad.study.cells import model_id, table_rows
from dad.study.layout import Layout

COLUMNS = [
    "cell",
    "mode",
    "normalization",
    "dataset",
    "protocol",
    "metric",
    "mean",
    "ci_low",
    "ci_high",
    "n",
    "seeds",
    "paper",
]
COLUMNS += ["difference_to_best", "diff_low", "diff_high", "p_holm", "effect", "stands_for", "reason"]
FURTHER = [
    "reference",
    "ref_difference",
    "ref_low",
    "ref_high",
    "ref_p_holm",
    "ref_effect",
    "percent",
    "paper_percent",
    "notes",
]


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def provenance_paths(study, results, table="table1"):
    cells = [cell for row in table_rows(study, table) for cell in row.cells]
    return {cell: Layout(study, results).run(cell) / "provenance.json" for cell in cells}


def write_provenance(study, results, **changes):
    values = {
        "device": "cpu, Some Processor, 1 thread",
        "wall_seconds": 31.0,
        "steps": 20,
        "git_commit": "0123456789abcdef",
        "git_dirty": False,
        "versions": {"torch": "2.15.0", "python": "3.11.2"},
        "started": "2026-11-22T10:00:00Z",
        "photos_used": 12,
        "photos_too_small": 1,
        "dead_head_cured": False,
        "parameters": 1234567,
        **changes,
    }
    for cell, path in provenance_paths(study, results).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cell": cell, **values}))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of `study`, for the tests that only look at them."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def files(study, results, write_scores, paper_like):
    write_scores(study, results, paper_like)
    write_provenance(study, results)
    return table_files(study, "table1", results, results / "reports")


@pytest.fixture
def own(tmp_path):
    """A results folder of the test's own."""
    return tmp_path


def page_of(study, results):
    """Render without the figure and return the page with its details, and the lines of the CSV."""
    out = results / "reports"
    write_texts(load_frame(study, "table1", results), out)
    return (out / "table1.md").read_text() + (out / "table1_details.md").read_text(), read_csv(out / "table1.csv")


def test_the_csv_has_a_line_per_row_data_set_and_metric_with_means_of_the_files(study, results, files):
    lines = read_csv(files[0])
    assert list(lines[0]) == COLUMNS + FURTHER
    assert len(lines) == 8 * 2 * 2
    assert [line["normalization"] for line in lines[::4]] == ["global", "none", "local", "hybrid"] * 2
    paths = score_paths(study, "table1", results)
    best = {}
    for line in lines:
        scores = [
            float(row[line["metric"]])
            for row in read_csv(paths["ablation", line["cell"]])
            if row["dataset"] == line["dataset"]
        ]
        assert float(line["mean"]) == pytest.approx(np.mean(scores), abs=1e-6)
        assert float(line["ci_low"]) < float(line["mean"]) < float(line["ci_high"])
        assert (line["n"], line["seeds"], line["protocol"]) == ("24", "1", "marigold@1")
        best.setdefault((line["dataset"], line["metric"]), []).append(np.mean(scores))
    for line in lines:
        means = best[line["dataset"], line["metric"]]
        extreme = min(means) if line["metric"] == "abs_rel" else max(means)
        assert float(line["difference_to_best"]) == pytest.approx(float(line["mean"]) - extreme, abs=2e-6)
        assert (line["p_holm"] == "") == (float(line["difference_to_best"]) == 0)


def test_the_csv_names_the_stand_in_and_the_printed_number_beside_it(files):
    found = {
        (line["mode"], line["normalization"], line["dataset"], line["metric"]): line for line in read_csv(files[0])
    }
    assert found["shared", "global", "scenes-indoor", "abs_rel"]["paper"] == "0.064"
    assert found["local-global", "none", "scenes-outdoor", "abs_rel"]["paper"] == "0.3"
    assert found["shared", "global", "scenes-indoor", "abs_rel"]["stands_for"] == "ETH3D"
    assert found["shared", "global", "scenes-indoor", "delta1"]["paper"] == ""


def test_the_page_has_ours_and_the_printed_numbers_side_by_side(files):
    page = files[1].read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    header, _, *body = rows[:10]
    assert header[2] == "ours: scenes-indoor (for ETH3D), AbsRel↓"
    assert header[3] == "printed: ETH3D, AbsRel↓"
    assert header[4].startswith("ours: scenes-outdoor (for DIODE)")
    assert [row[1] for row in body] == ["Global Norm.", "No Norm.", "Local Norm.", "Hybrid Norm."] * 2
    assert [row[0] for row in body if row[0]] == ["Shared-Context Distillation", "Local-Global Distillation"]
    assert [row[3].split(" ")[0] for row in body] == [
        "0.064",
        "**0.057**",
        "0.070",
        "**0.057**",
        "0.065",
        "0.273",
        "0.076",
        "**0.064**",
    ]
    assert [row[5].split(" ")[0] for row in body] == [
        "0.259",
        "0.239",
        "0.245",
        "**0.238**",
        "0.239",
        "0.300",
        "0.244",
        "**0.238**",
    ]
    means = {
        (line["mode"], line["normalization"]): line
        for line in read_csv(files[0])
        if (line["dataset"], line["metric"]) == ("scenes-indoor", "abs_rel")
    }
    ours = [
        f"{float(line['mean']):.3f} [{float(line['ci_low']):.3f}, {float(line['ci_high']):.3f}]"
        for line in means.values()
    ]
    assert [row[2].replace("*", "") for row in body] == ours
    for block in (body[:4], body[4:]):
        values = [row[2].replace("*", "").split(" ")[0] for row in block]
        assert [row[2].startswith("**") for row in block] == [value == min(values) for value in values]


def test_the_teacher_stands_above_its_students(study, own, write_scores, paper_like):
    write_scores(study, own, paper_like)
    without = page_of(study, own)
    write_scores(study, own, lambda row, *_: 0.11 if row.model else paper_like(row, *_), teacher=True)
    page, _ = page_of(study, own)
    lines = page.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("| :---"))
    teacher = [cell.strip() for cell in lines[first + 1].strip("|").split("|")]
    assert teacher[0] == f"the teacher, `{study.teacher}`"
    assert teacher[1::2] == ["", "–", "–"]
    path = score_paths(study, "table1", own)["ablation", model_id(study.teacher)]
    mean = np.mean([float(line["abs_rel"]) for line in read_csv(path) if line["dataset"] == "scenes-indoor"])
    assert teacher[2].startswith(f"{mean:.3f} [")
    assert "the teacher, `" not in without[0]


def test_the_page_says_what_was_run(files):
    page = files[1].read_text() + files[2].read_text()
    for said in (
        "8 students of study `tiny` (made-up scores): `zoo/small`, starting from its encoder with a random head, seed "
        "0, of the",
        "20 steps × 4 crops of 28 px from 12 rendered photos (indoor, outdoor; 48×32)",
        "cpu, Some Processor, 1 thread, 4 min 08 s of training; commit `0123456789ab`",
        "python 3.11.2, torch 2.15.0",
        "1,234,567 parameters",
        "used 12, too small 1",
        "one seed: the intervals cover the images only",
        "D16: Gaps at or below the noise floor",
    ):
        assert said in page, said
    assert "uncommitted" not in page
    assert "Dead heads" not in page


def test_unknown_provenance_is_said_to_be_unknown(study, own, write_scores, paper_like):
    write_scores(study, own, paper_like)
    page, _ = page_of(study, own)
    assert "hardware unknown, an unknown time of training; commit unknown" in page
    assert "unknown parameters" in page


def test_differing_provenance_is_not_averaged_away(study, own, write_scores, paper_like):
    write_scores(study, own, paper_like)
    write_provenance(study, own, git_dirty=True, versions={"torch": "2.15.0"}, dead_head_cured=True)
    cell, path = next(iter(provenance_paths(study, own).items()))
    path.write_text(
        json.dumps({"device": "gpu", "versions": {"torch": "2.14.0"}, "wall_seconds": 3800, "parameters": 5})
    )
    page, _ = page_of(study, own)
    assert "gpu / cpu, Some Processor, 1 thread" in page
    assert "torch 2.14.0 / 2.15.0" in page
    assert "unknown, `0123456789ab` with uncommitted changes" in page
    assert "31 s to 1 h 03 min per cell" in page
    assert "5 to 1,234,567 parameters" in page
    assert "used 12 (unknown for some cells)" in page
    cured = next(line for line in page.splitlines() if line.startswith("- Dead heads"))
    assert cured.count("`") == 14
    assert cell not in cured


def test_the_same_inputs_give_the_same_bytes(study, results, files):
    before = [path.read_bytes() for path in files]
    again = table_files(study, "table1", results, results / "again")
    assert [path.name for path in again] == [f"table1{suffix}" for suffix in SUFFIXES]
    assert [path.read_bytes() for path in again] == before


def test_several_seeds_are_one_row_and_join_their_cells(make_study, own, write_scores, paper_like):
    study = make_study(seeds=[0, 3])
    write_scores(study, own, paper_like)
    page, lines = page_of(study, own)
    assert len(lines) == 32
    assert {line["seeds"] for line in lines} == {"2"}
    assert lines[0]["cell"] == "+".join(table_rows(study, "table1")[0].cells)
    assert "2 seeds: the intervals cover images and seeds" in page
    assert "16 students" in page


def test_a_cell_that_stands_in_two_rows_is_one_student(study, own, write_scores, paper_like):
    write_scores(study, own, paper_like, table="weights")
    write_texts(load_frame(study, "weights", own), own / "reports")
    cells = [cell for row in table_rows(study, "weights") for cell in row.cells]
    assert len(set(cells)) < len(cells)
    assert f"- {len(set(cells))} students of study" in (own / "reports" / "weights.md").read_text()


def test_a_row_that_can_not_be_trained_is_printed_with_its_reason(make_study, own, write_scores, paper_like):
    study = make_study(loss={"local_global": 0})
    write_scores(study, own, paper_like)
    files = table_files(study, "table1", own, own / "reports")
    lines = [line for line in read_csv(files[0]) if line["mode"] == "local-global"]
    assert len(lines) == 16
    assert {(line["cell"], line["mean"], line["n"]) for line in lines} == {("", "", "")}
    assert all("no distillation term" in line["reason"] for line in lines)
    page = files[1].read_text()
    assert page.count("not run (a)") == 8
    assert files[2].read_text().count("not run (a)") == 8
    assert (
        "- (a) Not run, because local-global distillation with loss.local_global: 0 has no distillation term left: "
        in page
    )


def test_a_data_set_that_the_paper_does_not_have_is_an_extra_column(
    make_study, own, write_scores, paper_like, tmp_path
):
    study = make_study(samples=str(tmp_path))
    assert [(column.dataset, column.paper) for column in table_columns(study, "table1")] == [
        ("scenes-indoor", "ETH3D"),
        ("scenes-outdoor", "DIODE"),
        ("samples", None),
    ]
    write_scores(study, own, paper_like)
    page, _ = page_of(study, own)
    header = next(line for line in page.splitlines() if line.startswith("| Method"))
    assert header.endswith("| printed: DIODE, AbsRel↓ | ours: samples, AbsRel↓ |")
    assert "- samples: not in the paper." in page


def test_images_of_few_scenes_and_images_without_pixels_are_mentioned(
    study, own, write_scores, edit_scores, paper_like
):
    for path in write_scores(study, own, paper_like).values():
        edit_scores(path, lambda lines: [line | {"scene": "room"} for line in lines])
        edit_scores(path, lambda lines: [lines[0] | {"n": "0", "abs_rel": "nan", "delta1": "nan"}, *lines[1:]])
    page, lines = page_of(study, own)
    assert "- scenes-indoor: 24 images from 1 scenes." in page
    assert "- Images left out: 1 of scenes-outdoor (no scored pixel)" in page
    assert {line["n"] for line in lines if line["dataset"] == "scenes-outdoor"} == {"23"}


def test_a_metric_that_is_not_a_number_is_shown_as_none(study, own, write_scores, edit_scores, paper_like):
    paths = write_scores(study, own, paper_like)
    edit_scores(next(iter(paths.values())), lambda lines: [lines[0] | {"abs_rel": "nan"}, *lines[1:]])
    files = table_files(study, "table1", own, own / "reports")
    line = next(
        line for line in read_csv(files[0]) if (line["dataset"], line["metric"]) == ("scenes-outdoor", "abs_rel")
    )
    assert (line["mean"], line["difference_to_best"]) == ("", "")
    assert files[4].stat().st_size > 0


def drop(dataset):
    return lambda lines: [line for line in lines if line["dataset"] != dataset]


def change_all(**values):
    return lambda lines: [line | values for line in lines]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("scenes-indoor"), "has no scores on scenes-indoor under marigold@1"),
        (change_all(protocol="moge@1"), "has no scores on scenes-indoor under marigold@1"),
        (change_all(protocol_hash="ffffffff"), "mixes scores under different rules"),
        (change_all(model="other"), "holds the scores of other, not of "),
        (lambda lines: lines[:-1], "not scored on the same pixels of scenes-indoor"),
        (lambda lines: [lines[0] | {"n": "7"}, *lines[1:]], "not scored on the same pixels of scenes-outdoor"),
        (lambda lines: [*lines, lines[0]], "two lines for rgb/000000.png on scenes-outdoor"),
        (lambda lines: [lines[0] | {"abs_rel": "much"}, *lines[1:]], "is not a table of scores"),
    ],
)
def test_scores_that_can_not_be_compared_are_refused(
    study, own, write_scores, edit_scores, paper_like, change, message
):
    paths = write_scores(study, own, paper_like)
    edit_scores(list(paths.values())[2], change)
    with pytest.raises(UserError, match=message) as error:
        load_frame(study, "table1", own)
    assert "\n" not in str(error.value)


def test_a_missing_score_file_and_an_unknown_table_are_refused(study, own, write_scores, paper_like):
    paths = write_scores(study, own, paper_like)
    (_, cell), path = list(paths.items())[5]
    path.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=rf"{cell}\.csv has no summary beside it .*: evaluate {cell} again"):
        table_files(study, "table1", own, own / "reports")
    path.unlink()
    with pytest.raises(UserError, match=f"no scores of {cell}"):
        table_files(study, "table1", own, own / "reports")
    assert not (own / "reports").exists()
    with pytest.raises(UserError, match="unknown table 'table7'"):
        table_files(study, "table7", own, own / "reports")


def test_a_real_benchmark_is_no_stand_in(make_study):
    study = make_study(benchmarks=[{"dataset": "nyuv2", "root": "data"}, {"dataset": "eth3d", "root": "data"}])
    eth3d, nyuv2 = ("eth3d", "ETH3D", False, "ETH3D"), ("nyuv2", "NYUv2", False, "NYUv2")
    for table, expected in (("table1", [eth3d]), ("table5", [nyuv2, eth3d])):
        columns = table_columns(study, table)
        assert [(column.dataset, column.paper, column.stand_in, column.title) for column in columns] == expected


def test_a_stand_in_for_nothing_known_is_refused(make_study):
    benchmark = {"dataset": "scenes-indoor", "count": 2, "seed": 9, "height": 32, "width": 48, "stands_for": "Sintel"}
    with pytest.raises(UserError, match="stands_for 'Sintel' is not a benchmark of the paper"):
        table_columns(make_study(benchmarks=[benchmark]), "table1")


def test_broken_provenance_is_refused(study, own, write_scores, paper_like):
    write_scores(study, own, paper_like)
    write_provenance(study, own)
    next(iter(provenance_paths(study, own).values())).write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        table_files(study, "table1", own, own / "reports")


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.6, "42 s"), (185, "3 min 05 s"), (7620, "2 h 07 min"), (3599.7, "1 h 00 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_words_of_a_table_of_ones_own_move_no_number_into_another_column(make_study, own, write_scores):
    """Bars, line breaks and what LaTeX reads otherwise are text, and every line has as many cells as the header."""
    table = {
        "title": "50 % of $x_1$ \\input{y} ~ ^",
        "grid": {"mode": ["shared", "cross"], "normalization": ["global", "hybrid"]},
        "headings": {"mode": "Mode | kind"},
        "labels": {"mode": {"shared": "a | b\nc", "cross": "{d}"}},
    }
    study = make_study(tables={"mine": table})
    write_scores(study, own, lambda row, dataset, seed: 0.2, table="mine", teacher=True)
    write_texts(load_frame(study, "mine", own), own / "reports")
    text = (own / "reports" / "mine.md").read_text()
    assert "Mode \\| kind" in text and "a \\| b c" in text
    for page in ("mine.md", "mine_details.md"):
        header = 0
        for line in (own / "reports" / page).read_text().splitlines():
            bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert bars in (header, 0) or header == 0, line
            header = bars
    tex = (own / "reports" / "mine.tex").read_text()
    assert r"50 \% of \$x\_1\$ \textbackslash{}input\{y\} \textasciitilde{} \textasciicircum{}" in tex
    assert r"\{d\}" in tex
