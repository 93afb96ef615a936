"""Tables of one's own: grids against itertools, their cells against cells made by hand, mistakes."""

import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dad.errors import UserError
from dad.study.base import parse_model, read_yaml
from dad.study.cells import (
    all_cells,
    all_models,
    beside_rows,
    cell_id,
    load_study,
    loss_terms,
    study_groups,
    table_rows,
    teacher_rows,
)
from dad.study.changes import cell_fields
from dad.study.config import Cell, StudyConfig
from dad.study.cost import cost_lines
from dad.study.grid import SHORT
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.photos import rendered_counts
from dad.study.table import Table
from dad.study.tables import seeds_of, table_names, table_of

ROOT = Path(__file__).parents[2]
MINI = ROOT / "config" / "mini.yaml"
LAMBDA = {
    "title": "Weight of the local-global term",
    "grid": {"loss.local_global": [0.25, 0.5, 1.0], "normalization": ["global", "hybrid"]},
    "base": {"mode": "cross"},
    "reference": {"loss.local_global": 0.5},
    "seeds": [0, 1, 2],
}


def mini(**changes):
    return parse_model(StudyConfig, read_yaml(MINI) | changes, source="mini")


def own(**table):
    """The mini study with one table, `mine`."""
    return mini(tables={"mine": {"title": "t", **table}})


def _claim(rows, others, **more):
    comparison = {"rows": rows, "others": others, "datasets": ["ETH3D"], **more}
    return {"id": "it", "text": "It is so.", "comparisons": [comparison]}


def rows(study, table="mine"):
    return {row.name: row for row in table_rows(study, table)}


def with_values(cell, **values):
    """The cell with values by dotted name (`__` for a dot), made without the code under test."""
    described = cell.model_dump()
    for name, value in values.items():
        *path, last = name.split("__")
        holder = described
        for part in path:
            holder = holder[part]
        holder[last] = value
    return Cell.model_validate(described)


def test_ten_lines_make_a_table():
    study = mini(tables={"lambda": LAMBDA})
    layout, found = table_of(study, "lambda"), table_rows(study, "lambda")
    assert [row.factors for row in found] == [
        {"loss.local_global": weight, "normalization": normalization}
        for weight in ("0.25", "0.5", "1.0")
        for normalization in ("global", "hybrid")
    ]
    assert all([cell.seed for cell in row.cells.values()] == [0, 1, 2] for row in found)
    assert {(cell.mode, cell.loss.local_global) for row in found for cell in row.cells.values()} == {
        ("cross", 0.25),
        ("cross", 0.5),
        ("cross", 1.0),
    }
    assert layout.name == "Table lambda"
    assert layout.reference_of(found[0].factors) == {"loss.local_global": "0.5", "normalization": "global"}
    assert layout.reference_of(found[2].factors) is None
    assert (layout.printed_rows, layout.percent_of, layout.average, layout.block) == ((), None, False, ())
    assert layout.headings == {"loss.local_global": "loss.local_global", "normalization": "normalization"}
    assert layout.label("loss.local_global", "0.25") == "0.25"
    assert layout.datasets == ("ETH3D", "DIODE") and layout.metrics == ("abs_rel",)
    assert study_groups(study, "lambda") == ("ablation",)
    assert (seeds_of(study, "lambda"), seeds_of(study, "table1")) == ((0, 1, 2), (0,))


def test_the_example_of_the_documentation_is_this_one(tmp_path):
    examples = [
        re.findall(r"```yaml\n(tables:.*?)```", file.read_text(), re.DOTALL)
        for file in (ROOT / "README.md", ROOT / "config" / "README.md")
    ]
    ((example,), (again,)) = examples
    assert example == again
    assert len(example.splitlines()) <= 10
    (tmp_path / "example.yaml").write_text(MINI.read_text() + example)
    study = load_study(str(tmp_path / "example.yaml"))
    assert table_rows(study, "lambda") == table_rows(mini(tables={"lambda": LAMBDA}), "lambda")


