"""The MLflow store: which addresses are accepted, how it is opened, and how a run of ours is found, made and removed.

A run of ours is found by its tags `dad.study` and `dad.cell` (a table's run: `dad.table`), an experiment of ours by its
tag `dad.experiment`: never by MLflow's ids, which a rebuilt store has new, or by names, which people change in MLflow's
pages.
"""

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import filelock

from dad.errors import UserError
from dad.files import scratch_folder

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own 7 retries with back-off and 120 s each would hold a training for minutes when a server is gone
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""MLflow's environment variables, set in this process where the user has not set them."""

LOCK_SECONDS = 300
"""How long to wait for another process that is creating the same database (about 6 s of work) or importing into it."""

PARENT_TAG = "mlflow.parentRunId"
"""By this tag MLflow nests a run below another."""

Point = tuple[str, int, float, int]
"""Metric, step, value, and time in milliseconds since 1970."""


def check_uri(uri: str) -> str:
    """The tracking URI with an absolute path; raises UserError for a kind of store that is not supported.

    Supported: `sqlite:///FILE` and `http(s)://SERVER`. MLflow from 3.13 on refuses file stores, so they are refused
    here before work is spent.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return uri
    if scheme in ("", "file"):
        raise UserError(
            f"the tracking URI {uri!r} is a file store, which MLflow no longer supports: use sqlite:///mlflow.db"
        )
    if scheme != "sqlite" or not uri.startswith("sqlite:///") or uri == "sqlite:///":
        raise UserError(
            f"the tracking URI {shown(uri)!r} is not supported: use sqlite:///mlflow.db or http://SERVER:5000"
        )
    return f"sqlite:///{database_of(uri)}"


def shown(uri: str) -> str:
    """The URI for messages: without user name and password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def database_of(uri: str) -> Path:
    """The file of an SQLite database."""
    return Path(uri.removeprefix("sqlite:///").split("?", 1)[0]).absolute()


