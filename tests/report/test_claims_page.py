"""Claims over all tables, trends, and what `dad claims` writes."""

import csv

import numpy as np
import pytest
from scipy import stats

from dad.analysis.claims import compared, findings, matching, slope_weights
from dad.analysis.frame import load_frame
from dad.analysis.scores import score_paths
from dad.analysis.verdicts import judge
from dad.cli import main
from dad.errors import UserError
from dad.report.claims_page import cited_by, claims_files, discrepancies_page
from dad.study.cells import table_rows
from dad.study.claims import claims
from dad.study.paper import paper


@pytest.fixture(scope="module")
def results(tmp_path_factory, whole, write_scores, paper_like):
    folder = tmp_path_factory.mktemp("claims")
    for table in paper().tables:
        write_scores(whole, folder, paper_like, table=table, teacher=True)
    return folder


@pytest.fixture(scope="module")
def written(whole, results):
    files = claims_files(whole, results, results / "reports")
    assert [path.name for path in files] == ["claims.md", "claims.csv", "discrepancies.md"]
    with open(files[1], newline="") as file:
        return files[0].read_text(), list(csv.DictReader(file)), files


def found_for(study, folder, claim):
    table = next(one.table for one in claims() if one.id == claim)
    return next(finding for finding in judge(study, table, folder).findings if finding.claim.id == claim)


def test_scores_as_printed_hold_every_claim_that_the_printed_numbers_do(whole, tmp_path, write_scores, paper_like):
    otherwise = set()
    for table in paper().tables:  # each by itself: tables share cells, which the paper prints differently
        write_scores(whole, tmp_path / table, paper_like, table=table, teacher=True, noise=0.001)
        found = judge(whole, table, tmp_path / table).findings
        otherwise |= {finding.claim.id for finding in found if finding.verdict != "held"}
    # Table 4's caption against the student of the teacher alone (D15), the text on Table 5 (D14); what the made-up
    # scores of rows that are not in print say of edges is made up, too
    assert otherwise == {
        "select-consistently-beats-the-teacher-alone",
        "student-surpasses-its-teacher",
        "generative-teacher-finer-edges",
    }


def test_the_page_has_the_verdicts_first_and_what_they_rest_on(written):
    page, lines, _ = written
    assert list(dict.fromkeys(line["claim"] for line in lines)) == [claim.id for claim in claims()]
    assert page.index("| Table |") < page.index("## How a verdict is reached") < page.index("## Table 1:")
    assert "Its noise floor, 0.001" in page
    assert "Protocol `marigold@1`" in page
    assert "seeds: 0. One seed: the intervals cover the images only" in page
    assert "within its noise floor, which contradicts the statement" in page


def test_the_csv_has_the_numbers_of_each_comparison(written, whole, results):
    lines = [line for line in written[1] if line["claim"] == "every-architecture-gains"]
    assert len(lines) == 3 * 2
    result = load_frame(whole, "table3", results)
    for line in lines:
        means = result.lines[result.lines["metric"] == "abs_rel"].set_index(["row", "dataset"])["mean"]
        row, other = (means[line[name], line["dataset"]] for name in ("row", "other"))
        assert float(line["difference"]) == pytest.approx(other - row, abs=2e-6)
        assert line["row"] == line["other"].replace("base", "ours")
        assert (line["n"], line["seeds"], line["printed_holds"]) == ("24", "1", "True")


def test_the_same_files_give_the_same_bytes(whole, results, written):
    again = claims_files(whole, results, results / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written[2]]


def test_a_table_that_was_not_run_is_said_not_to_be(study, tmp_path):
    page = claims_files(study, tmp_path, tmp_path)[0].read_text()
    assert f"{len(claims())} cannot be asked" in page
    assert "Table 4 was not run: 2 of 2 score files are missing" in page
    assert {finding.verdict for finding in judge(study, "table2", tmp_path).findings} == {"cannot be asked"}


def test_a_claim_whose_rows_are_not_in_the_study_can_not_be_asked(study, tmp_path, write_scores, paper_like):
    write_scores(study, tmp_path, paper_like, table="table4")
    judged = judge(study, "table4", tmp_path)
    assert judged.frame is not None
    # Fig. 2 is a statement about each estimator by itself, and the teacher is there
    rest = [finding for finding in judged.findings if finding.claim.id != "local-alignment-better"]
    assert len(rest) == len(judged.findings) - 1 and {finding.verdict for finding in rest} == {"cannot be asked"}
    assert all(finding.missing for finding in judged.findings)


def test_scores_that_can_not_be_compared_are_not_passed_over(study, tmp_path, write_scores, edit_scores, paper_like):
    paths = write_scores(study, tmp_path, paper_like, table="table2", teacher=True)
    edit_scores(next(iter(paths.values())), lambda lines: lines[:-1])
    with pytest.raises(UserError, match="not scored on the same pixels"):
        judge(study, "table2", tmp_path)


