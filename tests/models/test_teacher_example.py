"""The example of docs/teachers.md works as printed."""

import re
from pathlib import Path

import pytest
import torch

from dad.errors import UserError
from dad.export import export
from dad.models import load
from dad.models.checkpoints import save_network
from dad.models.config import VitDptConfig
from dad.models.registry import build_network


def test_the_documented_teacher_predicts(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "teachers.md").read_text()
    code = re.search(r"```python\n(\"\"\"dad/models/.*?)```", text, re.DOTALL)[1]
    assert len(code.splitlines()) < 60
    scope: dict = {}
    exec(code, scope)
    torch.manual_seed(0)
    network = build_network(
        VitDptConfig(width=32, depth=4, heads=2, taps=(0, 1, 2, 3), grid=4, reassemble=(8, 8, 16, 16), fusion=8)
    )
    with torch.no_grad():
        network.last_bias.fill_(1.0)
    save_network(tmp_path / "a.safetensors", network, input_size=56, origin="")
    export(tmp_path / "a.safetensors", tmp_path / "hf", form="hf")
    teacher = scope["TransformersDepth"](tmp_path / "hf", kind="disparity")
    rgb = torch.rand(2, 3, 56, 56)
    torch.testing.assert_close(teacher(rgb), load(tmp_path / "a.safetensors")(rgb), rtol=1e-4, atol=1e-4)
    assert teacher(torch.rand(1, 3, 40, 60)).shape == (1, 1, 40, 60)
    with pytest.raises(UserError):
        teacher(torch.rand(3, 40, 60))
