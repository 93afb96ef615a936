"""Tables 2 to 5 and the numbers behind Fig. 7: estimators, references, reasons, averages, rows of different kinds."""

import csv

import numpy as np
import pytest

from dad.analysis.frame import load_frame
from dad.analysis.scores import score_paths
from dad.errors import UserError
from dad.models.plugins import NO_SKILL
from dad.report.tables import SUFFIXES, table_files, write_texts
from dad.study.cells import model_id, table_rows, teacher_rows
from dad.study.paper import paper

ALL = tuple(paper().tables)


@pytest.fixture(scope="module")
def seeded(make_study, whole):
    return make_study(**{**whole.model_dump(exclude={"seeds"}), "seeds": [0, 5]})


@pytest.fixture(scope="module")
def results(tmp_path_factory, whole, seeded, write_scores, paper_like):
    folder = tmp_path_factory.mktemp("all")
    for table in ALL:
        write_scores(seeded, folder, paper_like, table=table, teacher=True)
    return folder


@pytest.fixture(scope="module")
def rendered(whole, results):
    """Table -> (page with its details, lines of the CSV, frame), of one seed."""
    found, reports = {}, results / "reports"
    for table in ALL:
        frame = load_frame(whole, table, results)
        write_texts(frame, reports)
        page = (reports / f"{table}.md").read_text() + (reports / f"{table}_details.md").read_text()
        with open(reports / f"{table}.csv", newline="") as file:
            found[table] = (page, list(csv.DictReader(file)), frame)
    return found


def line_of(lines, **wanted):
    return next(line for line in lines if wanted.items() <= line.items())


def scores_of(results, study, group, subject, dataset, metric="abs_rel"):
    with open(results / study.name / "scores" / group / f"{subject}.csv", newline="") as file:
        return np.array([float(line[metric]) for line in csv.DictReader(file) if line["dataset"] == dataset])


@pytest.mark.parametrize("table", ALL)
def test_no_cell_is_empty_without_a_reason(rendered, table):
    page, lines, _ = rendered[table]
    assert all(line["mean"] or line["reason"] for line in lines)
    assert "nan" not in page
    body = [line for line in page.split("\n- ")[0].splitlines() if line.startswith("|")]
    width = body[0].count("|")
    assert all(line.count("|") == width for line in body if line.startswith(body[0][:4]))


def test_columns_are_those_of_the_tables_groups(rendered):
    ablation = ["scenes-indoor", "scenes-outdoor"]
    for table, names in {"table2": ablation, "table3": ablation[::-1], "table4": ablation}.items():
        assert [column.dataset for column in rendered[table][2].columns] == names
    five = ["scenes-indoor-b", "scenes-driving", "scenes-outdoor", "scenes-indoor-c", "scenes-indoor"]
    assert [column.dataset for column in rendered["table5"][2].columns] == five
    assert [column.dataset for column in rendered["scaling"][2].columns] == ["average", *five]


BESIDE = {model_id(name) for name in ("zoo/big", "zoo/midas-big", "zoo/small", "zoo/midas-small", *NO_SKILL)}
"""What is above Table 3's rows: teachers, the students' starts, no skill; the MiDaS student starts from a teacher."""


def test_score_paths_name_every_group_subject_and_model_above_the_rows(whole, results):
    paths = score_paths(whole, "table3", results)
    cells = [name for row in table_rows(whole, "table3") for name in row.cells]
    assert {subject for _, subject in paths} == {*cells, *BESIDE}
    assert {group for group, _ in paths} == {"ablation"}
    assert {group for group, _ in score_paths(whole, "table5", results)} == {"ablation", "zero-shot"}
    assert paths["ablation", cells[0]] == results / "tiny" / "scores" / "ablation" / f"{cells[0]}.csv"
    assert teacher_rows(whole, "table4") == teacher_rows(whole, "scaling") == ()


def test_percentages_are_relative_to_the_base_row(rendered, results, whole):
    page, lines, _ = rendered["table2"]
    base, ours = (
        line_of(lines, mode=mode, dataset="scenes-indoor", metric="abs_rel") for mode in ("baseline", "cross")
    )
    assert float(ours["percent"]) == pytest.approx(100 * (float(ours["mean"]) / float(base["mean"]) - 1), abs=1e-3)
    assert (ours["paper_percent"], base["percent"], base["paper_percent"]) == ("-25.3", "", "")
    assert "0.056** (−25.3 %) (D3, D15) |" in page
    assert f"({float(ours['percent']):+.1f} %)".replace("-", "−") in page
    paired = line_of(rendered["table3"][1], teacher="midas-l", loss="ours", dataset="scenes-outdoor", metric="abs_rel")
    assert (paired["paper_percent"], paired["reference"]) == ("-10.2", "midas-l-midas-s-base")


def test_differences_are_to_the_reference_row(rendered, results, whole):
    lines = rendered["table5"][1]
    ours = line_of(lines, method="ours-midas", dataset="scenes-driving", metric="abs_rel")
    assert ours["reference"] == "midas-v3.1"
    student = scores_of(results, whole, "zero-shot", ours["cell"], "scenes-driving")
    teacher = scores_of(results, whole, "zero-shot", model_id("zoo/midas-big"), "scenes-driving")
    assert float(ours["ref_difference"]) == pytest.approx((student - teacher).mean(), abs=1e-6)
    assert line_of(lines, method="genpercept", dataset="scenes-driving", metric="abs_rel")["reference"] == ""
    assert {line["reference"] for line in rendered["table1"][1]} == {""}
    assert "## Differences to the table's best" in rendered["table1"][0]
    assert "## Differences to the reference" in rendered["table4"][0]


