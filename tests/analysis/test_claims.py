import math
from dataclasses import replace

import numpy as np
import pytest

from dad.analysis.claims import Evidence, better, close, corrected, findings, orderings
from dad.analysis.estimates import Estimate
from dad.analysis.frame import load_frame
from dad.analysis.verdicts import check_line
from dad.report.tables import write_texts


@pytest.fixture
def load(results, write_scores, study):
    def run(level, study=study, **options):
        write_scores(study, results, level, **options)
        return load_frame(study, "table1", results)

    return run


def page_of(study, results):
    write_texts(load_frame(study, "table1", results), results / "reports")
    return "".join((results / "reports" / name).read_text() for name in ("table1.md", "table1_details.md"))


def verdicts(result):
    return {finding.claim.id: finding.verdict for finding in findings(result)}


def test_cells_that_behave_as_the_paper_prints_hold_every_claim(load, paper_like):
    found = verdicts(load(paper_like))
    assert found.pop("shared-none-close") == "held"
    assert set(found.values()) == {"held"}
    assert len(found) == 9


def test_a_local_global_cell_that_does_not_fail_is_reported(load, paper_like):
    def level(row, dataset, seed):
        return 0.11 if tuple(row.factors.values()) == ("local-global", "none") else paper_like(row, dataset, seed)

    found = verdicts(load(level))
    assert found["local-global-none-fails"] == "did not hold"
    assert found["none-drops-from-shared"] == "did not hold"
    assert found["shared-hybrid-leads"] == "held"


def test_equal_cells_are_close_and_otherwise_undecided(load):
    # equal up to noise: no interval excludes zero by more than chance, and a margin of 5 % holds easily
    found = verdicts(load(lambda row, dataset, seed: 0.1, noise=0.01))
    assert found["shared-none-close"] == "held"
    assert found["local-global-global-close"] == "held"
    assert found["local-global-none-fails"] == "did not hold"  # 1.2 times the error is excluded


def test_the_difference_that_is_judged_is_the_one_of_the_means(load, paper_like):
    result = load(paper_like)
    finding = next(finding for finding in findings(result) if finding.claim.id == "local-global-none-fails")
    assert len(finding.checks) == 6
    for check in finding.checks:
        assert check.interval.mean == pytest.approx(check.ours[1] - 1.2 * check.ours[0])
        assert check.printed[1] == {"ETH3D": 0.273, "DIODE": 0.300}[check.column.paper]
        assert not check.within_noise
    close = next(finding for finding in findings(result) if finding.claim.id == "shared-none-close")
    assert all(check.within_noise for check in close.checks)


def test_a_data_set_that_is_missing_leaves_a_claim_undecided(load, make_study, paper_like):
    study = make_study()
    study = make_study(benchmarks=[study.benchmarks[1].model_dump()])
    result = load(paper_like, study=study)
    finding = next(finding for finding in findings(result) if finding.claim.id == "shared-hybrid-leads")
    assert (len(finding.checks), finding.missing, finding.verdict) == (2, 2, "undecided")
    assert {check.verdict for check in finding.checks} == {"held"}


def test_orderings_are_the_printed_pairs_beyond_the_noise_floor(load, paper_like):
    found = orderings(load(paper_like))
    # 28 pairs per data set; within 0.001 on ETH3D: 0.057 twice, 0.064 twice and 0.065; on DIODE: 0.238 and 0.239 twice
    # each, 0.244 and 0.245
    assert len(found) == (28 - 4) + (28 - 7)
    assert all(pair.printed[0] < pair.printed[1] for pair in found)


def test_reversed_orderings_are_named(load, study, results, write_scores, paper_like):
    def level(row, dataset, seed):
        value = paper_like(row, dataset, seed)
        return 0.5 if tuple(row.factors.values()) == ("shared", "hybrid") and dataset == "scenes-outdoor" else value

    reversed_pairs = [pair for pair in orderings(load(level)) if pair.verdict == "did not hold"]
    assert {(pair.rows[0].name, pair.column.dataset) for pair in reversed_pairs} == {
        ("shared-hybrid", "scenes-outdoor")
    }
    assert all(pair.interval.high < 0 for pair in reversed_pairs)
    page = page_of(study, results)
    assert f"reversed in {len(reversed_pairs)}." in page
    assert "- scenes-outdoor, Shared-Context Distillation: " in page


