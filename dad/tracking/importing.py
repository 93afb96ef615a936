"""`track import`: an experiment per table with the table's run and below it one per finished cell, as the files say."""

import contextlib
import itertools
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.files import scratch_folder
from dad.study.cells import Row
from dad.study.config import StudyConfig
from dad.study.tables import table_of
from dad.tracking.content import Files, RunContent, read_run, read_table, run_files, table_files
from dad.tracking.places import chosen_tables, tables_by_cell
from dad.tracking.process import has_ended, this_process
from dad.tracking.store import PARENT_TAG, Store, connect, first_line, readable_errors
from dad.tracking.view import VIEW_TAG, table_view

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a missing, cut or foreign file raises (UserError is among them)."""


@dataclass
class Imported:
    """What an import did, in numbers of runs; `skipped` names what could not be read, with the reason."""

    created: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    """Second runs of one cell, and runs of what is no row of the table any more."""
    killed: int = 0
    """Runs whose process has ended without a result; they were still shown as running."""
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for the terminal."""
        parts = {"new": self.created, "replaced": self.replaced, "unchanged": self.unchanged, "removed": self.removed}
        parts |= {"marked as killed": self.killed, "skipped": len(self.skipped)}
        return ", ".join(f"{count} {name}" for name, count in parts.items() if count) or "no finished runs"


def import_results(
    results: Path,
    uri: str,
    *,
    studies: Iterable[StudyConfig] = (),
    reports: Path | None = None,
    tables: Iterable[str] = (),
) -> Imported:
    """Show every finished cell under `results` (one folder per study) in the MLflow store at `uri`.

    A cell is finished when `<study>/runs/<cell>/provenance.json` exists; its scores and preview are added when they are
    there. `studies` tell which tables a cell belongs to: it has a run in the experiment `<study>/<table>` of each of
    them, below the table's own run; a model that is scored as it is has one, too, without curves. A cell goes into the
    experiment `<study>` where its study is not given or no longer has it. The table's run gets the rendered table and
    its figures from `reports`, where they are and were rendered from the same cells. `tables` restricts the import to
    some tables.

    A run made from the same contents is left alone, any other goes to MLflow's trash and is made anew; so what was
    broken off, or changed in MLflow's pages, ends as one run per cell. Runs without files are kept; those still shown
    as running although their process on this host has ended are marked as killed. What cannot be read is named in the
    answer and left out.

    Raises UserError for a folder that does not exist, an unknown table, or a store that cannot be used.
    """
    folders, tables, studies = _study_folders(results), tuple(tables), list(studies)
    if tables and not studies:
        raise UserError("to import single tables, say which study they belong to (--config)")
    chosen = {study.name: chosen_tables(study, tables, reports) for study in studies}
    report = Imported()
    store = connect(uri)
    # imports of several tables at once would only get into each other's way
    with readable_errors(uri), store.locked("import"):
        for folder in folders:
            study = next((study for study in studies if study.name == folder.name), None)
            # a table that is imported by itself does not change what is said of its cells
            names = chosen.get(folder.name, ())
            places = (
                {} if study is None else tables_by_cell(study, dict.fromkeys(chosen_tables(study, (), reports) + names))
            )
            into = _Import(store, folder, places, report)
            for table in names if study is not None else ():
                into.show_table(study, table, {} if reports is None else table_files(reports, table))
            if not tables:
                into.show_loose()
            into.end_killed()
    return report


def _study_folders(results: Path) -> list[Path]:
    if not results.is_dir():
        raise UserError(f"the results folder {results} does not exist")
    if (results / "runs").is_dir():
        raise UserError(f"{results} is the folder of one study: give the folder it is in, {results.absolute().parent}")
    return sorted(path.parent for path in results.glob("*/runs") if path.is_dir())


