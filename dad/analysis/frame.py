"""A table's results as one tidy frame, made once from its score files. What shows the table reads the frame and decides
nothing.

The frame has a line per row, column and metric: our mean with its interval, the number printed beside it, differences
to the best row and to the row's reference, what is best of its block, and the reason where there is no number.
"""

import contextlib
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dad.analysis.columns import Column, beside_label, reasons, row_label, table_columns
from dad.analysis.contrasts import (
    MEANS,
    TO_BEST,
    TO_REFERENCE,
    Term,
    ValueTable,
    contrast,
    table_statistics,
    value_table,
)
from dad.analysis.estimates import Values
from dad.analysis.provenance import starts
from dad.analysis.scores import METRICS, table_scores
from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.identity import read_record
from dad.premises import read_facts
from dad.premises.shares import term_shares
from dad.study.cells import Row, model_slug, study_groups, table_rows
from dad.study.claims import MEASURED
from dad.study.config import StudyConfig
from dad.study.layout import Layout
from dad.study.modes import TERMS
from dad.study.paper import paper
from dad.study.table import Table
from dad.study.tables import table_of

Line = dict[str, Any]
"""One line of the frame; numbers that do not exist are NaN, texts empty."""

KEYS = ["row", "dataset", "metric"]
NO_DATA = "this study has no data set for this benchmark"