def test_the_page_has_a_line_per_claim_and_tells_what_came_out_otherwise_first_in_numbers(
    study, results, write_scores, paper_like
):
    def level(row, dataset, seed):
        return 0.3 if tuple(row.factors.values()) == ("shared", "hybrid") else paper_like(row, dataset, seed)

    write_scores(study, results, level)
    frame = load_frame(study, "table1", results)
    section = (
        page_of(study, results).split("## What came out otherwise than in the paper")[1].split("## How to read")[0]
    )
    lines = [line for line in section.splitlines() if line.startswith("- **")]
    verdicts = [line.split("**")[1].lower() for line in lines]
    assert verdicts == sorted(verdicts, key=("did not hold", "undecided", "held").index)
    assert verdicts.count("did not hold") == sum(one.verdict == "did not hold" for one in findings(frame)) > 0
    assert len(lines) == len(findings(frame)) == 10
    for line, verdict in zip(lines, verdicts, strict=True):
        headline = "no normalization fails badly" in line
        assert ("**Here**, on " in line) == (verdict == "did not hold" or headline)
    rows = [frame.row_of({"mode": "shared", "normalization": name}) for name in ("hybrid", "global")]
    hybrid, other = (f"{frame.value(row, frame.columns[0], 'abs_rel')['mean']:.3f}" for row in rows)
    assert f"Hybrid Norm. {hybrid}, Global Norm. {other} (printed 0.057 and 0.064)" in section


@pytest.mark.parametrize(
    ("low", "high", "expected", "expected_close"),
    [
        (0.01, 0.02, "held", "held"),
        (-0.01, 0.01, "undecided", "held"),
        (-0.02, -0.01, "did not hold", "held"),
        (0.04, 0.06, "held", "undecided"),
        (0.06, 0.08, "held", "did not hold"),
        (-0.08, -0.06, "did not hold", "did not hold"),
        (float("nan"), float("nan"), "undecided", "undecided"),
    ],
)
def test_verdicts(low, high, expected, expected_close):
    # as many degrees of freedom as make Student's interval the normal one
    error = (high - low) / 2 / 1.959964
    difference = Estimate((low + high) / 2, error, 0.0, (1.0, math.inf), 1, 0.0, error**2, 0.0)
    assert better(difference).verdict == expected
    assert close(difference, 0.05).verdict == expected_close


def test_a_claim_of_many_comparisons_needs_more_evidence_in_both_directions():
    one = Evidence(0.02, 0.98)
    assert (one.verdict, corrected([one])[0].verdict) == ("held", "held")
    assert {found.verdict for found in corrected([one, Evidence(0.3, 0.7)])} == {"undecided"}
    # twenty comparisons of nothing: one of them lies at 2 % by chance
    chance = [Evidence(1 - p, p) for p in np.linspace(0.02, 0.98, 20)]
    assert [found.verdict for found in chance].count("did not hold") == 1
    assert {found.verdict for found in corrected(chance)} == {"undecided"}
    assert {found.verdict for found in corrected([Evidence(0.999, 0.001)] * 20)} == {"did not hold"}
    assert math.isnan(corrected([Evidence(math.nan, math.nan), one])[0].held)


def finding_of(result, claim):
    return next(finding for finding in findings(result) if finding.claim.id == claim)