def test_the_documentation_names_every_key_and_every_table_of_the_library():
    text = (ROOT / "config" / "README.md").read_text()
    keys = [*Table.model_fields, *SHORT]
    papers_own = {"key", "number", "printed_as", "percent_of"}
    assert [key for key in keys if key not in papers_own and f"`{key}`" not in text] == []
    assert [path.name for path in (ROOT / "config" / "tables").glob("*.yaml") if f"`{path.name}`" not in text] == []


def test_its_cells_are_the_ones_that_other_tables_have():
    study = mini(tables={"lambda": LAMBDA})
    both = rows(study, "table2")["cross"].cells
    assert list(rows(study, "lambda")["0.5-hybrid"].cells)[:1] == list(both)
    assert len(all_cells(study)) == 33 + 6 * 3 - 2  # cross with global normalization, too, is a row of Table 3
    assert table_names(study) == (*table_names(mini()), "lambda")
    assert "lambda: 18 students" in "\n".join(cost_lines(study))


def test_a_study_with_tables_is_the_same_after_a_round_trip():
    study = mini(
        tables={
            "lambda": LAMBDA,
            "mine": {"title": "t", "rows": [{"row": {"teacher": "da-l"}, "train": {"mode": "shared"}}]},
        }
    )
    again = load_study(json.dumps(study.model_dump(mode="json")))
    assert again == study
    assert list(all_cells(again)) == list(all_cells(study))


FIELDS = {  # dotted field -> (attribute path for the hand-made cell, values)
    "mode": ("mode", ["baseline", "shared", "local-global", "cross"]),
    "normalization": ("normalization", ["global", "hybrid", "local", "none"]),
    "loss.local_global": ("loss__local_global", [0.25, 0.5, 1]),
    "loss.feature": ("loss__feature", [0, 1.5]),
    "crop.patches": ("crop__patches", [1, 4]),
    "crop.flip": ("crop__flip", [True, False]),
    "optim.encoder_rate": ("optim__encoder_rate", [5e-5, 0.001]),
    "optim.precision": ("optim__precision", ["no", "bf16"]),
    "student.init": ("student__init", ["full", "none"]),
    "photos.count": ("photos__count", [100, 250]),
}


@st.composite
def grids(draw):
    fields = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True))
    grid = {name: draw(st.lists(st.sampled_from(FIELDS[name][1]), min_size=1, unique=True)) for name in fields}
    rules = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in grid.items()})
    return grid, draw(st.lists(rules.filter(bool), max_size=2)), draw(st.lists(rules.filter(bool), max_size=2))


@settings(max_examples=40)
@given(grids())
def test_a_grid_is_the_product_of_its_values_that_where_keeps_and_except_does_not_drop(drawn):
    grid, where, drop = drawn
    expected = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    expected = [one for one in expected if not where or any(rule.items() <= one.items() for rule in where)]
    expected = [one for one in expected if not any(rule.items() <= one.items() for rule in drop)]
    table = {"grid": grid} | ({"where": where} if where else {}) | ({"except": drop} if drop else {})
    if not expected:
        with pytest.raises(UserError, match="leave no combination of the grid"):
            own(**table)
        return
    study = own(**table)
    plain = next(iter(rows(study, "table2")["cross"].cells.values()))
    found = table_rows(study, "mine")
    assert len(found) == len(expected)
    for row, values in zip(found, expected, strict=True):
        (cell,) = row.cells.values()
        by_hand = with_values(plain, **{FIELDS[name][0]: value for name, value in values.items()})
        assert cell == by_hand
        assert list(row.cells) == [cell_id(by_hand)]