@dataclass(frozen=True)
class Frame:
    """A table's layout, rows and columns, the scores in it, and `lines`: everything that is shown of it."""

    study: StudyConfig
    table: str
    files: Layout
    """Where the results lie."""
    layout: Table
    rows: tuple[Row, ...]
    beside: tuple[Row, ...]
    """The models above the rows (`dad.study.cells.BESIDE`), as rows; without those that have not been scored."""
    columns: tuple[Column, ...]
    protocol: str
    """Id of the protocol, e.g. `marigold@1`."""
    protocol_hash: str
    scores: pd.DataFrame
    """Per image with a scored pixel: row, seed, dataset, image, scene, n, METRICS and others that claims ask for."""
    beside_scores: pd.DataFrame
    """The same of the models above the rows."""
    empty: Mapping[str, int]
    """Data set -> images without a scored pixel."""

    @functools.cached_property
    def lines(self) -> pd.DataFrame:
        """A line per row, column and metric; a benchmark that the study has no data set for has lines with printed
        numbers alone.

        Columns: role (`row`, or one of `BESIDE`), row, label, block, cell (what stands in the row), the factors;
        dataset, title, benchmark (of the paper), stands_for, metric, protocol; mean, ci_low, ci_high, n, seeds, best,
        percent; paper, paper_best, paper_percent, notes, foreign; the differences to the table's best row (TO_BEST) and
        to the row's reference (reference, TO_REFERENCE, ref_verdict); reason.
        """
        return _decided(self, _places(self).merge(_statistics(self), how="left", on=KEYS))

    @property
    def trained(self) -> tuple[Row, ...]:
        """The rows that have cells."""
        return tuple(row for row in self.rows if row.cells)

    @property
    def scored(self) -> tuple[Row, ...]:
        """The rows that have scores: those with cells, and those with a model that is scored as is."""
        return tuple(row for row in self.rows if row.subjects)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the trainings."""
        return tuple(sorted({cell.seed for row in self.rows for cell in row.cells.values()}))

    @property
    def repeats(self) -> int:
        """How many trainings of each row there are; 1 without trained rows."""
        return max((len(row.cells) for row in self.trained), default=1)

    @property
    def absent(self) -> tuple[Column, ...]:
        """The columns that the paper's table prints and this study has nothing for."""
        printed = set(self.lines.loc[self.lines["paper"].notna(), "dataset"])
        return tuple(column for column in self.without_data if column.dataset in printed)

    @property
    def without_data(self) -> tuple[Column, ...]:
        """The columns of the paper's table that this study has no data set for, whether anything is printed or not."""
        shown = {column.paper for column in self.columns}
        return tuple(Column(name, name) for name in self.layout.datasets if name not in shown)

    @property
    def printed(self) -> bool:
        """Whether the paper prints numbers in this table."""
        return bool(self.lines["paper"].notna().any())

    @property
    def reasons(self) -> dict[str, list[str]]:
        """Why rows were not run -> their labels."""
        return reasons(self.layout, self.rows)

    @functools.cached_property
    def _values(self) -> ValueTable:
        return value_table(self.scores, [name for name in (*METRICS, *MEASURED) if name in self.scores])

    def contrast(self, column: Column, terms: Sequence[Term]) -> list[Values]:
        """Weighted sum of scored rows, (seeds, images) per data set of a column; images can lack a further metric."""
        return contrast(self._values, column.datasets, terms, partial=MEASURED)

    @functools.cached_property
    def _records(self) -> dict[tuple[str, str, str], Line]:
        return {(line["row"], line["dataset"], line["metric"]): line for line in self.lines.to_dict("records")}

    def value(self, row: Row, column: Column, metric: str) -> Line | None:
        """The line of a row or teacher; None where it has neither a number nor a printed one."""
        return self._records.get((row.name, column.dataset, metric))

    def rows_of(self) -> Iterator[tuple[Row, bool]]:
        """The rows in order, and whether a row is the first of its block."""
        previous: object = None
        for row in self.rows:
            block = block_of(self.layout, row)
            yield row, block != previous
            previous = block

    def row_of(self, factors: Mapping[str, str]) -> Row | None:
        """The row with these factors, or None if this study's table has none."""
        return next((row for row in self.rows if row.factors == dict(factors)), None)

    def reference(self, row: Row) -> Row | None:
        """The row that this one is compared with, or None."""
        factors = self.layout.reference_of(row.factors)
        return None if factors is None else self.row_of(factors)

    def base(self, row: Row) -> Row | None:
        """The row whose change in per cent is shown beside this one, or None."""
        base = self.row_of(row.factors | (self.layout.percent_of or {}))
        return None if base == row else base

    def label(self, row: Row) -> str:
        """A row in the table's words, e.g. `Shared-Context Distillation, Hybrid Norm.`"""
        if row.role == "row":
            return row_label(self.layout, row)
        several = row.role != "no-skill" and sum(other.role == row.role for other in self.beside) > 1
        return beside_label(row) + (f" {model_slug(row.model or '')}" if several else "")

    def apart(self, row: Row, other: Row) -> str:
        """A row's label without the factors it shares with `other`."""
        return ", ".join(self.layout.label(*pair) for pair in row.factors.items() if other.factors[pair[0]] != pair[1])

    def shared(self, row: Row, other: Row) -> str:
        """The label of the factors that two rows share."""
        return ", ".join(self.layout.label(*pair) for pair in row.factors.items() if other.factors[pair[0]] == pair[1])

    @functools.cached_property
    def starts(self) -> dict[str, list[str]]:
        """Name of a row -> its trainings whose start had to be cured, or that ended inside out, each in a sentence."""
        found: dict[str, list[str]] = {}
        for row in self.trained:
            for cell, remark in starts(self.files, row.cells).items():
                found.setdefault(row.name, []).append(f"{self.label(row)}, seed {row.cells[cell].seed}: {remark}")
        return found

    @functools.cached_property
    def shares(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Label of a row -> term of eq. 9 -> its share of the objective at the start and at the end, the mean over the
        trainings; rows whose step logs are not there are left out.
        """
        found = {}
        for row in self.trained:
            with contextlib.suppress(UserError):
                runs = [term_shares(self.files.run(cell)) for cell in row.cells]
                means = {end: pd.DataFrame([run[end] for run in runs]).mean() for end in ("start", "end")}
                terms = [term for term in TERMS if term in means["start"]]
                found[self.label(row)] = {term: (means["start"][term], means["end"][term]) for term in terms}
        return found

    @functools.cached_property
    def input_sizes(self) -> dict[int, list[str]]:
        """Size of the network's input when it was scored -> labels of the rows; what no summary tells is left out."""
        found: dict[int, list[str]] = {}
        for row in (*self.beside, *self.scored):
            places = [self.files.summary(group, row.subjects[0]) for group in study_groups(self.study, self.table)]
            sizes = (read_record(path).get("input_size") for path in places if path.is_file())
            if size := next(filter(None, sizes), None):
                found.setdefault(size, []).append(self.label(row))
        return found

    @functools.cached_property
    def failed_premises(self) -> list[str]:
        """The study's premises that do not hold, with what was found, where they have been measured."""
        facts = read_facts(self.files.premises) or {"premises": ()}
        return [f"{one['statement']} {one['finding']}" for one in facts["premises"] if one["holds"] is False]

    def images(self) -> dict[Column, int]:
        """Column -> its scored images; columns that nothing was scored on are left out."""
        counts = self.scores.groupby("dataset")["image"].nunique()
        return {column: int(counts[column.dataset]) for column in self.columns if column.dataset in counts}

    def scenes(self) -> list[tuple[str, int, int]]:
        """(data set, images, scenes) where several images are of one scene."""
        counts = self.scores.groupby("dataset", sort=False)[["image", "scene"]].nunique()
        return [(dataset, images, scenes) for dataset, images, scenes in counts.itertuples() if images != scenes]


def words(layout: Table, lines: pd.DataFrame, factors: Sequence[str]) -> pd.Series:
    """What the levels of some factors are called, line by line."""
    if not factors:
        return pd.Series("", index=lines.index)
    return lines[[*factors]].apply(lambda levels: ", ".join(layout.label(*pair) for pair in levels.items()), axis=1)


def block_of(layout: Table, row: Row) -> tuple[str, ...]:
    """The levels that say which block of the table a row is in; empty where the table has no blocks."""
    return tuple(row.factors[factor] for factor in layout.block)


def load_frame(study: StudyConfig, table: str, results: Path) -> Frame:
    """Read the scores in a table's rows under the study's first protocol, compute the statistics, and decide what is
    best.

    The files of a model above the rows may be missing. Raises UserError if another is missing, if one is unreadable, of
    another model or without one of the data sets, or if two were scored on different images or under different rules.
    """
    layout, rows, columns = table_of(study, table), tuple(table_rows(study, table)), table_columns(study, table)
    if not columns:
        raise UserError(f"study {study.name} has no benchmark that {table} reports ({', '.join(layout.datasets)})")
    protocol = load_protocol(study.protocols[0])
    asked = [
        name for claim in layout.claims for one in claim.comparisons for name in (one.metric, one.other_metric) if name
    ]
    metrics = list(dict.fromkeys([*METRICS, *asked]))
    beside, scores = table_scores(study, table, results, columns, protocol.id, metrics)
    first = scores[scores["subject"] == scores["subject"].iloc[0]] if len(scores) else scores
    own, measured = scores["row"].isin([row.name for row in rows]), scores["n"] > 0
    return Frame(
        study=study,
        table=table,
        files=Layout(study, results),
        layout=layout,
        rows=rows,
        beside=beside,
        columns=columns,
        protocol=protocol.id,
        protocol_hash=first["protocol_hash"].iloc[0] if len(first) else protocol.hash,
        scores=scores[own & measured],
        beside_scores=scores[~own & measured],
        empty={
            name: int(((first["dataset"] == name) & (first["n"] == 0)).sum())
            for name in dict.fromkeys(first["dataset"])
        },
    )


def _places(frame: Frame) -> pd.DataFrame:
    """A line per row, column and metric that has a number, ours or printed: what stands there, and what is printed."""
    lines, columns = [], (*frame.columns, *frame.without_data)
    for row, column, metric in itertools.product((*frame.beside, *frame.rows), columns, METRICS):
        own, scored = row.role == "row", column in frame.columns
        printed = frame.layout.printed(row.factors, column.paper, metric) if own and column.paper is not None else None
        if not scored and not printed:
            continue
        lines.append(
            {
                "role": row.role,
                "row": row.name,
                "label": frame.label(row),
                "block": ", ".join(block_of(frame.layout, row)) if own else "",
                "cell": "+".join(row.subjects),
                **row.factors,
                "dataset": column.dataset,
                "title": column.title,
                "benchmark": column.paper or "",
                "stands_for": column.paper if column.stand_in else "",
                "metric": metric,
                "protocol": frame.protocol if scored else "",
                "reason": row.reason or ("" if scored else NO_DATA),
                "paper": printed.value if printed else None,
                "paper_percent": printed.percent if printed else None,
                "notes": " ".join(printed.notes) if printed else "",
                "foreign": printed is not None and paper().foreign(printed),
            }
        )
    return pd.DataFrame(lines).astype({"paper": float, "paper_percent": float})


def _statistics(frame: Frame) -> pd.DataFrame:
    """The statistics of the rows among themselves, and of the models above them."""
    better = {metric: paper().metrics[metric].better for metric in METRICS}
    datasets = {column.dataset: column.datasets for column in frame.columns}
    references = {row.name: other.name for row in frame.rows if (other := frame.reference(row))}
    groups = [table_statistics(scores, better, datasets, references) for scores in (frame.scores, frame.beside_scores)]
    return pd.concat([found for found in groups if len(found)] or groups[:1])


def _decided(frame: Frame, lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with what is best of its block, the change against the base row, the verdict against the reference."""
    lines = lines.astype(dict.fromkeys([*MEANS, *TO_BEST, *TO_REFERENCE], float)).fillna({"reference": ""})
    sign = lines["metric"].map({name: 1 if paper().metrics[name].better == "lower" else -1 for name in METRICS})
    lines["best"], lines["paper_best"] = _best(lines, "mean", sign), _best(lines, "paper", sign)
    bases = {row.name: base.name for row in frame.rows if (base := frame.base(row))}
    of_base = pd.MultiIndex.from_frame(lines[KEYS].assign(row=lines["row"].map(bases)))
    means = lines[lines["role"] == "row"].set_index(KEYS)["mean"].reindex(of_base)
    lines["percent"] = 100 * (lines["mean"] / means.to_numpy() - 1)
    ends = lines[["ref_low", "ref_high"]].mul(sign, axis=0)
    cases = [lines["reference"] == "", ends.min(axis=1) > 0, ends.max(axis=1) < 0]
    lines["ref_verdict"] = np.select(cases, ["", "worse", "better"], "undecided")
    return lines


def _best(lines: pd.DataFrame, value: str, sign: pd.Series) -> pd.Series:
    """Whether a value reads as best of its block: ties after rounding all do, as in the paper; one alone does not."""
    rounded = sign * lines[value].where(lines["role"] == "row").map(lambda one: float(f"{one:.{paper().decimals}f}"))
    blocks = rounded.groupby([lines["dataset"], lines["metric"], lines["block"]])
    return (rounded == blocks.transform("min")) & (blocks.transform("count") > 1)
