"""The short form of a table and its full form: a grid becomes rows, every level the text that the table shows.

    grid: {loss.local_global: [0.25, 0.5, 1.0], normalization: [global, hybrid]}
    except: {loss.local_global: 1.0, normalization: global}

makes one row for every combination but one. `where` keeps the combinations that have its levels, `except` drops those
that have them; each is a mapping from factors to a level or a list of levels, or a list of such mappings, of which one
has to fit.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from dad.study.base import as_text

MOST = 10_000
"""Combinations of a grid, before any is dropped."""
SHORT = ("grid", "where", "except")
"""The keys of the short form."""


def level_text(value: Any) -> str:
    """A level as a table shows it and as a cell's field reads it. Raises ValueError for what is no single value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = as_text(value)
    if isinstance(text, str) and text:
        return text
    raise ValueError(f"a level is a word or a number, not {value!r}; name it and say under `levels` what it changes")


def full_form(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table as its file has it, with the grid turned into rows and all short spellings into long ones.

    Raises ValueError with the key that is wrong. What is not understood is handed on as is.
    """
    table = dict(table)
    chosen = {key: table.pop(key) for key in SHORT[1:] if key in table}
    grid, rows = table.pop("grid", None), _list("rows", table.pop("rows", []))
    if grid is None and chosen:
        raise ValueError(f"{next(iter(chosen))} chooses among the combinations of a grid, and this table has none")
    if grid is not None:
        combinations = _combinations(_grid(grid), chosen)
        table.setdefault("factors", list(grid))
        rows = [{"row": levels} for levels in combinations] + rows
    elif "factors" not in table:
        first = rows[0].get("row") if rows and isinstance(rows[0], dict) else None
        table["factors"] = list(first) if isinstance(first, dict) else []
    factors = _list("factors", table["factors"])
    rows = [_row(row, factors, table.get("columns", ())) for row in rows]
    known = {
        factor: list(dict.fromkeys(row["row"][factor] for row in rows if factor in row.get("row", {})))
        for factor in factors
    }
    table |= {
        "rows": rows,
        "headings": {name: name for name in factors} | _mapping("headings", table.get("headings", {})),
    }
    for key in ("labels", "levels"):
        of_factors = _mapping(key, table.get(key, {}))
        table[key] = {
            name: {_among(known.get(name, ()), level): value for level, value in _mapping(f"{key}.{name}", of).items()}
            for name, of in of_factors.items()
        }
    if table.get("percent_of") is not None:
        table["percent_of"] = _levels("percent_of", table["percent_of"], known)
    reference = table.get("reference", [])
    rules = [{"against": reference}] if isinstance(reference, dict) else _list("reference", reference)
    table["reference"] = [
        {part: _levels(f"reference.{part}", levels, known) for part, levels in _mapping("reference", rule).items()}
        for rule in rules
    ]
    table["claims"] = [_claim(claim, table.get("key"), known) for claim in _list("claims", table.get("claims", []))]
    return table


def _grid(grid: Any) -> dict[str, list[str]]:
    """Factor -> levels."""
    found: dict[str, list[str]] = {}
    for factor, values in _mapping("grid", grid).items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"grid.{factor}: give a list of values, not {values!r}")
        found[factor] = []
        for value in values:
            try:
                level = level_text(value)
            except ValueError as error:
                raise ValueError(f"grid.{factor}: {error}") from None
            if _among(found[factor], level) in found[factor]:
                raise ValueError(f"grid.{factor}: {level} is there twice")
            found[factor].append(level)
    if not found:
        raise ValueError("grid: give at least one field of a cell with a list of values")
    return found


def _combinations(grid: Mapping[str, list[str]], chosen: Mapping[str, Any]) -> list[dict[str, str]]:
    """The combinations that `where` keeps and `except` does not drop, in the order of the grid."""
    rules = {
        key: [_choice(key, rule, grid) for rule in (of if isinstance(of, list) else [of])] for key, of in chosen.items()
    }
    if (count := math.prod(map(len, grid.values()))) > MOST:
        raise ValueError(
            f"grid has {count:,} combinations, and the most that are listed are {MOST:,}: name fewer values"
        )
    every = [dict(zip(grid, levels, strict=True)) for levels in itertools.product(*grid.values())]
    kept = [one for one in every if "where" not in rules or any(_fits(rule, one) for rule in rules["where"])]
    kept = [one for one in kept if not any(_fits(rule, one) for rule in rules.get("except", ()))]
    if not kept:
        raise ValueError(f"{' and '.join(chosen)} leave no combination of the grid")
    return kept


def _choice(key: str, rule: Any, grid: Mapping[str, list[str]]) -> dict[str, set[str]]:
    """One mapping of `where` or `except`: factor -> levels."""
    found = {}
    for factor, values in _mapping(key, rule).items():
        if factor not in grid:
            raise ValueError(f"{key}: {factor} is no factor of the grid; its factors are {', '.join(grid)}")
        levels = [
            _among(grid[factor], level_text(value)) for value in (values if isinstance(values, list) else [values])
        ]
        if strange := [level for level in levels if level not in grid[factor]]:
            raise ValueError(f"{key}.{factor}: {strange[0]} is not in the grid, which has {', '.join(grid[factor])}")
        found[factor] = set(levels)
    if not found:
        raise ValueError(f"{key}: give at least one factor with a level")
    return found


def _fits(rule: Mapping[str, set[str]], levels: Mapping[str, str]) -> bool:
    return all(levels[factor] in allowed for factor, allowed in rule.items())


def _claim(claim: Any, table: Any, known: Mapping[str, list[str]]) -> dict[str, Any]:
    """A claim with its table's name and the levels of its rows as texts."""
    claim, comparisons = _mapping("claims", claim) | {"table": table}, []
    for comparison in _list("claims.comparisons", claim.get("comparisons", [])):
        sides = {side: _list(f"claims.{side}", comparison[side]) for side in ("rows", "others") if side in comparison}
        levels = {side: [_levels(f"claims.{side}", row, known) for row in rows] for side, rows in sides.items()}
        comparisons.append(_mapping("claims.comparisons", comparison) | levels)
    return claim | {"comparisons": comparisons}


def _row(row: Any, factors: list[Any], columns: Any) -> dict[str, Any]:
    """One row in the order of the factors, its notes with all their data sets."""
    if not isinstance(row, dict) or not isinstance(row.get("row"), dict):
        raise ValueError(f"rows: a row is a mapping with `row`, its factors and their levels, not {row!r}")
    levels = {factor: level_text(level) for factor, level in row["row"].items()}
    if set(levels) != set(factors):
        raise ValueError(f"row {levels} must have the factors {', '.join(map(str, factors))}")
    row = {**row, "row": {factor: levels[factor] for factor in factors}}
    if isinstance(row.get("score"), str):
        row["score"] = [row["score"]]
    if isinstance(row.get("notes"), dict):
        every = list(dict.fromkeys(column["dataset"] for column in columns if "dataset" in column))
        row["notes"] = {note: every if datasets == "all" else datasets for note, datasets in row["notes"].items()}
    return row


def _levels(key: str, levels: Any, known: Mapping[str, list[str]]) -> dict[str, str]:
    return {factor: _among(known.get(factor, ()), level) for factor, level in _mapping(key, levels).items()}


def _among(levels: Iterable[str], value: Any) -> str:
    """The level that is this value, 1 and 1.0 being the same, or the value's own text where there is none."""
    text, levels = level_text(value), list(levels)
    if text in levels:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return next((level for level in levels if _is_number(level) and float(level) == number), text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _mapping(key: str, value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{key}: give a mapping, not {value!r}")
    return value


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key}: give a list, not {value!r}")
    return list(value)
