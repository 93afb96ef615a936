"""The claims as data: what they say is in the tables, and mistakes in them are refused."""

import itertools

import pydantic
import pytest

from dad.errors import UserError
from dad.study.base import read_yaml
from dad.study.claims import ENDS, claims
from dad.study.paper import FOLDER, Paper, paper
from dad.study.table import Table

CONTRADICTED = {  # by the paper's own numbers, see the notes
    ("student-surpasses-its-teacher", "ScanNet", "abs_rel"),
    ("student-surpasses-its-teacher", "DIODE", "delta1"),
}


def printed_rows(table, levels):
    """The printed rows that a claim's row stands for."""
    return [row.row for row in paper().table(table).rows if levels.items() <= row.row.items()]


def printed_pairs(claim):
    """(comparison, data set, value of the row, value of the other) of all printed pairs."""
    for comparison in (one for one in claim.comparisons if one.relation != "narrower"):
        for one, two in itertools.product(comparison.rows, comparison.others):
            rows, others = printed_rows(claim.table, one), printed_rows(claim.table, two)
            open_factors = [name for name in paper().table(claim.table).factors if name not in one and name not in two]
            for dataset, row, other in itertools.product(comparison.datasets, rows, others):
                if any(row[name] != other[name] for name in open_factors):
                    continue
                found = [paper().number(claim.table, levels, dataset, comparison.metric) for levels in (row, other)]
                if all(found):
                    yield comparison, dataset, found[0].value, found[1].value


def test_every_claim_is_true_of_the_printed_numbers_except_where_notes_say_so():
    checked, contradicted = 0, set()
    for claim in (one for one in claims() if one.holds == "all"):
        for comparison, dataset, ours, theirs in printed_pairs(claim):
            if comparison.relation == "close":
                true = abs(theirs - ours) <= comparison.margin * ours
            else:
                high, low = (theirs, ours) if comparison.metric == "abs_rel" else (ours, theirs)
                true = high > comparison.factor * low
            if not true:
                contradicted.add((claim.id, dataset, comparison.metric))
            checked += 1
    assert contradicted == CONTRADICTED
    assert "D14" in next(claim.notes for claim in claims() if claim.id == "student-surpasses-its-teacher")
    assert checked >= 60
    assert [claim.id for claim in claims("table1") if claim.headline] == ["local-global-none-fails"]


def test_all_tables_and_the_scaling_curve_have_claims():
    tables = [claim.table for claim in claims()]
    assert list(dict.fromkeys(tables)) == ["table1", "table2", "table3", "table4", "table5", "scaling"]
    assert 15 <= len(tables) <= 27


def test_our_students_are_printed_better_than_the_others_in_most_cases():
    claim = next(claim for claim in claims() if claim.holds == "most")
    better = [
        ours < theirs if one.metric == "abs_rel" else ours > theirs for one, _, ours, theirs in printed_pairs(claim)
    ]
    assert len(better) == 2 * (9 * 10 + 4) and sum(better) > 0.9 * len(better)


def test_a_row_at_an_end_names_a_factor_that_is_a_number():
    for claim in claims():
        for comparison in claim.comparisons:
            for row in (*comparison.rows, *comparison.others):
                assert all(factor == "photos" for factor, level in row.items() if level in ENDS)


def one_claim(claim):
    """Table 1 with this claim alone."""
    return Table.model_validate(read_yaml(FOLDER / "table1.yaml") | {"key": "table1", "claims": [claim]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"mode": "cross", "normalization": "hybrid"}]}, "has no row"),
        ({"rows": [{"colour": "red"}]}, "has no row"),
        ({"datasets": ["KITTI"]}, "has no column KITTI"),
        ({"datasets": ["average"]}, "has no column average"),
        ({"metric": "delta1"}, "has no column ETH3D, delta1"),
        ({"margin": 0.1}, "margin belongs to"),
        ({"relation": "close"}, "margin belongs to"),
        ({"relation": "close", "margin": 0.1, "factor": 1.2}, "factor belongs to"),
        ({"relation": "trend"}, "along belongs to"),
        ({"along": "mode"}, "along belongs to"),
        ({"relation": "trend", "along": "photos"}, "has no factor photos"),
        ({"relation": "trend", "along": "mode", "rows": [{}, {}]}, "one series of rows"),
        ({"others": []}, "needs others"),
        ({"relation": "narrower"}, "two rows against two"),
        ({"relation": "close", "margin": 0.1, "other_metric": "abs_rel"}, "other_metric belongs to"),
        ({"other_metric": "delta1"}, "has no column ETH3D, delta1"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_mistakes_in_claims_are_refused(change, message):
    comparison = {
        "relation": "better",
        "rows": [{"mode": "shared", "normalization": "hybrid"}],
        "others": [{"mode": "shared", "normalization": "none"}],
        "datasets": ["ETH3D"],
    }
    claim = {"id": "one", "text": "t", "source": "s"}
    one_claim({**claim, "comparisons": [comparison]})
    with pytest.raises(pydantic.ValidationError, match=message):
        one_claim({**claim, "comparisons": [{**comparison, **change}]})
    with pytest.raises(UserError, match="unknown note D99"):
        paper().check(one_claim({**claim, "notes": ["D99"], "comparisons": [comparison]}), "table1")


def test_claims_have_ids_of_their_own():
    table1, table2 = (read_yaml(FOLDER / f"{name}.yaml") | {"key": name} for name in ("table1", "table2"))
    with pytest.raises(pydantic.ValidationError, match="claims with the same id: shared-hybrid-leads"):
        Table.model_validate(table1 | {"claims": [table1["claims"][0], *table1["claims"]]})
    moved = table2 | {"claims": [table2["claims"][0] | {"id": "shared-hybrid-leads"}]}
    with pytest.raises(pydantic.ValidationError, match="claims with the same id: shared-hybrid-leads"):
        Paper.model_validate(paper().model_dump() | {"tables": {"table1": table1, "table2": moved}})