@dataclass
class _Import:
    """The import of one study's folder; `places` tell which rows a cell or model fills."""

    store: Store
    folder: Path
    places: Mapping[str, Sequence[Row]]
    report: Imported

    def show_table(self, study: StudyConfig, table: str, files: Files) -> None:
        """A table: its own run first, since the others name it, then its rows' runs. `files` are the rendered ones."""
        here = {subject: row for subject, rows in self.places.items() for row in rows if row.table == table}
        children = self._read(here)
        if not children:
            return
        contents, cells = list(children.values()), sum(row.model is None for row in here.values())
        content = read_table(study, table, contents, cells, {})
        with self._noted(f"{study.name}/{table} (report)"):
            content = read_table(study, table, contents, cells, files)
        home = self.store.experiment(f"{study.name}/{table}")
        with self.store.locked("lock"):
            parent = self._show(home, content, self.store.runs(study.name, home).get("", []), {})
        self.store.tag_experiment(home, VIEW_TAG, table_view(table_of(study, table), contents, content))
        for subject, run in self._show_all(home, children, {PARENT_TAG: parent}):
            if subject not in here and not _is_running(run):
                self._remove(run)
            elif run.data.tags.get(PARENT_TAG) != parent:  # being trained, or broken off
                self.store.log(run.info.run_id, tags={PARENT_TAG: parent})

    def show_loose(self) -> None:
        """The finished cells of which no table is known; those of tables have no run here."""
        cells = [path.parent.name for path in sorted((self.folder / "runs").glob("*/provenance.json"))]
        loose = self._read({cell: None for cell in cells if cell not in self.places})
        if loose or self.store.client.get_experiment_by_name(self.folder.name) is not None:
            for subject, run in self._show_all(self.store.experiment(self.folder.name), loose, {}):
                if subject in self.places:
                    self._remove(run)

    def end_killed(self) -> None:
        """Runs whose process has ended without a result are no longer shown as running."""
        for run in itertools.chain(*self.store.runs(self.folder.name).values()):
            if run.info.status == "RUNNING" and not _is_running(run):
                self.store.client.set_terminated(run.info.run_id, "KILLED")
                self.report.killed += 1

    @contextlib.contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """Files that are damaged are named, and the reason."""
        try:
            yield
        except DAMAGED as error:
            self.report.skipped[what] = str(error) if isinstance(error, UserError) else first_line(error)

    def _read(self, subjects: Mapping[str, Row | None]) -> dict[str, RunContent]:
        """The cells and models with results, as what they are shown; a damaged one is noted once, not per table."""
        found = {}
        for subject, row in subjects.items():
            files = run_files(self.folder, subject)
            scored = any(name.startswith("scores-") and name.endswith(".json") for name in files)
            if "provenance.json" in files or (row is not None and row.model and scored):
                with self._noted(f"{self.folder.name}/{subject}"):
                    found[subject] = read_run(self.folder.name, subject, files, self.places.get(subject, ()), row)
        return found

    def _show_all(
        self, home: str, contents: Mapping[str, RunContent], link: Mapping[str, str]
    ) -> list[tuple[str, Any]]:
        """Show the contents; returns the runs of other subjects in the experiment `home`, with these."""
        existing = self.store.runs(self.folder.name, home)
        for subject, content in contents.items():
            self._show(home, content, existing.pop(subject, []), link)
        return [(subject, run) for subject, runs in existing.items() if subject for run in runs]

    def _show(self, home: str, content: RunContent, runs: Sequence[Any], link: Mapping[str, str]) -> str:
        """Make one run in the experiment `home` show `content`, with the tags of `link`; returns its id.

        `runs` are those that show the same subject so far; all but one end up in the trash.
        """
        digest = content.digest
        newer = [run for run in runs if _is_running(run) and run.info.start_time > content.finished]
        equal = [run for run in runs if run.data.tags.get("dad.digest") == digest]
        if newer or equal:
            current = (newer or equal)[0]
            run_id = current.info.run_id
            self.report.unchanged += 1
            if not link.items() <= current.data.tags.items():
                self.store.log(run_id, tags=link)
        else:
            run_id = self._write(home, content, digest, link)
            self.report.replaced += bool(runs)
            self.report.created += not runs
        self.store.keep_only(run_id, runs)
        self.report.removed += max(0, len(runs) - 1)
        return run_id

    def _write(self, home: str, content: RunContent, digest: str, link: Mapping[str, str]) -> str:
        """A new run; the digest is set last, so that an interrupted import is taken up again by the next one."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        client = self.store.client
        tags = {**content.tags, **link, "dad.process": this_process()}
        run_id = client.create_run(home, start_time=content.started, tags=tags, run_name=content.name).info.run_id
        self.store.log(run_id, params=content.params, points=content.points)
        if content.photos is not None:
            dataset = Dataset(source_type="local", schema=None, profile=None, **content.photos)
            client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        if content.files:
            with scratch_folder() as folder:
                for name, path in content.files.items():
                    shutil.copyfile(path, folder / name)
                client.log_artifacts(run_id, str(folder))
        client.set_terminated(run_id, "FINISHED", end_time=content.finished)
        self.store.log(run_id, tags={"dad.digest": digest})
        return run_id

    def _remove(self, run: Any) -> None:
        self.store.client.delete_run(run.info.run_id)
        self.report.removed += 1


def _is_running(run: Any) -> bool:
    return run.info.status == "RUNNING" and not has_ended(run.data.tags.get("dad.process"))