def first_line(error: BaseException) -> str:
    """Kind and first line of an exception, short enough for one line of a log."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {shown(text[0])[:200]}" if text else type(error).__name__


def metric_key(text: str) -> str:
    """`text` as a metric's or param's name: MLflow allows letters, digits, `_ - . : /` and blanks, 250 characters."""
    return re.sub(r"[^\w\-. :/]", "-", text)[:250]


@dataclass
class Store:
    """An opened store. `database` is a local store's file, None on a server."""

    client: Any
    uri: str
    database: Path | None

    def experiment(self, name: str) -> str:
        """Id of our experiment of this name, whatever it is called now; made, or taken out of the trash, if need be."""
        from mlflow.entities import ViewType

        query = f"tags.`dad.experiment` = '{name}'"
        ours = self.client.search_experiments(view_type=ViewType.ALL, filter_string=query)
        found = ours[0] if ours else self.client.get_experiment_by_name(name)
        if found is None:
            location = None if self.database is None else (self.database.parent / "mlruns" / name).as_uri()
            return self.client.create_experiment(name, artifact_location=location, tags={"dad.experiment": name})
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        self.tag_experiment(found.experiment_id, "dad.experiment", name)
        self._require_artifacts(found)
        return found.experiment_id

    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        """Tag an experiment, unless it is tagged so."""
        if self.client.get_experiment(experiment).tags.get(key) != value:
            self.client.set_experiment_tag(experiment, key, value)

    def _require_artifacts(self, experiment: Any) -> None:
        location = urlsplit(experiment.artifact_location)
        if self.database is not None and location.scheme in ("", "file"):
            path = Path(unquote(location.path))
            if not path.is_relative_to(self.database.parent / "mlruns") and not path.exists():
                raise UserError(
                    f"experiment {experiment.name} in {self.uri} keeps its artifacts in {path}, which is gone (was the "
                    "folder moved?): remove the database and import again, it is rebuilt from the files"
                )

    def runs(self, study: str, experiment: str | None = None) -> dict[str, list[Any]]:
        """Our runs of a study (in one experiment) by subject, newest first: cell or model id, "" for a table's run."""
        homes = [experiment] if experiment else [item.experiment_id for item in self.client.search_experiments()]
        order = {"filter_string": f"tags.`dad.study` = '{study}'", "order_by": ["attributes.start_time DESC"]}
        runs: dict[str, list[Any]] = {}
        page = self.client.search_runs(homes, **order) if homes else []
        while page:
            for run in page:
                runs.setdefault(run.data.tags.get("dad.cell", ""), []).append(run)
            page = self.client.search_runs(homes, **order, page_token=page.token) if page.token else []
        return runs

    def table_run(self, study: str, table: str, started: int) -> str:
        """Id of a table's own run for a training to stand below, made if there is none; an import completes it."""
        home = self.experiment(f"{study}/{table}")
        with self.locked("lock"):
            if not self.runs(study, home).get(""):
                tags = {"dad.study": study, "dad.table": table}
                run = self.client.create_run(home, start_time=started, tags=tags, run_name=table)
                self.client.set_terminated(run.info.run_id, "FINISHED", end_time=started)
        # on a server there is no lock: of several such runs everyone takes the oldest
        return min(self.runs(study, home)[""], key=lambda run: (run.info.start_time, run.info.run_id)).info.run_id

    def keep_only(self, run_id: str, runs: Sequence[Any]) -> None:
        """Move all but one of these runs to the trash."""
        for run in runs:
            if run.info.run_id != run_id:
                self.client.delete_run(run.info.run_id)

    def locked(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Hold a lock of a local store, kept beside its database; a server has none."""
        return contextlib.nullcontext() if self.database is None else _locked(self.database, name)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        points: Sequence[Point] = (),
    ) -> None:
        """Write to a run. MLflow's client cuts overlong values, and sends what is too much in several requests."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(key, value, milliseconds, step) for key, step, value, milliseconds in points]
        pairs = [Param(*pair) for pair in (params or {}).items()], [RunTag(*pair) for pair in (tags or {}).items()]
        self.client.log_batch(run_id, metrics, *pairs)


@contextlib.contextmanager
def readable_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's and the database's exceptions into a UserError of one line."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        if "out-of-date database schema" in str(error):
            raise UserError(
                f"{shown(uri)} was made by another version of MLflow: run `mlflow db upgrade {shown(uri)}`, or remove "
                "it and import again, it is rebuilt from the files"
            ) from None
        raise UserError(f"the tracking store {shown(uri)} cannot be used ({first_line(error)})") from None


def connect(uri: str) -> Store:
    """Open the store at `uri`. An SQLite database that is missing, or was left half made, is made.

    Artifacts of a local store go into `mlruns/` beside the database. MLflow keeps their absolute paths, so after moving
    the folder the database has to be removed and rebuilt by an import.

    Raises UserError where MLflow is not installed, for an unsupported URI, a server that does not answer, a file that
    is not a database, or a database of another MLflow version.
    """
    uri = check_uri(uri)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise UserError("MLflow is not installed (pip install mlflow); the results are complete without it") from None
    # of a failed commit, a full disk for one, the store logs a traceback before it raises what is told here
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    with readable_errors(uri):
        if not uri.startswith("sqlite:"):
            # a retry announces itself there in many words; the error that follows if it fails too says it all
            logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
            return Store(client, uri, None)
        database = database_of(uri)
        database.parent.mkdir(parents=True, exist_ok=True)
        # processes that open a missing database at once would break each other's set-up; MLflow's lock does not help
        with _locked(database, "lock"):
            if not _is_made(database):
                _make(database)
            return Store(MlflowClient(tracking_uri=uri), uri, database)


def _make(database: Path) -> None:
    """Make a database with MLflow's tables: beside its place, so that an early end leaves nothing half made."""
    from mlflow import MlflowClient

    with scratch_folder(database.parent) as folder:
        new = folder / database.name
        MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
        os.replace(new, database)


def _is_made(database: Path) -> bool:
    """Whether there is a database that holds anything; False for none and for one whose making was broken off.

    MLflow tries ten times, over a minute and a half, to open what cannot be opened; here a UserError says so at once.
    """
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables and "experiments" not in tables:
                raise UserError(
                    f"{database} is not MLflow's: it holds {', '.join(sorted(tables)[:3])}; name another file"
                )
            return any(connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in tables)
    except sqlite3.DatabaseError as error:
        raise UserError(f"{database} cannot be used as an SQLite database ({error})") from None


@contextlib.contextmanager
def _locked(database: Path, name: str) -> Iterator[None]:
    try:
        with filelock.FileLock(f"{database}.{name}", timeout=LOCK_SECONDS):
            yield
    except filelock.Timeout:
        raise UserError(
            f"another process has been using {database} for {LOCK_SECONDS} s: end it and try again"
        ) from None
