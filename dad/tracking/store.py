"""The MLflow store: which addresses are accepted, how it is opened, its experiments and our runs in it.

A run of ours is found by its experiment and its tags `dad.study` and `dad.cell` (a table's parent run: `dad.table`), never
by MLflow's run id: ids can not be chosen, and a rebuilt store has new ones.
"""

import contextlib
import logging
import os
import re
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import filelock
import psutil

from dad.errors import UserError
from dad.tracking.places import experiment_name

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
"""How long to wait for another process that is creating the same database (about 6 s of work)."""

PARENT = ""
"""Stands for a table in the place of a cell's id."""

PARENT_TAG = "mlflow.parentRunId"
"""By this tag MLflow nests a run below another."""

_POINTS_PER_BATCH = 1000
_PAIRS_PER_BATCH = 100


def check_uri(uri: str) -> str:
    """The tracking URI with an absolute path; raises UserError for a kind of store that is not supported.

    Supported: `sqlite:///FILE` and `http(s)://SERVER`. MLflow from 3.13 on refuses file stores, so they are refused here
    before work is spent.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("http", "https"):
        return uri
    if scheme in ("", "file"):
        raise UserError(f"the tracking URI {uri!r} is a file store, which MLflow no longer supports: use sqlite:///mlflow.db")
    if scheme != "sqlite" or not uri.startswith("sqlite:///") or uri == "sqlite:///":
        raise UserError(f"the tracking URI {shown(uri)!r} is not supported: use sqlite:///mlflow.db or http://SERVER:5000")
    return f"sqlite:///{_database(uri)}"


def shown(uri: str) -> str:
    """The URI for messages: without user name and password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _database(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///").split("?", 1)[0]).absolute()


def first_line(error: BaseException) -> str:
    """Kind and first line of an exception, short enough for one line of a log."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {shown(text[0])[:200]}" if text else type(error).__name__


def this_process() -> str:
    """Value of the tag `dad.process`: host, process id and the process's start in seconds, which tells reused ids apart."""
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.0f}"


def has_ended(process: str | None) -> bool:
    """Whether the process of a `dad.process` tag is known to have ended; of another host's nothing is known."""
    host, _, rest = (process or "").partition(" ")
    if host != socket.gethostname():
        return False
    pid, created = rest.split()
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" != created
    except psutil.NoSuchProcess:
        return True


def subject_of(run: Any) -> str | None:
    """What a run of ours shows: the id of a cell or model, PARENT for a table's parent run; None for runs of others."""
    tags = run.data.tags
    return tags.get("dad.cell", PARENT if "dad.table" in tags else None)