def test_rows_of_their_own_beside_a_grid():
    study = own(
        grid={"mode": ["shared", "cross"]},
        rows=[
            {"row": {"mode": "small"}, "train": {"mode": "cross", "student": "da-s", "optim.steps": "0.5x"}},
            {"row": {"mode": "teacher"}, "score": "teacher"},
            {"row": {"mode": "other"}, "score": "zoo/midas-small"},
        ],
        labels={"mode": {"small": "half as long"}},
    )
    found = rows(study)
    assert list(found) == ["shared", "cross", "small", "teacher", "other"]
    (small,) = found["small"].cells.values()
    assert (small.mode, small.optim.steps, small.student.model) == ("cross", 80, "zoo/vit-small")
    assert (found["teacher"].model, found["other"].model) == ("zoo/vit-large", "zoo/midas-small")
    assert "model-midas-small" in all_models(study)
    assert table_of(study, "mine").label("mode", "small") == "half as long"


def test_levels_name_changes_of_several_fields():
    study = own(
        grid={"method": ["old", "new"], "photos": ["each"]},
        levels={"method": {"old": {"mode": "baseline", "normalization": "global"}, "new": {}}},
    )
    found = rows(study)
    assert list(found) == [f"{method}-{count}" for method in ("old", "new") for count in (100, 250, 500, 1000, 2000)]
    assert {name: list(row.cells) for name, row in rows(study, "scaling").items() if row.cells} == {
        name.replace("old", "ssi").replace("new", "ours"): list(row.cells) for name, row in found.items()
    }
    with pytest.raises(UserError, match="scaling names no sizes"):
        table_rows(mini(scaling=[], tables={"mine": {"title": "t", "grid": {"photos": ["each"]}}}), "mine")


def test_numbers_can_be_multiples_of_the_studys():
    found = rows(own(grid={"loss.gradient": ["0x", "0.5x", "2x"], "photos": [100, "largest"]}))
    values = {name: next(iter(row.cells.values())) for name, row in found.items()}
    assert [cell.loss.gradient for cell in values.values()] == [0, 0, 1, 1, 4, 4]
    assert values["2x-largest"].photos.count == 2000
    assert "gradient" not in loss_terms(values["0x-100"])


def test_teachers_of_own_tables_are_scored_beside_their_students():
    study = own(grid={"teacher": ["midas-l", "assistant", "zoo/midas-small"]})
    assert [next(iter(row.cells.values())).teacher for row in table_rows(study, "mine")] == [
        "zoo/midas-large",
        "zoo/genpercept",
        "zoo/midas-small",
    ]
    assert [row.model for row in teacher_rows(study, "mine")] == [
        "zoo/midas-large",
        "zoo/genpercept",
        "zoo/midas-small",
    ]
    assert "model-midas-small" in all_models(study)
    assert "model-midas-small" not in all_models(mini(architectures={}))
    assert list(rows(study)) == ["midas-l", "assistant", "zoo-midas-small"]


def test_what_students_start_from_and_what_needs_no_skill_stands_beside_them_and_changes_no_id():
    found = {row.model: row.role for row in beside_rows(mini(), "table3")}
    assert found == {
        "zoo/vit-large": "teacher",
        "zoo/midas-large": "teacher",
        "zoo/vit-small": "source",
        "zoo/midas-small": "source",
        "no-skill:constant": "no-skill",
        "no-skill:gradient": "no-skill",
    }
    study = own(grid={"student.init": ["none"]})
    assert [row.role for row in beside_rows(study, "mine")] == ["teacher", "no-skill", "no-skill"]
    rows_of = [{"row": {"model": "a"}, "score": "no-skill:gradient"}]
    study = own(rows=rows_of, factors=["model"])
    assert [row.model for row in beside_rows(study, "mine")] == [study.teacher, "no-skill:constant"]


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        (
            {"grid": {"mode": ["local-global", "cross"]}, "base": {"loss.local_global": 0}},
            "local-global",
            "no distillation term left",
        ),
        (
            {"grid": {"normalization": ["none", "local"]}, "base": {"supervision": "select"}},
            "none",
            "bounded per image",
        ),
        (
            {"grid": {"supervision": ["teacher", "select"]}, "base": {"assistant.share": 0.5}},
            "teacher",
            "would change nothing",
        ),
        (
            {"grid": {"student": ["midas-s", "da-s"]}, "base": {"loss.feature": 1.0}},
            "midas-s",
            "no tokens to compare in midas-s",
        ),
    ],
)
def test_combinations_that_cannot_be_trained_are_rows_with_the_reason(table, row, reason):
    found = rows(own(**table))
    assert found[row].cells == {} and reason in found[row].reason
    others = [other for name, other in found.items() if name != row]
    assert all(other.cells and other.reason is None for other in others)


