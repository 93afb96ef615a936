"""Watching a training in MLflow while it runs; a failure of the tracking never reaches the training."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from dad.errors import UserError
from dad.provenance import git_state
from dad.study.cells import Row, cell_id
from dad.study.config import Cell
from dad.tracking.content import code_tags, is_shown, row_points, shown_as, source_tags
from dad.tracking.process import exits_on_sigterm, this_process
from dad.tracking.store import PARENT_TAG, Store, check_uri, connect, first_line, shown

_logger = logging.getLogger(__name__)


class LiveTracker:
    """A listener of `dad.distill.train.train` that writes the step log's rows to MLflow as they come.

    Use as a context manager around the training. The run appears with the first rows, so that a training that never
    gets there leaves no trace. The newest unfinished run of the cell is taken up again and goes on after its last step;
    a finished one, whose files are being made anew, goes to MLflow's trash. Rows are written when the step log hands
    them over (every 25 steps, every 10 seconds, and before each checkpoint): holding them back any longer would leave a
    gap after a killed training resumes from its checkpoint.

    The run ends as FINISHED, as FAILED (with the tag `dad.error`) when the training raises, as KILLED on SIGTERM or
    Ctrl-C. After SIGKILL it stays RUNNING until the cell is trained again or `import_results` sees that its process has
    ended. An import replaces the run by one with scores and files.

    `tables` are the cell's rows as `tables_by_cell` gives them: the run goes into the first table's experiment, below
    that table's own run; an import adds the others. Without any it goes into the study's own experiment.

    The first failure of MLflow gives one warning and switches the tracker off. Only a URI of an unsupported kind raises
    (UserError, on construction, before work is spent).
    """

    def __init__(self, uri: str, cell: Cell, *, study: str, tables: Sequence[Row] = ()) -> None:
        self.uri = check_uri(uri)
        self.cell, self.study, self.tables = cell, study, tuple(tables)
        self._store: Store | None = None
        self._run_id: str | None = None
        self._last_step = -1
        self._started = 0
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> "LiveTracker":
        self._started = _now()
        with self._guarded():
            self._store = connect(self.uri)
        self._ending.enter_context(exits_on_sigterm())
        return self

    def __call__(self, rows: list[dict[str, float]]) -> None:
        """Write rows of the step log: a value per column, and the column `step`. Never raises."""
        if self._store is None:
            return
        with self._guarded():
            if self._run_id is None:
                self._run_id = self._open_run(self._store)
            fresh = [row for row in rows if row["step"] > self._last_step]
            kept = [row for row in fresh if is_shown(int(row["step"]), self.cell.optim.steps)]
            points = [(*point, value, _now()) for row in kept for point, value in row_points(row).items()]
            self._store.log(self._run_id, points=points)
            self._last_step = int(max([self._last_step, *(row["step"] for row in fresh)]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()
        if self._store is None or self._run_id is None:
            return
        with self._guarded():
            status = "FINISHED" if error is None else "FAILED" if isinstance(error, Exception) else "KILLED"
            if status == "FAILED":
                self._store.log(self._run_id, tags={"dad.error": f"{type(error).__name__}: {error}"})
            self._store.client.set_terminated(self._run_id, status)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """The first failure of the tracking is a warning, and its end."""
        try:
            yield
        except Exception as error:
            self._store = None
            reason = str(error) if isinstance(error, UserError) else f"{shown(self.uri)} failed ({first_line(error)})"
            _logger.warning(
                "live tracking is off for the rest of this run: %s; the run's files are complete without it, and "
                "`dad track import` shows them in MLflow later",
                reason,
            )

    def _open_run(self, store: Store) -> str:
        cell, row = cell_id(self.cell), self.tables[0] if self.tables else None
        label, tags, params = shown_as(self.study, cell, self.tables, row, self.cell.model_dump(mode="json"))
        tags |= code_tags(*git_state()) | source_tags("dad train") | {"dad.process": this_process()}
        home = store.experiment(f"{self.study}/{row.table}" if row else self.study)
        if row is not None:
            tags[PARENT_TAG] = store.table_run(self.study, row.table, self._started)
        runs = store.runs(self.study).get(cell, [])
        unfinished = [run for run in runs if run.info.status != "FINISHED" and run.info.experiment_id == home]
        if unfinished:
            run_id = unfinished[0].info.run_id
            store.client.update_run(run_id, status="RUNNING")
            if "dad.error" in unfinished[0].data.tags:
                store.client.delete_tag(run_id, "dad.error")
            self._last_step = max((point.step for point in store.client.get_metric_history(run_id, "loss")), default=-1)
        else:
            run_id = store.client.create_run(home, start_time=self._started, run_name=label, tags=tags).info.run_id
        store.keep_only(run_id, runs)
        store.log(run_id, params=params, tags=tags)
        return run_id


def _now() -> int:
    return time.time_ns() // 1_000_000