def test_rows_are_matched_by_the_levels_they_name(whole, results):
    result = load_frame(whole, "scaling", results)
    names = [row.name for row in matching(result, {"method": "ours"})]
    assert names == ["ours-10", "ours-20", "ours-40", "ours-80"]
    assert [row.name for row in matching(result, {"method": "ours", "photos": "largest"})] == ["ours-80"]
    assert [row.name for row in matching(result, {"method": "ssi", "photos": "smallest"})] == ["ssi-10"]
    assert matching(result, {"method": "nobody", "photos": "largest"}) == []
    ahead = next(finding for finding in findings(result) if finding.claim.id == "ours-ahead-at-every-size")
    assert [(check.rows[0].factors["photos"], check.others[0].factors["photos"]) for check in ahead.checks] == [
        (size, size) for size in ("10", "20", "40", "80")
    ]


def gaps(study, folder, count, seed=0):
    """Per benchmark: SSI minus ours at one size, image by image, read from the files."""
    rows = {row.name: next(iter(row.cells)) for row in table_rows(study, "scaling") if row.cells}
    found = []
    for (group, subject), path in score_paths(study, "scaling", folder).items():
        if subject != rows[f"ours-{count:g}"]:
            continue
        other = score_paths(study, "scaling", folder)[group, rows[f"ssi-{count:g}"]]
        with open(path, newline="") as ours, open(other, newline="") as theirs:
            pairs = list(zip(csv.DictReader(ours), csv.DictReader(theirs), strict=True))
        for dataset in dict.fromkeys(line["dataset"] for line, _ in pairs):
            found.append([float(b["abs_rel"]) - float(a["abs_rel"]) for a, b in pairs if a["dataset"] == dataset])
    return np.array(found)


def test_a_trend_is_the_difference_of_gaps_with_slope_and_rank_correlation(whole, results):
    finding = found_for(whole, results, "gap-widens-with-data")
    (trend,) = finding.checks
    assert trend.relation == "trend"
    assert finding.verdict == "held"
    levels = [float(row.factors["photos"]) for row in trend.rows]
    assert levels == [10, 20, 40, 80]
    by_hand = [gaps(whole, results, count).mean() for count in levels]  # equally many images per benchmark
    assert trend.ours == pytest.approx(by_hand)
    assert trend.interval.mean == pytest.approx(by_hand[-1] - by_hand[0])
    assert trend.judged.mean == pytest.approx(stats.linregress(np.log2(levels), by_hand).slope)
    assert trend.spearman == pytest.approx(stats.spearmanr(levels, by_hand).statistic)
    comparison = trend.comparison.model_copy(update={"others": ()})
    frame = load_frame(whole, "scaling", results)
    alone = compared(frame, comparison, matching(frame, {"method": "ours"}), (), trend.column)
    assert list(alone.ours) == sorted(alone.ours, reverse=True)
    assert (alone.others, alone.spearman > 0.99) == ((), True)


def level_of(ours, ssi):
    """Scores by method and size; `ours` and `ssi` are functions of log2 of the size."""

    def level(row, dataset, seed):
        size = np.log2(int(row.factors["photos"]) or 1)
        return {"ours": ours(size), "ssi": ssi(size), "teacher": 0.28}[row.factors["method"]]

    return level


@pytest.mark.parametrize(
    ("ours", "ssi", "verdict"),
    [
        (lambda size: 0.30 - 0.02 * size, lambda size: 0.40, "held"),
        (lambda size: 0.20 + 0.02 * size, lambda size: 0.40, "did not hold"),
        (lambda size: 0.30, lambda size: 0.40, "undecided"),
    ],
)
def test_verdicts_on_trends(whole, tmp_path, write_scores, ours, ssi, verdict):
    write_scores(whole, tmp_path, level_of(ours, ssi), table="scaling", noise=0.05)
    assert found_for(whole, tmp_path, "gap-widens-with-data").verdict == verdict


def test_one_size_has_no_trend(make_study, whole, tmp_path, write_scores, paper_like):
    study = make_study(**{**whole.model_dump(), "scaling": (20,)})
    write_scores(study, tmp_path, paper_like, table="scaling")
    finding = found_for(study, tmp_path, "gap-widens-with-data")
    assert (finding.verdict, finding.missing) == ("cannot be asked", 1)
    assert found_for(study, tmp_path, "ours-ahead-at-every-size").verdict == "held"


def test_slope_weights_give_the_least_squares_slope():
    heights = np.random.default_rng(3).random(5)
    levels = (10, 25, 50, 100, 200)
    assert np.dot(slope_weights(levels), heights) == pytest.approx(stats.linregress(np.log2(levels), heights).slope)


def test_the_log_has_every_note_once_with_who_cites_it():
    page = discrepancies_page()
    for name, note in paper().notes.items():
        assert page.count(f"- **{name}** (") == 1
        assert note.text in page
    assert cited_by("D14") == ["Table 5", "`student-surpasses-its-teacher`"]
    assert "Cited by Table 5, `student-surpasses-its-teacher`." in page


def test_the_verb_writes_its_files_and_names_them(tmp_path, capsys):
    assert main(["claims", "--results", str(tmp_path / "none"), "--out", str(tmp_path / "reports")]) == 0
    said = capsys.readouterr().out.split()
    assert said == [str(tmp_path / "reports" / name) for name in ("claims.md", "claims.csv", "discrepancies.md")]