def test_what_the_study_does_not_name_is_a_reason_too():
    table = {"title": "t", "grid": {"teacher": ["da-l", "assistant"], "student": ["midas-s"]}}
    study = mini(architectures={}, assistant=None, tables={"mine": table})
    assert [row.reason for row in table_rows(study, "mine")] == [
        "the study names no da-l and no midas-s (architectures)",
        "the study names no midas-s (architectures)",
    ]


GRID = {"mode": ["shared", "cross"]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"grid": {"loss.lokal": [1, 2]}},
            r"lokal is no field of a cell; did you mean 'loss\.local_global'\? .the fields",
        ),
        (
            {"grid": {"colour": [1]}},
            r"colour is no field of a cell .*the fields are teacher, .*optim\.steps.* levels says nothing",
        ),
        ({"grid": GRID, "base": {"optim.step": 3}}, r"optim\.step is no field of a cell; did you mean 'optim\.steps'"),
        ({"grid": {"loss.local_global": ["half"]}}, r"table mine: loss\.local_global: .*number.*'half'"),
        ({"grid": {"optim.steps": [1.5]}}, r"optim\.steps: .*integer"),
        ({"grid": {"optim.encoder_rate": [2]}}, r"optim\.encoder_rate: .*less than 1"),
        (
            {"grid": {"normalization": ["hybird"]}},
            "normalization: must be one of global, hybrid, local, none, .*.given 'hybird'",
        ),
        ({"grid": {"loss.groups": ["depth"]}}, r"loss\.groups: .*'range', 'percentile' or 'spatial'"),
        ({"grid": {"seed": [1, 2]}}, "factors: seed is a column of every table"),
        ({"grid": {"photos.seed": [1, 2]}}, r"photos\.seed is no field of a cell"),
        (
            {"grid": {"student": ["vit"]}},
            "student 'vit' is none of da-l, da-s, midas-l, midas-s; a model is named by student.model",
        ),
        ({"grid": {"photos": ["many"]}}, "photos 'many' is no number of photos"),
        ({"grid": {"optim.precision": ["2x"]}}, "optim.precision '2x' is a multiple of a number"),
        ({"grid": {"mode": []}}, r"tables\.mine: grid\.mode: give a list of values"),
        ({"grid": {"mode": "cross"}}, r"grid\.mode: give a list of values, not 'cross'"),
        ({"grid": {"mode": [["cross"]]}}, r"grid\.mode: a level is a word or a number"),
        (
            {"grid": {"loss.feature": [1, 1.0]}},
            r"grid\.loss\.feature: 1\.0 is there twice|grid\.loss\.feature: 1 is there twice",
        ),
        ({"grid": {}}, "grid: give at least one field"),
        ({"grid": GRID, "reference": {"mode": "baseline"}}, "reference: no row has {'mode': 'baseline'}"),
        (
            {"grid": GRID, "reference": {"colour": "red"}},
            r"reference\.against: colour is no factor of this table; its factors are mode",
        ),
        (
            {"grid": GRID, "where": {"normalization": "local"}},
            "where: normalization is no factor of the grid; its factors are mode",
        ),
        (
            {"grid": GRID, "except": {"mode": "baseline"}},
            r"except\.mode: baseline is not in the grid, which has shared, cross",
        ),
        ({"grid": GRID, "where": {}}, "where: give at least one factor"),
        (
            {"rows": [{"row": {"mode": "cross"}}], "where": {"mode": "cross"}},
            "where chooses among the combinations of a grid",
        ),
        ({"rows": [{"row": {"mode": "cross"}}, {"row": {"mode": "cross"}}]}, "two rows have the same factors"),
        ({"grid": GRID, "rows": [{"row": {"mode": "cross"}}]}, "two rows have the same factors"),
        ({"rows": [{"row": {"mod": "cross"}}]}, "mod is no field of a cell; did you mean 'mode'"),
        ({"grid": {"method": ["a"]}, "levels": {"method": {"b": {}}}}, r"levels\.method has no a; it has b"),
        ({"rows": [{"row": {"mode": "x"}, "train": {}, "score": "teacher"}]}, "has train and score"),
        (
            {"rows": [{"row": {"mode": "x"}, "score": "assistent"}]},
            "score 'assistent' is none of teacher, assistant, estimator",
        ),
        ({"rows": []}, "factors"),
        ({"rows": {"mode": "x"}}, "rows: give a list"),
        ({"rows": ["cross"]}, "rows: a row is a mapping with `row`"),
        ({}, "factors"),
        ({"grid": GRID, "titel": "t"}, "titel: unknown key; did you mean 'title'"),
        ({"gird": GRID}, "gird: unknown key; did you mean 'grid'"),
        ({"row": []}, "row: unknown key; did you mean 'rows'"),
        ({"grid": GRID, "bas": {}}, "bas: unknown key; did you mean 'base'"),
        ({"grid": GRID, "seeds": ["a"]}, "seeds"),
        ({"grid": GRID, "seeds": [1, 2, 1]}, "seeds: 1 is there twice"),
        (
            {"grid": {f"loss.{name}": list(range(50)) for name in ("feature", "gradient", "local_global")}},
            "125,000 combinations",
        ),
        ({"grid": GRID, "groups": ["indoor"]}, "groups"),
        (
            {"grid": GRID, "columns": [{"dataset": "Sintel", "metric": "abs_rel"}]},
            "unknown dataset Sintel; known: NYUv2",
        ),
        (
            {"grid": GRID, "columns": [{"dataset": "KITTI", "metric": "error"}]},
            "unknown metric error; known: abs_rel, delta1",
        ),
        ({"grid": GRID, "labels": {"colour": {"red": "Red"}}}, "labels: colour is no factor"),
        ({"grid": GRID, "key": "other", "block": ["colour"]}, "block: colour is no factor"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key_and_what_is_allowed(tmp_path, table, message):
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(json.loads(mini().model_dump_json()) | {"tables": {"mine": {"title": "t", **table}}}))
    with pytest.raises(UserError, match=message) as caught:
        load_study(str(file))
    assert "\n" not in str(caught.value)
    assert "mine" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table1", "table1 is a table of the paper; those are table1, table2"),
        ("scaling", "scaling is a table of the paper"),
        ("fig7", "fig7 is the name of another file of the report"),
        ("claims", "claims is the name of another file"),
        ("my_table", "key: .*pattern"),
        ("../mine", "key: .*pattern"),
        ("Mine", "key: .*pattern"),
    ],
)
def test_names_that_are_taken_or_no_names_are_refused(tmp_path, name, message):
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(json.loads(mini().model_dump_json()) | {"tables": {name: {"title": "t", "grid": GRID}}}))
    with pytest.raises(UserError, match=message):
        load_study(str(file))


