"""Runs with small random networks of every family."""

import json

import pytest
import torch

from dad.export import export
from dad.models.checkpoints import read_header, save_network
from dad.models.config import (
    DepthAnything3Config,
    MidasDptConfig,
    MidasLargeConfig,
    MidasSmallConfig,
    MidasSwinConfig,
    VitDptConfig,
)
from dad.models.locate import ZOO
from dad.models.registry import build_network

TOKENS = {"width": 32, "depth": 4, "heads": 2, "taps": (0, 1, 2, 3), "reassemble": (8, 8, 16, 16), "fusion": 8}
CONFIGS = {
    "patch": VitDptConfig(**TOKENS, grid=4, head_hidden=8),
    "hybrid": VitDptConfig(**TOKENS, grid=4, head_hidden=8, patch=8, stem="hybrid"),
    "beit": MidasDptConfig(encoder="beit", grid=4, classes=0, **TOKENS),
    "vit": MidasDptConfig(encoder="vit", grid=4, classes=10, **TOKENS),
    "da3": DepthAnything3Config(**TOKENS, grid=4, head_hidden=8),
    "cnn": MidasSmallConfig(channel_multiplier=0.25, depth_multiplier=0.5, fusion=8),
    "resnext": MidasLargeConfig(layers=(1, 1, 1, 1), groups=2, group_width=4, fusion=8),
    "swin": MidasSwinConfig(width=16, depths=(1, 1, 1, 1), heads=(1, 2, 2, 4), window=2, size=64, fusion=8, classes=0),
    "genpercept": read_header(ZOO / "genpercept.safetensors").network,
    "genpercept-dpt": read_header(ZOO / "genpercept.safetensors").network.model_copy(
        update={"head": "dpt", "head_fusion": 16}
    ),
}


def _run(folder, config, size):
    torch.manual_seed(0)
    network = build_network(config)
    with torch.no_grad():
        if config.family != "genpercept":
            network.last_bias.fill_(1.0)
        for name, parameter in network.named_parameters():
            if name.endswith(("pos_embed", "relative_position_bias_table")):
                parameter.normal_(0, 0.5)
    folder.mkdir()
    save_network(
        folder / "model.safetensors", network, input_size=size, origin="distilled from zoo/vit-large, cell tiny"
    )
    cell = {
        "teacher": "depth-anything-v2-large:depth_anything_v2_vitl.pth",
        "student": {"model": "zoo/vit-small", "init": "encoder"},
        "seed": 0,
    }
    (folder / "config.json").write_text(json.dumps(cell))
    (folder / "provenance.json").write_text(json.dumps({"cell": "tiny", "photos_used": 3}))
    return folder


@pytest.fixture
def runs(tmp_path):
    """runs(kind, size): the folder of a run with a network of that kind."""

    def make(kind, size):
        (tmp_path / "runs").mkdir(exist_ok=True)
        return _run(tmp_path / "runs" / kind, CONFIGS[kind], size)

    return make


SIZES = dict.fromkeys(CONFIGS, 64) | {
    "patch": 56,
    "da3": 70,
    "beit": 80,
    "vit": 96,
    "genpercept": 48,
    "genpercept-dpt": 48,
}
"""Own sizes: one is no multiple of upstream's 32 (`beit`), for the processor must not ask for more than the patch."""


@pytest.fixture
def sizes():
    """The input size of every kind of network."""
    return SIZES


@pytest.fixture(scope="session")
def onnx_exports(tmp_path_factory):
    """onnx_exports(kind): an ONNX export's run, folder and parities, made once, for tracing takes seconds."""
    made = {}

    def exported(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(f"onnx-{kind}")
            run = _run(folder / "run", CONFIGS[kind], SIZES[kind])
            made[kind] = run, folder / "out", export(run, folder / "out", form="onnx")
        return made[kind]

    return exported
