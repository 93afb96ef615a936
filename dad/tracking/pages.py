"""MLflow's own server for a study's store, and where in its pages the study's tables are."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import webbrowser
from collections.abc import Iterable, Mapping
from typing import IO

from dad.errors import UserError
from dad.study.config import StudyConfig
from dad.tracking.places import chosen_tables
from dad.tracking.process import exits_on_sigterm
from dad.tracking.store import SETTINGS, check_uri, connect, database_of, shown
from dad.tracking.view import VIEW, VIEW_TAG

START_SECONDS = 120
"""How long MLflow's server may take until it answers; about 10 s where nothing else runs."""


def experiment_pages(study: StudyConfig, uri: str, server: str, tables: Iterable[str] = ()) -> dict[str, str]:
    """Table -> address of its experiment's page on a server, for those of the tables (by default the study's) that were
    imported.

    Raises UserError for an unknown table, a store that cannot be used, and one without any of these experiments.
    """
    uri, database = check_uri(uri), database_of(uri)
    advice = "`dad track import results --config STUDY.yaml` fills it"
    if uri.startswith("sqlite:") and not database.is_file():
        raise UserError(f"there is no MLflow store {database}: {advice}")
    names = chosen_tables(study, tables)
    found = {one.tags.get("dad.experiment"): one for one in connect(uri).client.search_experiments()}
    pages = {}
    for table in names:
        if experiment := found.get(f"{study.name}/{table}"):
            view = f"&viewStateShareKey={VIEW}" if VIEW_TAG in experiment.tags else ""
            # without a type MLflow opens an experiment on a page for language models
            kind = "runs?workflowType=machine_learning"
            pages[table] = f"{server}/#/experiments/{experiment.experiment_id}/{kind}{view}"
    if not pages:
        raise UserError(f"{shown(uri)} has no experiment {study.name}/{names[0]}: {advice}")
    return pages


def show_pages(
    study: StudyConfig, uri: str, *, tables: Iterable[str] = (), port: int = 5000, browser: bool = True
) -> None:
    """Start MLflow's server on a local store, print the pages of the tables, open the first, and wait until it is
    ended.

    A store that is a server already is only opened. Raises UserError as `experiment_pages`, and where the port is
    taken.
    """
    if not uri.startswith("sqlite:"):
        _open(experiment_pages(study, uri, uri.rstrip("/"), tables), browser)
        return
    if not 0 < port < 2**16:
        raise UserError(f"--port {port}: give a number from 1 to {2**16 - 1}")
    server = f"http://127.0.0.1:{port}"
    pages = experiment_pages(study, uri, server, tables)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UserError(f"port {port} is taken; choose another with --port")
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "ui",
        "--backend-store-uri",
        check_uri(uri),
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # without an exception the server would go on by itself
    with tempfile.TemporaryFile() as said, exits_on_sigterm():
        process = subprocess.Popen(command, env=SETTINGS | os.environ, stdout=said, stderr=said)
        try:
            _wait(server, process, said)
            _open(pages, browser)
            print("Ctrl-C ends it.", flush=True)
            process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            process.terminate()
            process.wait()


def _wait(server: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{server}/health", timeout=5):
            return
        time.sleep(0.5)
    said.seek(0)
    last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
    raise UserError(f"MLflow's server did not start within {START_SECONDS} s" + (f": {last}" if last else ""))


def _open(pages: Mapping[str, str], browser: bool) -> None:
    width = max(map(len, pages))
    print("\n".join(f"{table:{width}}  {page}" for table, page in pages.items()), flush=True)
    if browser:
        webbrowser.open(next(iter(pages.values())))