def test_estimators_say_what_they_are(rendered):
    page, lines, _ = rendered["table4"]
    assert "| Genpercept(Disparity) (w/o), here `zoo/diffusion` |" in page
    assert "re-evaluations, not copies of printed numbers" in page
    assert line_of(lines, supervision="assistant")["cell"] == model_id("zoo/diffusion")
    assert "| student of G alone |" in page


def test_every_printed_row_of_table_5_is_there_with_its_mark(rendered):
    page, lines, _ = rendered["table5"]
    assert page.count("| DiverseDepth | not run (a) | 0.117‡ (D10) |") == 1
    assert page.count("| not run (a) | 0.875‡ (D10) |") == 1
    assert "| 0.131‡ (D6) |" in page
    assert "(a) Not run, because printed only: the study names no model of this method: DiverseDepth; MiDaS;" in page
    printed = [line for line in lines if line["paper"]]
    assert len(printed) == 114
    assert line_of(lines, method="marigold", metric="delta1", dataset="scenes-indoor")["notes"] == "D8"
    first = next(index for index, line in enumerate(page.splitlines()) if "δ1↑" in line)
    assert first < page.splitlines().index(
        "## What came out otherwise than in the paper"
    )  # both metrics above the rest


def test_the_average_is_over_the_means_of_the_benchmarks(rendered, results, whole):
    lines = rendered["scaling"][1]
    own = [line for line in lines if (line["method"], line["photos"], line["metric"]) == ("ours", "20", "abs_rel")]
    assert own[0]["dataset"] == "average"
    assert float(own[0]["mean"]) == pytest.approx(np.mean([float(line["mean"]) for line in own[1:]]), abs=1e-6)
    assert own[0]["n"] == str(5 * 24)
    assert {line["reference"] for line in own} == {"ssi-20"}
    width = {line["dataset"]: float(line["ci_high"]) - float(line["ci_low"]) for line in own}
    assert width["average"] < min(value for name, value in width.items() if name != "average")


def test_what_was_run_is_told_per_row_where_it_differs(rendered):
    table3, scaling, table1 = (
        rendered[name][0].split("## What was run")[1] for name in ("table3", "scaling", "table1")
    )
    assert "| MiDaS-L, MiDaS-S, Ours | `zoo/midas-big` | `zoo/midas-small`, starting from its encoder" in table3
    assert "without feature alignment" in table3
    assert "| Ours, 40 | cross, hybrid | 40 rendered photos" in scaling
    assert "of the teachers `zoo/big` / `zoo/midas-big`;" in rendered["table3"][0]
    assert "from 10 / 20 / 40 / 80 rendered photos (indoor" in rendered["scaling"][0]
    assert "| Row |" not in table1
    assert "- Student: `zoo/small`" in table1
    page = rendered["table4"][0]
    assert "and the assistant `zoo/diffusion`, selected with probability 0.3" in page


def test_an_estimator_is_compared_with_all_seeds(seeded, results):
    result = load_frame(seeded, "table4", results)
    teacher_row = result.row_of({"supervision": "teacher"})
    values = result.value(teacher_row, result.columns[0], "abs_rel")
    students = [
        scores_of(results, seeded, "ablation", name, "scenes-indoor")
        for name in result.row_of({"supervision": "teacher-student"}).cells
    ]
    teacher = scores_of(results, seeded, "ablation", model_id("zoo/big"), "scenes-indoor")
    assert (values["dataset"], values["seeds"], result.repeats) == ("scenes-indoor", 1, 2)
    assert values["ref_difference"] == pytest.approx((teacher - np.stack(students)).mean())


def test_a_study_without_assistant_networks_and_sizes_still_renders_every_table(
    study, tmp_path, write_scores, paper_like
):
    for table in ALL:
        write_scores(study, tmp_path, paper_like, table=table, teacher=True)
        files = table_files(study, table, tmp_path, tmp_path / "reports")
        assert [path.name for path in files] == [f"{table}{suffix}" for suffix in SUFFIXES]
        assert all(path.stat().st_size > 500 for path in files)
    page = "".join((tmp_path / "reports" / name).read_text() for name in ("table3.md", "table3_details.md"))
    rows = "; ".join(f"DA-L, DA-S, {loss}" for loss in ("Base", "Base + random crops", "Base + both contexts", "Ours"))
    assert f"(a) Not run, because the study names no da-l and no da-s (architectures): {rows}." in page
    assert "Benchmarks: none: no row has scores" in page
    table5 = (tmp_path / "reports" / "table5.md").read_text()
    assert "- NYUv2, KITTI, ScanNet: in the paper's table, but this study has no data set for it" in table5
    assert "| 0.074‡ (D6) |" in table5  # KITTI, printed alone


def test_a_study_without_any_benchmark_of_a_table_is_refused(make_study, tmp_path):
    study = make_study(benchmarks=[{"dataset": "nyuv2", "root": "data"}])
    with pytest.raises(UserError, match="has no benchmark that table1 reports"):
        table_files(study, "table1", tmp_path, tmp_path)


@pytest.mark.parametrize("table", ["table3", "table5", "scaling"])
def test_figures_of_all_tables_repeat_byte_by_byte(whole, results, tmp_path, table):
    first = [path.read_bytes() for path in table_files(whole, table, results, tmp_path / "a")]
    assert [path.read_bytes() for path in table_files(whole, table, results, tmp_path / "b")] == first
    assert b"<dc:date>" not in first[5]
