"""`track import`: an experiment per table, in it a parent run and below it a run per finished cell, kept up to date from files."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.study.config import StudyConfig
from dad.tracking.content import RunContent, read_content, read_model
from dad.tracking.parents import bare_table, read_table
from dad.tracking.places import Place, chosen_tables, experiment_name, table_places, tables_by_cell
from dad.tracking.store import PARENT, PARENT_TAG, Store, connect, first_line, has_ended, readable_errors
from dad.tracking.writing import Imported, bring_in

DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a missing, cut or foreign file raises (UserError is among them)."""

Runs = dict[tuple[str, str], list[Any]]
"""By experiment and subject, as `Store.runs` gives them; what has been dealt with is taken out."""


def import_results(
    results: Path, uri: str, *, studies: Iterable[StudyConfig] = (), reports: Path | None = None, tables: Iterable[str] = ()
) -> Imported:
    """Show every finished cell under `results` (one folder per study) in the MLflow store at `uri`.

    A cell is finished when `<study>/runs/<cell>/provenance.json` exists; its scores and preview are added when they are there.
    `studies` tell which tables a cell belongs to: it has a run in the experiment `<study>/<table>` of each of them, below the
    table's parent run; a model that is scored as it is has one, too, without curves. A cell goes into the experiment `<study>`
    where its study is not given or no longer has it. The parent gets the rendered table and its figures from `reports`, where
    they are and were rendered from the same cells. `tables` restricts the import to some tables.

    Repeating an import changes nothing: a run whose files have the digest it was made from is left alone. Otherwise, if all
    points the run already has (logged live, say) are still what the files say, only what is missing is added; if not, a
    new run takes its place and the old one goes to MLflow's trash, because MLflow can neither overwrite nor remove a point.
    Runs without files are kept; those still shown as running although their process on this host has ended are marked
    as killed. What can not be read is named in the answer and left out.

    Raises UserError for a folder that does not exist, an unknown table, or a store that can not be used.
    """
    folders, names, studies = _study_folders(results), chosen_tables(tables), list(studies)
    if tables and not studies:
        raise UserError("to import single tables, say which study they belong to (--config)")
    report = Imported()
    store = connect(uri)
    # imports of several tables at once would only get into each other's way
    with readable_errors(uri), store.locked("import"):
        for folder in folders:
            study = next((study for study in studies if study.name == folder.name), None)
            existing = store.runs(folder.name)
            places = {} if study is None else tables_by_cell(study)
            shown: set[str] = set()
            for table in names if study is not None else ():
                shown |= _import_table(store, folder, study, table, places, reports, existing, report)
            if not tables:
                _import_loose(store, folder, places, existing, report)
            _drop_obsolete(store, folder.name, places, shown, existing, report)
            report.killed += sum(_mark_killed(store, run) for runs in existing.values() for run in runs)
    return report


def _study_folders(results: Path) -> list[Path]:
    if not results.is_dir():
        raise UserError(f"the results folder {results} does not exist")
    if (results / "runs").is_dir():
        raise UserError(f"{results} is the folder of one study: give the folder it is in, {results.absolute().parent}")
    return sorted(path.parent for path in results.glob("*/runs") if path.is_dir())


def _import_table(
    store: Store,
    folder: Path,
    study: StudyConfig,
    table: str,
    places: dict[str, tuple[Place, ...]],
    reports: Path | None,
    existing: Runs,
    report: Imported,
) -> set[str]:
    """One table: its parent run first, since the children name it, then the children, whose ids it returns."""
    here = table_places(study, table)
    children = []
    for subject, place in here.items():
        content = _read(folder, subject, places[subject], place, report)
        if content is not None:
            children.append(content)
    if not children:
        return set()
    home = experiment_name(study.name, table)
    whole = _try(lambda: read_table(study, table, here, children, reports), f"{home} (report)", report)
    with store.locked("lock"):
        parents = store.parents(home)
        parent = bring_in(store, home, whole or bare_table(study, table, here, children), parents, report)
    existing.pop((home, PARENT), None)
    for content in children:
        bring_in(store, home, content, existing.pop((home, content.subject), []), report, parent)
    # what is being trained, or was broken off, stays below the table's parent even where that had to be replaced
    for (experiment, _), runs in existing.items():
        for run in runs:
            if experiment == home and run.data.tags.get(PARENT_TAG) != parent:
                store.log(run.info.run_id, tags={PARENT_TAG: parent})
    return {content.subject for content in children}


def _import_loose(store: Store, folder: Path, places: dict[str, tuple[Place, ...]], existing: Runs, report: Imported) -> None:
    """The finished cells of which no table is known."""
    for path in sorted((folder / "runs").glob("*/provenance.json")):
        cell = path.parent.name
        if cell in places:
            continue
        content = _read(folder, cell, (), None, report)
        if content is not None:
            so_far = [run for key in list(existing) if key[1] == cell for run in existing.pop(key)]
            bring_in(store, experiment_name(folder.name, None), content, so_far, report)


def _read(folder: Path, subject: str, places: tuple[Place, ...], place: Place | None, report: Imported) -> RunContent | None:
    """A cell or model with results, or None; what is damaged is noted once, however many tables it is in."""
    if (folder / "runs" / subject / "provenance.json").exists():
        return _try(lambda: read_content(folder, subject, places, place), f"{folder.name}/{subject}", report)
    if place is not None and place.model and any((folder / "scores").glob(f"*/{subject}.json")):
        return _try(lambda: read_model(folder, subject, places, place), f"{folder.name}/{subject}", report)
    return None


def _try(read: Callable[[], RunContent], what: str, report: Imported) -> RunContent | None:
    try:
        return read()
    except DAMAGED as error:
        report.skipped[what] = str(error) if isinstance(error, UserError) else first_line(error)
        return None


def _drop_obsolete(
    store: Store, study: str, places: dict[str, tuple[Place, ...]], shown: set[str], existing: Runs, report: Imported
) -> None:
    """Bin the runs of cells that have just been shown where they belong and still have one where they no longer do."""
    for experiment, subject in list(existing):
        if subject in shown and experiment not in {experiment_name(study, place.table) for place in places.get(subject, ())}:
            for run in existing.pop((experiment, subject)):
                store.client.delete_run(run.info.run_id)
                report.removed += 1


def _mark_killed(store: Store, run: Any) -> bool:
    stale = run.info.status == "RUNNING" and has_ended(run.data.tags.get("dad.process"))
    if stale:
        store.client.set_terminated(run.info.run_id, "KILLED")
    return stale
