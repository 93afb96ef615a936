"""The tables that ship beside the studies (`config/tables/`)."""

import json
from pathlib import Path

import pytest

from dad.errors import UserError
from dad.study.cells import (
    all_cells,
    find_cell,
    load_study,
    table_rows,
)
from dad.study.paper import paper
from dad.study.table import Table
from dad.study.tables import known_tables, table_names, table_of

MINI = Path(__file__).parents[2] / "config" / "mini.yaml"


@pytest.mark.parametrize(
    ("table", "shared"), [("factorial", 20), ("groups", 1), ("init", 2), ("patches", 1), ("weights", 1), ("share", 1)]
)
def test_library_tables_share_cells_with_the_papers(table, shared):
    study = load_study(str(MINI))
    cells = all_cells(study, [table])
    assert len(cells.keys() & all_cells(study).keys()) == shared
    assert all(row.cells for row in table_rows(study, table))


def test_the_factorial_is_every_normalization_in_every_mode_for_every_pair():
    study = load_study(str(MINI))
    found = table_rows(study, "factorial")
    pairs = dict.fromkeys((row.row["teacher"], row.row["student"]) for row in paper().table("table3").rows)
    assert [tuple(row.factors.values()) for row in found] == [
        (*pair, mode, normalization)
        for pair in pairs
        for mode in ("baseline", "shared", "local-global", "cross")
        for normalization in ("global", "hybrid", "local", "none")
    ]
    assert len(found) == len(all_cells(study, ["factorial"])) == 48
    cells = {tuple(row.factors.values()): list(row.cells) for row in found}
    methods = {
        "base": ("baseline", "global"),
        "crops": ("shared", "global"),
        "contexts": ("cross", "global"),
        "ours": ("cross", "hybrid"),
    }
    for row in table_rows(study, "table3"):
        assert cells[(row.factors["teacher"], row.factors["student"], *methods[row.factors["loss"]])] == list(row.cells)
    for row in table_rows(study, "table1"):
        assert cells[("da-l", "da-s", *row.factors.values())] == list(row.cells)
    without = load_study(json.dumps(json.loads(study.model_dump_json()) | {"loss": {"local_global": 0}}))
    impossible = [row for row in table_rows(without, "factorial") if row.reason]
    assert {row.factors["mode"] for row in impossible} == {"local-global"} and len(impossible) == 12


def test_weights_shares_and_patches_are_the_ones_asked_for():
    study = load_study(str(MINI))
    of = {
        table: [next(iter(row.cells.values())) for row in table_rows(study, table)]
        for table in ("weights", "share", "patches")
    }
    loss = study.loss
    assert [cell.loss.local_global for cell in of["weights"][:4]] == [
        loss.local_global * times for times in (0, 0.5, 1, 2)
    ]
    assert [cell.loss.feature for cell in of["weights"][4:8]] == [loss.feature * times for times in (0, 0.5, 1, 2)]
    assert [cell.loss.gradient for cell in of["weights"][8:]] == [loss.gradient * times for times in (0, 0.5, 1, 2)]
    assert [cell.assistant.share for cell in of["share"]] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [cell.crop.patches for cell in of["patches"]] == [1, 2, 4, 9]


def test_the_library_is_beside_the_study_and_is_not_made_unasked(tmp_path):
    (tmp_path / "study.yaml").write_text(MINI.read_text())
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "mine.yaml").write_text("title: t\ngrid: {loss.gradient: [1, 3]}\n")
    study = load_study(str(tmp_path / "study.yaml"))
    assert known_tables(study) == (*table_names(study), "mine")
    assert len(all_cells(study)) == 33
    extra = all_cells(study, ["mine"])
    assert len(extra) == 2 and not extra.keys() & all_cells(study).keys()
    assert all(find_cell(study, name) == cell for name, cell in extra.items())
    again = load_study(json.dumps(study.model_dump(mode="json")))
    assert all_cells(again, ["mine"]) == extra
    (folder / "mine.yaml").write_text("title: t\ngrid: {loss.gradient: [1, 3, 5]}\n")
    assert len(all_cells(study, ["mine"])) == 3
    own = Table.model_validate({"key": "mine", "title": "t", "grid": {"mode": ["shared", "cross"]}})
    changed = study.model_copy(update={"tables": {"mine": own}})
    assert table_of(changed, "mine").factors == ("mode",) and known_tables(changed).count("mine") == 1
    (folder / "mine.yaml").write_text("title: t\ngrid: {loss.gradient: 3}\n")
    with pytest.raises(UserError, match=r"mine\.yaml: .*grid\.loss\.gradient: give a list"):
        table_of(study, "mine")
    (folder / "table2.yaml").write_text("title: t\ngrid: {loss.gradient: [3]}\n")
    with pytest.raises(UserError, match=r"table2\.yaml: table2 is a table of the paper"):
        known_tables(study)