def test_columns_and_groups():
    columns = [{"dataset": "KITTI", "metric": "delta1"}]
    assert study_groups(own(grid=GRID, columns=columns), "mine") == ("zero-shot",)
    both = own(grid=GRID, groups=["ablation", "zero-shot"])
    assert study_groups(both, "mine") == ("ablation", "zero-shot")
    assert set(table_of(both, "mine").datasets) == {"NYUv2", "KITTI", "DIODE", "ScanNet", "ETH3D"}


def test_photo_sets_of_own_tables_leave_the_sets_that_are_there_alone():
    """Rendered sets nest: a new one between two must not become the source of the larger and all trained on it."""
    study = mini(tables={"mine": {"title": "t", "grid": {"photos": [50, 300, 500, 3000, 6000]}}})
    before, after = Jobs(Layout(mini())), Jobs(Layout(study))
    counts = rendered_counts(all_cells(mini()).values(), "indoor")
    assert [after.smaller_set("indoor", count) for count in counts] == [
        before.smaller_set("indoor", count) for count in counts
    ]
    under = {count: [Path(path).stem for path in after.smaller_set("indoor", count)] for count in (17, 100, 1000, 2000)}
    assert under == {17: ["upto-34"], 100: ["upto-167"], 1000: ["upto-667"], 2000: ["upto-1000"]}


