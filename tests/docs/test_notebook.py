"""The notebook runs from its first cell to its last, as a reader would run it, in seconds."""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "five_lines.ipynb"

RUNNER = """
import ast, json, sys
scope, shown = {"__name__": "__main__"}, []
for source in json.load(open(sys.argv[1])):
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), scope)
    shown.append(repr(eval(compile(ast.Expression(last.value), "cell", "eval"), scope)) if last else "")
json.dump(shown, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder in which the cells ran, one after the other in one process, and what each shows."""
    import json
    import os

    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (folder / "cells.json").write_text(json.dumps([cell.source for cell in notebook.cells if cell.cell_type == "code"]))
    command = [sys.executable, "-c", RUNNER, "cells.json", "shown.json"]
    environment = os.environ | {"MPLBACKEND": "Agg"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads((folder / "shown.json").read_text())


def test_the_notebook_is_valid_and_carries_no_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 6
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    for cell in code:
        ast.parse(cell.source)


def test_it_loads_predicts_aligns_scores_ablates_and_plots(ran):
    folder, shown = ran
    assert shown[1] == "('disparity', (96, 128), dtype('float32'))"
    one = ast.literal_eval(shown[2])
    assert 0 < one["abs_rel"] < 0.5
    assert one["scale"] > 0, "disparity grows towards the camera"
    assert "marigold" in shown[3] and "disparity" in shown[3]
    ablation = ast.literal_eval(shown[4])
    assert list(ablation) == ["global", "hybrid"]
    assert all(0 < value < 2 for value in ablation.values())
    assert ablation["global"] != ablation["hybrid"], "the factor reached the training"
    picture = np.asarray(Image.open(folder / "five_lines_work" / "five_lines.png").convert("RGB"))
    assert picture.std() > 20
