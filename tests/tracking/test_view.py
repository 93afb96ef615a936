"""What MLflow's pages show of a table at first, and the command that opens them."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import zlib
from pathlib import Path

import pytest

from dad.errors import UserError
from dad.files import write_json
from dad.tracking.pages import experiment_pages, show_pages
from dad.tracking.view import VIEW_TAG

ROOT = Path(__file__).parents[2]


def view(kit, uri, table="table1"):
    text = kit.client(uri).get_experiment_by_name(f"mini/{table}").tags[VIEW_TAG]
    assert len(text) < 5000, "MLflow holds no more"
    return json.loads(zlib.decompress(base64.b64decode(text.removeprefix("deflate;"))))


def test_factors_and_the_tables_metrics_are_columns(kit, results, uri):
    kit.write_scores(results / "mini", kit.NAMES[0], group="zero-shot", dataset="scenes-driving")
    kit.bring_in(results, uri)
    scores = ["metrics.`abs_rel/scenes-indoor marigold`"]
    found = view(kit, uri)
    assert found["selectedColumns"] == ["params.`mode`", "params.`normalization`", "params.`seed`", *scores]
    assert (found["orderByKey"], found["orderByAsc"]) == (scores[0], True)
    assert found["columnWidths"]["params.`normalization`"] > found["columnWidths"]["params.`seed`"]


def test_charts_are_left_to_what_has_steps(kit, results, uri):
    kit.bring_in(results, uri)
    hidden = {chart["metricKey"] for chart in view(kit, uri)["compareRunCharts"] if chart["deleted"]}
    for run in kit.all_runs(uri):
        for key in run.data.metrics:
            assert (key in hidden) == (len(kit.history(uri, run, key)) == 1), key


def test_a_factor_has_one_name(kit, results, uri):
    kit.bring_in(results, uri)
    params = kit.active_runs(uri)[0].data.params
    assert {"mode", "normalization", "seed", "with.teacher", "with.optim.steps"} <= params.keys()
    assert not {"with.mode", "with.normalization", "with.seed"} & params.keys()


def test_pages_of_the_tables_that_were_imported(kit, results, uri):
    kit.bring_in(results, uri)
    number = kit.client(uri).get_experiment_by_name("mini/table1").experiment_id
    kind = "workflowType=machine_learning&viewStateShareKey=dad"
    assert experiment_pages(kit.STUDY, uri, "http://s") == {"table1": f"http://s/#/experiments/{number}/runs?{kind}"}
    with pytest.raises(UserError, match="no experiment mini/table2: `dad track import"):
        experiment_pages(kit.STUDY, uri, "http://s", ["table2"])
    with pytest.raises(UserError, match="unknown table 'table9'"):
        experiment_pages(kit.STUDY, uri, "http://s", ["table9"])


def test_there_must_be_a_store_and_a_free_port(kit, results, uri, tmp_path):
    with pytest.raises(UserError, match="there is no MLflow store"):
        show_pages(kit.STUDY, f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()
    kit.bring_in(results, uri)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="is taken"):
        show_pages(kit.STUDY, uri, port=taken.getsockname()[1], browser=False)


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_server_starts_and_ends(kit, results, uri, tmp_path, ending, code):
    kit.bring_in(results, uri)
    write_json(tmp_path / "study.yaml", kit.STUDY.model_dump(mode="json"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "dad",
        "mlflow",
        "--config",
        tmp_path / "study.yaml",
        "--uri",
        uri,
        "--port",
        str(port),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            table, page = process.stdout.readline().split()
            assert table == "table1" and f"127.0.0.1:{port}/#/experiments/" in page
            number = page.split("/experiments/")[1].split("/")[0]
            address = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/get?experiment_id={number}"
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert json.load(answer)["experiment"]["name"] == "mini/table1"
        finally:
            process.send_signal(ending)
        assert process.wait(60) == code
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