def test_claims_about_an_own_table():
    comparison = {
        "relation": "better",
        "rows": [{"loss.local_global": 0.5}],
        "others": [{"loss.local_global": 1}],
        "datasets": ["ETH3D"],
    }
    study = mini(
        tables={"lambda": LAMBDA | {"claims": [{"id": "half", "text": "Half is best.", "comparisons": [comparison]}]}}
    )
    (claim,) = table_of(study, "lambda").claims
    assert (claim.table, claim.comparisons[0].others) == ("lambda", ({"loss.local_global": "1.0"},))
    for change, message in (
        ({"datasets": ["KITTI"]}, "lambda has no column KITTI"),
        ({"others": [{"mode": "x"}]}, "has no row"),
    ):
        claims = [{"id": "half", "text": "Half is best.", "comparisons": [comparison | change]}]
        with pytest.raises(UserError, match=message):
            table_of(mini(tables={"lambda": LAMBDA | {"claims": claims}}), "lambda")


def test_every_field_of_a_cell_can_be_a_factor():
    assert {
        "mode",
        "assistant.share",
        "student.model",
        "labels.dtype",
        "crop.min_crop",
        "optim.warmup",
        "photos.count",
    } <= set(cell_fields())
    assert not {"seed", "photos.root", "photos.seed"} & set(cell_fields())
    assert len(set(cell_fields())) == len(cell_fields())


DOSES = {"mode": ["shared", "cross"], "normalization": ["global"], "optim.steps": [1, 2]}
BY_MODE = {"along": "mode", "lines": "optim.steps", "facets": "normalization"}
BY_STEPS = {"along": "optim.steps", "lines": "mode", "facets": "normalization"}
TWO = {"mode": ["shared", "cross"]}
NO_NUMBER = "mode has the level 'shared', which is no number"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"grid": {"cell": ["one"]}, "levels": {"cell": {"one": {}}}}, "factors: cell is a column of every table"),
        ({"grid": {"mean": ["one"]}, "levels": {"mean": {"one": {}}}}, "factors: mean is a column of every table"),
        ({"factors": ["mode", "mode"], "rows": [{"row": {"mode": "shared"}}]}, "factors: mode is there twice"),
        ({"grid": TWO, "labels": {"mode": {"shared": "x", "cross": "x"}}}, "two levels are both written 'x'"),
        ({"grid": TWO, "labels": {"mode": {"shared": "cross"}}}, "two levels are both written 'cross'"),
        ({"grid": DOSES, "curves": BY_STEPS}, "this table has no reference"),
        ({"grid": DOSES, "curves": BY_MODE, "reference": {"mode": "cross"}}, f"curves.along: {NO_NUMBER}"),
        (
            {"grid": TWO, "claims": [_claim([{"mode": "largest"}], [{"mode": "cross"}], relation="better")]},
            f"claim it: {NO_NUMBER}",
        ),
        ({"grid": TWO, "claims": [_claim([{}], [], relation="trend", along="mode")]}, f"claim it: {NO_NUMBER}"),
    ],
)
def test_what_would_fail_or_mislead_after_all_trainings_is_refused_before(table, message):
    with pytest.raises(UserError, match=re.escape(message)):
        table_rows(own(**table), "mine")
