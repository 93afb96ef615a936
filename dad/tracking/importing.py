"""`track import`: one MLflow run per finished cell, built and kept up to date from the files of a results folder."""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.study.config import StudyConfig
from dad.tracking.content import RunContent, read_content
from dad.tracking.store import Store, connect, first_line, has_ended, readable_errors, tables_by_cell, this_process


@dataclass
class Imported:
    """What an import did, in numbers of runs; `skipped` names the cells whose files could not be read, with the reason."""

    created: int = 0
    updated: int = 0
    replaced: int = 0
    unchanged: int = 0
    killed: int = 0
    """Runs whose process has ended without a result; they were still shown as running."""
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for the terminal."""
        parts = {"new": self.created, "updated": self.updated, "replaced": self.replaced, "unchanged": self.unchanged}
        parts |= {"marked as killed": self.killed, "skipped": len(self.skipped)}
        return ", ".join(f"{count} {name}" for name, count in parts.items() if count) or "no finished runs"


def import_results(results: Path, uri: str, *, studies: Iterable[StudyConfig] = ()) -> Imported:
    """Show every finished cell under `results` (one folder per study) in the MLflow store at `uri`.

    A cell is finished when `<study>/runs/<cell>/provenance.json` exists; its scores and preview are added when they are
    there. `studies` tell which tables a cell belongs to: its run goes into the experiment `<study>/<first table>`, or
    `<study>` where the study is not given or no longer has the cell.

    Repeating an import changes nothing: a run whose files have the digest it was made from is left alone. Otherwise, if all
    points the run already has (logged live, say) are still what the files say, only what is missing is added; if not, a
    new run takes its place and the old one goes to MLflow's trash, because MLflow can neither overwrite nor remove a point.
    Runs without files are kept; those still shown as running although their process on this host has ended are marked
    as killed.

    Raises UserError for a folder that does not exist or a store that can not be used.
    """
    folders = _study_folders(results)
    tables = {study.name: tables_by_cell(study) for study in studies}
    store = connect(uri)
    report = Imported()
    with readable_errors(uri):
        for folder in folders:
            existing = store.runs(folder.name)
            for path in sorted((folder / "runs").glob("*/provenance.json")):
                cell = path.parent.name
                try:
                    content = read_content(folder, cell, tables.get(folder.name, {}).get(cell, ()))
                except (OSError, ValueError, KeyError, TypeError) as error:
                    report.skipped[f"{folder.name}/{cell}"] = first_line(error)
                    continue
                _bring_in(store, content, existing.pop(cell, []), report)
            report.killed += sum(_mark_killed(store, run) for runs in existing.values() for run in runs)
    return report


def _study_folders(results: Path) -> list[Path]:
    if not results.is_dir():
        raise UserError(f"the results folder {results} does not exist")
    if (results / "runs").is_dir():
        raise UserError(f"{results} is the folder of one study: give the folder it is in, {results.absolute().parent}")
    return sorted(path.parent for path in results.glob("*/runs") if path.is_dir())


def _bring_in(store: Store, content: RunContent, runs: list[Any], report: Imported) -> None:
    home = store.experiment(content.experiment)
    # a run can not be moved to another experiment, so one that lies elsewhere is replaced
    current = next((run for run in runs if run.info.experiment_id == home), None)
    if current is not None and current.data.tags.get("dad.digest") == content.digest and current.info.status == "FINISHED":
        report.unchanged += 1
    elif current is not None and (missing := _missing_points(store, content, current)) is not None:
        _fill(store, content, current, missing)
        report.updated += 1
    else:
        tags = {**content.tags, "dad.process": this_process()}
        current = store.client.create_run(home, start_time=content.started, tags=tags, run_name=content.cell)
        _fill(store, content, current, content.points)
        report.replaced += bool(runs)
        report.created += not runs
    for run in runs:
        if run.info.run_id != current.info.run_id:
            store.client.delete_run(run.info.run_id)


def _missing_points(store: Store, content: RunContent, run: Any) -> dict[tuple[str, int], float] | None:
    """The points the run lacks, or None if it holds anything that the files do not (or no longer) say."""
    if any(content.params.get(key, "")[:6000] != value for key, value in run.data.params.items()):
        return None
    missing = dict(content.points)
    for key in run.data.metrics:
        for point in store.client.get_metric_history(run.info.run_id, key):
            # popping makes a second point at the same step count as something the files do not say
            if missing.pop((key, point.step), None) != point.value:
                return None
    return missing


def _fill(store: Store, content: RunContent, run: Any, points: dict[tuple[str, int], float]) -> None:
    """Complete a run; the digest is set last, so that an interrupted import is taken up again by the next one."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    client, run_id = store.client, run.info.run_id
    store.log(run_id, params=content.params, tags=content.tags)
    store.log_points(run_id, [(key, step, value, content.time_of(key, step)) for (key, step), value in points.items()])
    if content.photos is not None and not run.inputs.dataset_inputs:
        dataset = Dataset(source_type="local", schema=None, profile=None, **content.photos)
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    with tempfile.TemporaryDirectory() as folder:
        for name, path in content.files.items():
            shutil.copyfile(path, Path(folder) / name)
        client.log_artifacts(run_id, folder)
    client.set_terminated(run_id, "FINISHED", end_time=content.finished)
    store.log(run_id, tags={"dad.digest": content.digest})


def _mark_killed(store: Store, run: Any) -> bool:
    stale = run.info.status == "RUNNING" and has_ended(run.data.tags.get("dad.process"))
    if stale:
        store.client.set_terminated(run.info.run_id, "KILLED")
    return stale
