"""The MLflow store: which addresses are accepted, how it is opened, its experiments and our runs in it.

A run of ours is found by its tags `dad.study` and `dad.cell`, never by MLflow's run id: ids can not be chosen, and a
rebuilt store has new ones.
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
from dad.study.cells import TABLES, table_rows
from dad.study.config import StudyConfig

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


def experiment_name(study: str, tables: Sequence[str]) -> str:
    """A cell's experiment: that of the first table it belongs to, or the study's own where no table is known."""
    return f"{study}/{tables[0]}" if tables else study


def tables_by_cell(study: StudyConfig) -> dict[str, tuple[str, ...]]:
    """For each cell of a study by id, the tables it belongs to, in the order of the paper."""
    tables: dict[str, list[str]] = {}
    for table in TABLES:
        for row in table_rows(study, table):
            for cell in row.cells:
                tables.setdefault(cell, []).append(table)
    return {cell: tuple(dict.fromkeys(names)) for cell, names in tables.items()}


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


@dataclass
class Store:
    """An opened store. `folder` is where a local store keeps artifacts, None on a server, which decides itself."""

    client: Any
    uri: str
    folder: Path | None
    _experiments: dict[str, str] = field(default_factory=dict)

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

    def runs(self, study: str) -> dict[str, list[Any]]:
        """Our runs of a study by cell, newest first, in whichever of the study's experiments they are."""
        names = [item for item in self.client.search_experiments() if item.name == study or item.name.startswith(f"{study}/")]
        cells: dict[str, list[Any]] = {}
        token = None
        while names:
            page = self.client.search_runs(
                [item.experiment_id for item in names], order_by=["attributes.start_time DESC"], page_token=token
            )
            for run in page:
                if run.data.tags.get("dad.study") == study and "dad.cell" in run.data.tags:
                    cells.setdefault(run.data.tags["dad.cell"], []).append(run)
            token = page.token
            if not token:
                break
        return cells

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
        return Store(client, uri, database.parent / "mlruns")


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
