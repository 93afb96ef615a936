"""The ids of all cells of the shipped studies, as they were when their results were made: a change of one loses its
results.

`ids.json` was written by the code that listed the rows before tables were files. It changes only on purpose.
"""

import json
from pathlib import Path
from typing import Annotated

import pytest

from dad.files import sha256_json
from dad.study.base import AddedLater, Frozen, identity
from dad.study.cells import all_cells, load_study, table_rows

CONFIG = Path(__file__).parents[2] / "config"
BEFORE = json.loads(Path(__file__).with_name("ids.json").read_text())


@pytest.mark.parametrize("study", BEFORE)
def test_ids_rows_models_and_reasons_are_what_they_were(study):
    loaded = load_study(str(CONFIG / f"{study}.yaml"))
    for table, before in BEFORE[study].items():
        now = [
            {"row": row.factors, "cells": list(row.cells), "model": row.model, "reason": row.reason}
            for row in table_rows(loaded, table)
        ]
        assert now == before
    ids = {cell for rows in BEFORE[study].values() for row in rows for cell in row["cells"]}
    assert set(all_cells(loaded)) == ids
    assert len(ids) == {"mini": 33, "photos": 25, "paper": 36}[study]


class Inner(Frozen):
    size: int = 3
    fresh: Annotated[bool, AddedLater] = False


class Outer(Frozen):
    inner: Inner = Inner()
    name: str = "one"
    late: Annotated[int | None, AddedLater] = None


def test_a_field_that_was_added_later_is_no_part_of_an_id_at_its_default():
    before = {"inner": {"size": 3}, "name": "one"}
    assert identity(Outer()) == before
    assert sha256_json(identity(Outer())) == sha256_json(before)
    assert identity(Outer(late=2)) == before | {"late": 2}
    assert identity(Outer(inner=Inner(fresh=True))) == {"inner": {"size": 3, "fresh": True}, "name": "one"}
