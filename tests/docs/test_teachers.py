"""The examples of docs/teachers.md work as printed: a teacher of another package, in a study, from check to labels."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dad.data.benchmarks import open_benchmark
from dad.errors import UserError
from dad.export import export
from dad.models import load
from dad.models.checkpoints import save_network
from dad.models.config import VitDptConfig
from dad.models.locate import locate
from dad.models.registry import build_network

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "teachers.md").read_text()

BENCHMARK = """
import numpy as np
from dad.data.benchmarks import Sample

class MyBenchmark:
    name, min_depth, max_depth, align_max_res = "mine", 0.1, 10.0, None
    def __init__(self, root): self.root = root
    def __len__(self): return 3
    def image(self, index): return f"{index}.png"
    def __getitem__(self, index):
        random = np.random.default_rng(index)
        depth = np.linspace(1, 5, 48 * 64, dtype=np.float32).reshape(48, 64)
        rgb = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        return Sample(id=f"{index}.png", scene="one", rgb=rgb, depth=depth, mask=depth > 0)
"""


def _code():
    return re.search(r"```python\n(\"\"\"my_teachers.py.*?)```", TEXT, re.DOTALL)[1]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Weights of a small network, and the transformers folder made of it."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    network = build_network(
        VitDptConfig(width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 8, 16, 16), fusion=8)
    )
    with torch.no_grad():
        network.last_bias.fill_(1.0)
    save_network(folder / "a.safetensors", network, input_size=56, origin="")
    export(folder / "a.safetensors", folder / "hf", form="hf")
    return folder


@pytest.fixture(scope="module")
def workplace(exported, tmp_path_factory):
    """A folder with my_teachers.py as printed but the weights' name, and pip's traces of a package registering it."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "my_teachers.py").write_text(_code().replace("Intel/dpt-large", str(exported / "hf")))
    (folder / "my_package.py").write_text(BENCHMARK)
    registered = re.findall(r"```toml\n\[project.entry-points.\"(.*?)\"\]\n(\S+) = \"(.*?)\"", TEXT)
    info = folder / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{name} = {value}\n" for group, name, value in registered)
    )
    return folder


@pytest.fixture
def here(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.syspath_prepend(str(workplace))
    yield workplace
    for module in ("my_teachers", "my_package"):
        sys.modules.pop(module, None)


def _run(folder, *command):
    paths = os.pathsep.join([str(folder), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_documented_teacher_predicts(exported):
    code = _code()
    assert len(code.splitlines()) < 60
    scope: dict = {}
    exec(code, scope)
    teacher = scope["TransformersDepth"](exported / "hf", kind="disparity")
    rgb = torch.rand(2, 3, 56, 56)
    torch.testing.assert_close(teacher(rgb), load(exported / "a.safetensors")(rgb), rtol=1e-4, atol=1e-4)
    assert teacher(torch.rand(1, 3, 40, 60)).shape == (1, 1, 40, 60)


@pytest.mark.parametrize("name", ["my_teachers:dpt_large", "dpt-large"])
def test_the_documented_names_are_models(here, exported, name):
    assert (locate(name).how, locate(name).problem) == ("plugin", "")
    rgb = torch.rand(2, 3, 56, 56)
    torch.testing.assert_close(load(name)(rgb), load(exported / "a.safetensors")(rgb), rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError):
        load(name)(torch.rand(3, 40, 60))
    assert load(name)(np.zeros((40, 60, 3), np.uint8)).shape == (40, 60)


def test_a_study_with_that_teacher_is_planned_checked_and_labelled(here, scene_folders):
    """The workflow's dry run plans labels and a training by it; the verb that the rule calls makes the labels."""
    study = {
        "name": "own",
        "description": "a teacher of another package",
        "seeds": [0],
        "teacher": "dpt-large",
        "student": {"model": "zoo/vit-small", "init": "encoder"},
        "photos": {"source": "folder", "root": str(scene_folders["indoor"] / "rgb")},
        "crop": {"size": 48, "min_crop": 56, "patches": 2, "flip": True},
        "optim": {"steps": 2, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 1},
        "benchmarks": [{"dataset": "my-benchmark", "root": str(here), "stands_for": "ETH3D"}],
    }
    (here / "study.yaml").write_text(json.dumps(study))
    listed = _run(here, "dad", "matrix", "--config", "study.yaml", "--table", "table1", "--format", "json")
    cells = json.loads(listed.partition("]\n")[0] + "]")
    assert any("dpt-large-to-vit-small" in cell["id"] for cell in cells)
    snakefile = (
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(here),
        "--configfile",
        str(here / "study.yaml"),
    )
    planned = _run(here, "snakemake", *snakefile, "--cores", "1", "--dry-run", "reports/own/table1.csv")
    assert re.search(r"^labels? +\d+$", planned, re.MULTILINE)
    assert re.search(r"^train +\d+$", planned, re.MULTILINE)
    _run(here, "dad", "data", "manifest", study["photos"]["root"], "--out", "photos.jsonl")
    cell = next(cell["id"] for cell in cells if "shared-hybrid" in cell["id"])
    _run(
        here, "dad", "label", "--cell", cell, "--config", "study.yaml", "--manifest", "photos.jsonl", "--out", "labels"
    )
    assert (here / "labels" / "square" / "index.json").exists()


def test_the_documented_benchmark_is_opened_checked_and_scored(here):
    assert len(open_benchmark("my-benchmark", here)) == 3
    assert "complete" in _run(here, "dad", "data", "check", "my-benchmark", ".")
    scored = _run(
        here,
        "dad",
        "evaluate",
        "--model",
        "zoo/vit-small",
        "--dataset",
        "my-benchmark",
        "--root",
        ".",
        "--out",
        "scores.csv",
    )
    assert "my-benchmark  marigold@1" in scored
    with pytest.raises(UserError, match="unknown benchmark 'my-benchmarks', allowed are .*my-benchmark"):
        open_benchmark("my-benchmarks", here)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class Other:\n    pass\n", "has no Haze"),
        ("class Haze:\n    kind = 'inverse'\n", "gives it the kind 'inverse'; an estimator's is disparity or depth"),
        ("class Haze(:\n", "cannot be read as Python (SyntaxError: "),
        ("class Haze:\n    kind = 'depth'\n", ""),
        ("import kinds\nclass Haze:\n    kind = kinds.DEPTH\n", ""),
        ("\ufeffclass Haze:\n    kind = 'depth'\n", ""),
        ("from somewhere import *\n", ""),
        ("if True:\n    from somewhere import Haze\n", ""),
        ("raise SystemExit('run')\nHaze = 3\n", ""),
    ],
)
def test_a_module_is_read_and_not_run_before_anything_is_spent(text, said, tmp_path, monkeypatch):
    package = re.sub(r"\W", "_", tmp_path.name)  # one that no other test has imported
    (tmp_path / package).mkdir()
    (tmp_path / package / "teachers.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    problem = locate(f"{package}.teachers:Haze").problem
    assert said in problem if said else not problem