@dataclass
class Store:
    """An opened store. `database` is a local store's file, None on a server."""

    client: Any
    uri: str
    database: Path | None
    _experiments: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path | None:
        """Where a local store keeps artifacts; a server decides itself."""
        return None if self.database is None else self.database.parent / "mlruns"

    def experiment(self, name: str) -> str:
        """Id of the experiment with this name, created (or taken out of the trash) if need be."""
        if name not in self._experiments:
            self._experiments[name] = self._open_experiment(name)
        return self._experiments[name]

    def _open_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = None if self.folder is None else (self.folder / name).as_uri()
            try:
                return self.client.create_experiment(name, artifact_location=location)
            except MlflowException:  # another process may just have made it
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        location = urlsplit(found.artifact_location)
        if self.folder is not None and location.scheme in ("", "file"):
            path = Path(unquote(location.path))
            if not path.is_relative_to(self.folder) and not path.exists():
                raise UserError(
                    f"experiment {name} in {self.uri} keeps its artifacts in {path}, which is gone (was the folder moved?): remove "
                    "the database and import again, it is rebuilt from the files"
                )
        return found.experiment_id

    def runs(self, study: str) -> dict[tuple[str, str], list[Any]]:
        """Our runs of a study by experiment and subject (`subject_of`), newest first."""
        every = {item.experiment_id: item.name for item in self.client.search_experiments()}
        homes = {number: name for number, name in every.items() if name == study or name.startswith(f"{study}/")}
        runs: dict[tuple[str, str], list[Any]] = {}
        for run in self._search(list(homes)):
            if run.data.tags.get("dad.study") == study:
                runs.setdefault((homes[run.info.experiment_id], subject_of(run)), []).append(run)
        return runs

    def parents(self, experiment: str) -> list[Any]:
        """The parent runs in an experiment, oldest first: one, unless processes without a common lock have just made one each."""
        runs = self._search([self.experiment(experiment)], "tags.`dad.table` LIKE '%'")
        return sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))

    def _search(self, experiments: list[str], query: str = "") -> list[Any]:
        runs: list[Any] = []
        token = None
        while experiments:
            page = self.client.search_runs(experiments, query, order_by=["attributes.start_time DESC"], page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        return [run for run in runs if subject_of(run) is not None]

    def open_parent(self, study: str, table: str, title: str, started: int) -> str:
        """Id of the table's parent run, made if need be; it has no process of its own and counts as finished from the start.

        started: milliseconds since 1970.
        """
        home = experiment_name(study, table)
        with self.locked("lock"):
            found = self.parents(home)
            if not found:
                tags = {"dad.study": study, "dad.table": table, "title": title}
                run = self.client.create_run(self.experiment(home), start_time=started, tags=tags, run_name=table)
                self.client.set_terminated(run.info.run_id, "FINISHED", end_time=started)
                # on a server there is no lock: of several parents the same one must be taken by everyone
                found = self.parents(home)
        return found[0].info.run_id

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock of a local store, kept beside its database; a server has none."""
        if self.database is None:
            yield
            return
        try:
            with filelock.FileLock(f"{self.database}.{name}", timeout=LOCK_SECONDS):
                yield
        except filelock.Timeout:
            raise UserError(f"another process has been using {self.database} for {LOCK_SECONDS} s: end it and try again") from None

    def log(self, run_id: str, *, params: dict[str, str] | None = None, tags: dict[str, str] | None = None) -> None:
        """Write params and tags, cut at MLflow's limits (key 250, param 6000 and tag 8000 characters, 100 per request)."""
        from mlflow.entities import Param, RunTag

        entries = [Param(_key(key), value[:6000]) for key, value in (params or {}).items()]
        for start in range(0, len(entries), _PAIRS_PER_BATCH):
            self.client.log_batch(run_id, params=entries[start : start + _PAIRS_PER_BATCH])
        labels = [RunTag(_key(key), value[:8000]) for key, value in (tags or {}).items()]
        for start in range(0, len(labels), _PAIRS_PER_BATCH):
            self.client.log_batch(run_id, tags=labels[start : start + _PAIRS_PER_BATCH])

    def log_points(self, run_id: str, points: Sequence[tuple[str, int, float, int]]) -> None:
        """Write metric points (key, step, value, milliseconds since 1970), at most 1000 per request."""
        from mlflow.entities import Metric

        metrics = [Metric(key, value, milliseconds, step) for key, step, value, milliseconds in points]
        for start in range(0, len(metrics), _POINTS_PER_BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + _POINTS_PER_BATCH])


def metric_key(text: str) -> str:
    """`text` as a metric's or param's name: MLflow allows letters, digits, `_ - . : /` and blanks, 250 characters."""
    return _key(re.sub(r"[^\w\-. :/]", "-", text))


def _key(text: str) -> str:
    return text[:250]


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
                f"{shown(uri)} was made by another version of MLflow: run `mlflow db upgrade {shown(uri)}`, or remove it and "
                "import again, it is rebuilt from the files"
            ) from None
        raise UserError(f"the tracking store {shown(uri)} can not be used ({first_line(error)})") from None


def connect(uri: str) -> Store:
    """Open the store at `uri`. A missing SQLite database is created, under a lock of our own: processes that all open a
    missing database at once would break each other's set-up, and MLflow's own lock does not prevent it.

    Raises UserError for an unsupported URI, a server that does not answer, a file that is not a database, or a database of
    another MLflow version.
    """
    uri = check_uri(uri)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    with readable_errors(uri):
        if not uri.startswith("sqlite:"):
            # a retry announces itself there in many words; the error that follows if it fails too says it all
            logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
            return Store(client, uri, None)
        database = _database(uri)
        database.parent.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(f"{database}.lock", timeout=LOCK_SECONDS):
                _check_database(database)
                client = MlflowClient(tracking_uri=uri)  # creates the tables
        except filelock.Timeout:
            raise UserError(f"another process has been creating {database} for {LOCK_SECONDS} s: end it and try again") from None
        return Store(client, uri, database)


def _check_database(database: Path) -> None:
    # MLflow tries ten times, over a minute and a half, to open what can not be opened
    if not database.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        raise UserError(f"{database} can not be used as an SQLite database ({error})") from None


def initialise(uri: str) -> None:
    """Create the store at `uri` if it is an SQLite file that does not exist yet, and check that it can be used.

    Artifacts of a local store go into `mlruns/` beside the database. MLflow keeps their absolute paths, so after moving the
    folder the database has to be removed and rebuilt by an import.
    """
    connect(uri)
