"""The trainings of one call of the workflow: which students are trained together in one job, and which alone.

Students that are trained already stay with those they were trained with, whatever the grouping is now: Snakemake
compares the job that made a result with the one that would make it now. So results are made again for new contents and
never for a new grouping.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from dad.errors import UserError
from dad.files import read_json, sha256_json, write_json
from dad.study.cells import load_cell
from dad.study.config import Cell
from dad.study.layout import Layout
from dad.study.tables import table_names
from dad.study.together import Lanes, companies, groups, largest

PLANNED = "trainings.json"
"""In results/STUDY: the jobs of several students, by name, for a cluster's machines, which know only a job's name."""


@dataclass(frozen=True)
class Company:
    """One job that trains several students."""

    cells: tuple[str, ...]
    """Those whose results it makes."""
    whole: tuple[str, ...]
    """Those that it is or was made of: of a finished company some may be gone."""


class Trainings:
    """How the students of a study are divided into jobs.

    tables: their ids by table; cells: all of them by id. targets: what is asked of the workflow, as paths. gpus: how
    many GPUs the training of one asks for; gib: the memory that training several together takes.
    """

    def __init__(
        self,
        layout: Layout,
        tables: Mapping[str, Sequence[str]],
        cells: Mapping[str, Cell],
        *,
        lanes: Lanes,
        targets: Iterable[str],
        gpus: Callable[[Cell], int],
        gib: Callable[..., float],
    ) -> None:
        self._layout, self._cells, self._tables, self._lanes = layout, cells, tables, lanes
        self._gpus, self._gib = gpus, gib
        self._finished = {name for name in cells if all(path.is_file() for path in layout.run_files(name))}
        kept = self._kept()
        self._asked_for = self._asked(targets)
        planned = self._planned(
            {name: cell for name, cell in cells.items() if name not in self._finished}, self._asked_for
        )
        self.together: dict[str, Company] = {self._name(one.whole): one for one in [*kept, *planned]}
        """The jobs of several students, by name."""
        self._divide()

    def _divide(self) -> None:
        grouped = {name for company in self.together.values() for name in company.cells}
        self.alone: list[str] = [name for name in self._cells if name not in grouped]
        """The students that are in none of them."""

    def to_do(self) -> list[list[Cell]]:
        """The jobs that train what is asked for, and what the study's own tables need besides, and is not trained."""
        wanted = self._asked_for | self._of_own_tables()
        jobs = [*(one.cells for one in self.together.values()), *([name] for name in self.alone)]
        new = [[self._cells[name] for name in job if name in wanted and name not in self._finished] for job in jobs]
        return [cells for cells in new if cells]

    def write(self) -> None:
        """Keep the jobs of several students for `read`; those of another call that may still be running stay."""
        if self.together:
            now = {name: [list(company.cells), list(company.whole)] for name, company in self.together.items()}
            write_json(self._layout.root / PLANNED, self._written() | now)

    def read(self) -> None:
        """Take the jobs that the call which submitted this one has planned."""
        written = {name: Company(tuple(cells), tuple(whole)) for name, (cells, whole) in self._written().items()}
        known = {name: one for name, one in written.items() if set(one.cells) <= self._cells.keys()}
        if known:
            self.together = known
            self._divide()

    def _written(self) -> dict[str, Any]:
        try:
            return dict(read_json(self._layout.root / PLANNED))
        except (UserError, ValueError, TypeError):
            return {}

    def of(self, cells: Iterable[str]) -> dict[str, Cell]:
        """Cells by id; those that the study no longer has, by what their training wrote. What is gone is left out."""
        found = {}
        for name in cells:
            config = self._layout.run(name) / "config.json"
            if name in self._cells:
                found[name] = self._cells[name]
            elif config.is_file():
                found[name] = load_cell(str(config), None)
        return found

    def _kept(self) -> list[Company]:
        """The companies of students that are trained."""
        found: dict[tuple[str, ...], list[str]] = {}
        for name in self._cells:
            if name in self._finished and len(whole := self._trained_with(name)) > 1:
                found.setdefault(whole, []).append(name)
        return [Company(tuple(cells), whole) for whole, cells in found.items()]

    def _trained_with(self, cell: str) -> tuple[str, ...]:
        """Whom a finished student says it was trained with, itself among them; nobody if its record cannot be read."""
        try:
            whole = tuple(map(str, read_json(self._layout.run(cell) / "provenance.json")["company"]))
        except (UserError, ValueError, KeyError, TypeError):
            return ()
        return whole if cell in whole else ()

    def _planned(self, new: Mapping[str, Cell], asked: set[str]) -> list[Company]:
        """Companies of students that are not trained.

        Students of one table come together, so that a table asked for by itself costs little more than its own; what is
        asked for is divided so that the machine is used.
        """
        most = self._layout.study.students_per_job
        found: list[Company] = []
        if most == 1:
            return found
        for some, is_asked in ((asked, True), (new.keys() - asked, False)):
            tables = self._by_table({name: cell for name, cell in new.items() if name in some})
            for gpus in sorted({self._gpus(cell) for cells in tables for cell in cells.values()}):
                of_kind = [{name: cell for name, cell in cells.items() if self._gpus(cell) == gpus} for cells in tables]
                sizes = [len(company) for cells in of_kind for company in companies(cells)]
                size = largest(sizes, most, self._lanes.jobs(gpus)) if is_asked else most
                for cells in of_kind:
                    several = [
                        tuple(group) for group in groups(cells, size, self._fits if gpus else None) if len(group) > 1
                    ]
                    found += [Company(group, group) for group in several]
        return found

    def _by_table(self, cells: Mapping[str, Cell]) -> list[dict[str, Cell]]:
        """Cells by the first table that has them."""
        seen: set[str] = set()
        found = []
        for names in self._tables.values():
            found.append({name: cells[name] for name in names if name in cells and name not in seen})
            seen |= found[-1].keys()
        return found

    def _fits(self, group: list[str]) -> bool:
        return self._lanes.gpu_gib is None or self._gib(*(self._cells[name] for name in group)) <= self._lanes.gpu_gib

    def _asked(self, targets: Iterable[str]) -> set[str]:
        """The students these files are made from, as far as names tell; all that the study makes where no name does."""
        found: set[str] = set()
        for target in targets:
            path = PurePath(target)
            name = path.name.split(".")[0].removesuffix("_photos").removesuffix("_details")
            if path.parent == self._layout.reports and name in self._tables:
                found |= set(self._tables[name])
            elif path.is_relative_to(self._layout.root):
                found |= {part for part in (*path.parts, path.stem) if part in self._cells}
        return found or self._of_own_tables()

    def _of_own_tables(self) -> set[str]:
        return {cell for table in table_names(self._layout.study) for cell in self._tables[table]}

    def _name(self, whole: tuple[str, ...]) -> str:
        """A name that says the table and tells companies apart."""
        table = next((table for table, names in self._tables.items() if whole[0] in names), "others")
        return f"{table}-{sha256_json(list(whole))[:6]}"