def test_a_gap_is_narrower_by_the_difference_of_two_differences(load, paper_like):
    result = load(paper_like)
    finding = finding_of(result, "local-global-mitigates-global")
    assert (finding.verdict, len(finding.checks)) == ("held", 2)
    for gap in finding.checks:
        lines = result.lines[(result.lines["dataset"] == gap.column.dataset) & (result.lines["metric"] == "abs_rel")]
        mean = lines.set_index("row")["mean"]
        narrow = mean["local-global-global"] - mean["local-global-hybrid"]
        wide = mean["shared-global"] - mean["shared-hybrid"]
        assert gap.ours == pytest.approx((narrow, wide))
        assert gap.interval.mean == pytest.approx(wide - narrow)
        assert gap.printed == pytest.approx({"ETH3D": (0.001, 0.007), "DIODE": (0.001, 0.021)}[gap.column.paper])

    def level(row, dataset, seed):
        return 0.9 if tuple(row.factors.values()) == ("local-global", "global") else paper_like(row, dataset, seed)

    assert finding_of(load(level), "local-global-mitigates-global").verdict == "did not hold"


def test_most_comparisons_are_more_than_half_of_those_that_can_be_made(load, paper_like):
    finding = finding_of(load(paper_like), "shared-hybrid-leads")
    most = finding.claim.model_copy(update={"holds": "most"})
    held, lost = (replace(finding.checks[0], evidence=Evidence(*p)) for p in ((0.001, 0.999), (0.999, 0.001)))
    for checks, verdict in (
        ((held, held, lost), "held"),
        ((held, lost), "undecided"),
        ((held, lost, lost), "did not hold"),
        ((), "cannot be asked"),
    ):
        assert replace(finding, claim=most, checks=checks, missing=3).verdict == verdict


def test_a_claim_can_ask_for_what_tables_do_not_print(study, results, write_scores, edit_scores, paper_like):
    paths = write_scores(study, results, paper_like, table="table2")
    first = next(iter(paths.values()))

    def without_edges(lines):
        return [{**line, "boundary_f1": "nan"} if line["image"].endswith("000003.png") else line for line in lines]

    edit_scores(first, without_edges)
    finding = finding_of(load_frame(study, "table2", results), "ours-sharper-than-base")
    assert finding.verdict == "held"
    assert all(check.ours[0] > check.ours[1] and check.printed is None for check in finding.checks)
    assert all(math.isfinite(check.interval.low) for check in finding.checks)


@pytest.mark.parametrize(("scale", "verdict"), [(1.0, "held"), (1e-4, "undecided")])
def test_what_lies_below_a_metrics_floor_decides_nothing(
    scale, verdict, study, results, write_scores, edit_scores, paper_like
):
    paths = write_scores(study, results, paper_like, table="table2")
    for path in paths.values():
        edit_scores(
            path, lambda lines: [{**line, "boundary_f1": str(scale * float(line["boundary_f1"]))} for line in lines]
        )
    frame = load_frame(study, "table2", results)
    finding = finding_of(frame, "ours-sharper-than-base")
    assert finding.verdict == verdict
    assert {check.says_nothing for check in finding.checks} == {verdict == "undecided"}
    if verdict == "undecided":  # a design that would decide it there is not, and no p value
        assert all(
            line["p"] == line["p_against"] == "" and "needed_seeds" not in line
            for line in map(check_line, finding.checks)
        )
    write_texts(frame, results / "reports")
    told = "the metric says nothing here" in (results / "reports" / "table2_details.md").read_text()
    assert told == (verdict == "undecided")


def test_a_row_can_be_compared_with_itself_under_another_measure(study, results, write_scores, paper_like):
    write_scores(study, results, paper_like, table="table4")
    frame = load_frame(study, "table4", results)
    finding = finding_of(frame, "local-alignment-better")
    assert {check.verdict for check in finding.checks} == {"held"} and finding.missing == 2
    for check in finding.checks:
        assert check.ours[0] == pytest.approx(0.9 * check.ours[1])
    write_texts(frame, results / "reports")
    page = (results / "reports" / "table4_details.md").read_text()
    assert "AbsRel of the centre, fitted over the image 0." in page
    assert "of AbsRel of the centre, fitted there, +0." in page
