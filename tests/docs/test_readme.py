"""The README's steps out of the project, taken in its order: predict, export, transformers, onnxruntime, Python."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SECTION = README.partition("## A student elsewhere")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a photo, in which the section's commands have been given."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("reader")
    row, column = np.mgrid[0:96, 0:128]
    Image.fromarray(np.stack([row * 2, column, row + column], axis=-1).astype(np.uint8)).save(folder / "photo.jpg")
    commands = re.findall(r"^dad (.+?)\s*(?:#.*)?$", SECTION, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = call("-m", "dad", *command.split(), cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=170)


def test_the_three_ways_give_the_same_map(folder):
    """Each block of Python runs as printed, and all agree, as the section says of its exports."""
    blocks = re.findall(r"```python\n(.+?)```", SECTION, re.DOTALL)
    assert len(blocks) == 3
    maps = []
    for number, block in enumerate(blocks):
        code = f"{block}\nimport numpy\nnumpy.save('{number}.npy', numpy.squeeze(numpy.asarray(depth)))\n"
        done = call("-c", code, cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]
        maps.append(np.load(folder / f"{number}.npy"))
    assert [one.shape for one in maps] == [(96, 128)] * 3
    for other in maps[:2]:
        np.testing.assert_allclose(other, maps[2], atol=1e-4 * maps[2].max())
    done = call("exported-onnx/predict_onnx.py", "photo.jpg", cwd=folder)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(folder / "photo.npy"), maps[1])


def test_it_is_short_and_says_its_limits_first():
    lines = README.splitlines()
    assert len(lines) <= 200
    assert lines.index("**Limits first.**") < next(number for number, line in enumerate(lines) if line.startswith("```"))
