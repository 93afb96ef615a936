"""Bringing one run of a store to what its files say."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dad.tracking.content import RunContent
from dad.tracking.store import PARENT_TAG, Store, this_process


@dataclass
class Imported:
    """What an import did, in numbers of runs; `skipped` names what could not be read, with the reason."""

    created: int = 0
    updated: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    """Runs in experiments that their cell no longer belongs to."""
    killed: int = 0
    """Runs whose process has ended without a result; they were still shown as running."""
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for the terminal."""
        parts = {"new": self.created, "updated": self.updated, "replaced": self.replaced, "unchanged": self.unchanged}
        parts |= {"removed": self.removed, "marked as killed": self.killed, "skipped": len(self.skipped)}
        return ", ".join(f"{count} {name}" for name, count in parts.items() if count) or "no finished runs"


def bring_in(store: Store, home: str, content: RunContent, runs: list[Any], report: Imported, parent: str | None = None) -> str:
    """Make one run in the experiment `home` show `content`, below the run `parent`; returns its id.

    `runs` are those that show the same subject so far, here or (obsolete) in another experiment: all but one end up in the
    trash, because a run can not be moved.
    """
    experiment = store.experiment(home)
    current = next((run for run in runs if run.info.experiment_id == experiment), None)
    link = {} if parent is None else {PARENT_TAG: parent}
    if current is not None and _is_current(content, current):
        if link.items() <= current.data.tags.items():
            report.unchanged += 1
        else:
            store.log(current.info.run_id, tags=link)
            report.updated += 1
    elif current is not None and (missing := _missing_points(store, content, current)) is not None:
        _fill(store, content, current, missing, link)
        report.updated += 1
    else:
        tags = {**content.tags, **link, "dad.process": this_process()}
        current = store.client.create_run(experiment, start_time=content.started, tags=tags, run_name=content.name)
        _fill(store, content, current, content.points, link)
        report.replaced += bool(runs)
        report.created += not runs
    for run in runs:
        if run.info.run_id != current.info.run_id:
            store.client.delete_run(run.info.run_id)
    return current.info.run_id


def _is_current(content: RunContent, run: Any) -> bool:
    return run.data.tags.get("dad.digest") == content.digest and run.info.status == "FINISHED"


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


def _fill(store: Store, content: RunContent, run: Any, points: dict[tuple[str, int], float], link: dict[str, str]) -> None:
    """Complete a run; the digest is set last, so that an interrupted import is taken up again by the next one."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    client, run_id = store.client, run.info.run_id
    store.log(run_id, params=content.params, tags=content.tags | link)
    store.log_points(run_id, [(key, step, value, content.time_of(key, step)) for (key, step), value in points.items()])
    if content.photos is not None and not run.inputs.dataset_inputs:
        dataset = Dataset(source_type="local", schema=None, profile=None, **content.photos)
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    if content.files:
        with tempfile.TemporaryDirectory() as folder:
            for name, path in content.files.items():
                shutil.copyfile(path, Path(folder) / name)
            client.log_artifacts(run_id, folder)
    if run.info.run_name != content.name:
        client.update_run(run_id, name=content.name)
    client.set_terminated(run_id, "FINISHED", end_time=content.finished)
    store.log(run_id, tags={"dad.digest": content.digest})
