"""The README's steps out of the project, taken in its order: predict, export, transformers, onnxruntime, Python."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dad.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SECTION = README.partition("## A student elsewhere")[2].partition("\n## ")[0]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: it has a photo, and the section's commands have been given in it."""
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a block of the section adds to it
    row, column = np.mgrid[0:96, 0:128]
    Image.fromarray(np.stack([row * 2, column, row + column], axis=-1).astype(np.uint8)).save("photo.jpg")
    commands = re.findall(r"^dad (.+?)\s*(?:#.*)?$", SECTION, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert main(command.split()) == 0
    return tmp_path


def test_the_three_ways_give_the_same_map(folder):
    """Each block of Python runs as printed, and all agree, as the section says of its exports."""
    blocks = re.findall(r"```python\n(.+?)```", SECTION, re.DOTALL)
    assert len(blocks) == 3
    maps = []
    for block in blocks:
        names = {}
        exec(block, names)
        maps.append(np.squeeze(np.asarray(names["depth"])))
    assert [one.shape for one in maps] == [(96, 128)] * 3
    for other in maps[:2]:
        np.testing.assert_allclose(other, maps[2], atol=1e-4 * maps[2].max())
    script = [sys.executable, "exported-onnx/predict_onnx.py", "photo.jpg"]
    subprocess.run(script, cwd=folder, check=True, capture_output=True, timeout=600)
    np.testing.assert_array_equal(np.load(folder / "photo.npy"), maps[1])


def test_it_is_short_and_says_its_limits_first():
    lines = README.splitlines()
    assert len(lines) <= 200
    assert lines.index("**Limits first.**") < next(
        number for number, line in enumerate(lines) if line.startswith("```")
    )
