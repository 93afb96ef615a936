"""The command line as its users meet it: quick help, one clear line and exit code 2 for a mistake."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dad.cli import main

ROOT = Path(__file__).parents[1]


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, dad.cli\n"
        "try: dad.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'mlflow', 'pandas', 'matplotlib', 'pydantic') if name in sys.modules])"
    )
    begun = time.monotonic()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert time.monotonic() - begun < 5
    assert printed.strip().endswith("[]")
    for verb in (
        "matrix",
        "data",
        "pretrain",
        "label",
        "train",
        "evaluate",
        "table",
        "figure",
        "claims",
        "report",
        "track",
    ):
        assert verb in printed


def test_matrix_lists_cells(capsys):
    assert main(["matrix", "--config", str(ROOT / "config/mini.yaml"), "--table", "table1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[:3] == ["id", "table", "row"]
    assert len(lines) == 9
    assert main(["matrix", "--config", str(ROOT / "config/mini.yaml"), "--table", "factorial"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 49 and "factorial: 48 students" in told.err
    assert main(["matrix", "--config", str(ROOT / "config/mini.yaml")]) == 0
    told = capsys.readouterr()
    assert "all, shared students once: 33 students, 5,280 steps" in told.err
    assert main(["matrix", "--config", str(ROOT / "config/mini.yaml"), "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == len(told.out.splitlines()) - 1
    assert {"zoo/genpercept", "-"} <= {row["id"] for row in listed}


def test_matrix_prints_one_resolved_cell(capsys):
    assert main(["matrix", "--config", str(ROOT / "config/mini.yaml"), "--cell", "local-global-none"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["cell"]["optim"]["batch"] == 8
    assert shown["loss_terms"] == {"local_global": 0.5, "feature": 1.0, "gradient": 2.0}


@pytest.mark.parametrize(
    "arguments",
    [
        ["matrix", "--config", "no-such.yaml"],
        ["matrix", "--config", str(ROOT / "config/mini.yaml"), "--table", "table9"],
        ["data", "scenes", "--out", "x", "--count", "1", "--seed", "0", "--kind", "moon"],
        ["data", "manifest", "no-such-folder", "--out", "x.jsonl"],
        [
            "train",
            "--cell",
            "no-such-cell",
            "--config",
            str(ROOT / "config/mini.yaml"),
            "--manifest",
            "x",
            "--out",
            "y",
        ],
        ["evaluate", "--model", "zoo/none", "--dataset", "scenes-indoor", "--root", "no-such", "--out", "x.csv"],
        ["evaluate", "--model", "zoo/vit-small", "--dataset", "moon", "--root", ".", "--out", "x.csv"],
        ["label", "--plan", "{}", "--manifest", "x", "--out", "y"],
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("dad: ")
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["nonsense"], ["train"], ["data", "scenes", "--count", "0"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
