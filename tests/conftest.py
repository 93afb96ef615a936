"""What several rooms' tests need: small scenes, photos with a manifest, and a tiny study over them."""

import json
from pathlib import Path

import hypothesis
import pytest
import torch

from dad.data.manifest import make_manifest
from dad.data.scenes import write_scenes
from dad.study.base import parse_model
from dad.study.config import Cell

GOLDENS = Path(__file__).parent / "goldens"

torch.set_num_threads(1)
# timing belongs in benchmarks/: a busy machine must not fail a property
hypothesis.settings.register_profile("dad", deadline=None)
hypothesis.settings.load_profile("dad")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The workflow's tests first: they take the longest, and with several processes whatever is longest must not begin last."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(scope="session")
def scene_folders(tmp_path_factory) -> dict[str, Path]:
    """Five small scenes of every kind."""
    root = tmp_path_factory.mktemp("scenes")
    for kind in ("indoor", "outdoor", "driving"):
        write_scenes(root / kind, kind=kind, count=5, seed=40, height=72, width=96, samples=1)
    return {kind: root / kind for kind in ("indoor", "outdoor", "driving")}


@pytest.fixture(scope="session")
def manifest(scene_folders, tmp_path_factory) -> Path:
    """The scenes' images as photos."""
    out = tmp_path_factory.mktemp("manifest") / "photos.jsonl"
    make_manifest(scene_folders["indoor"].parent, out, seed=0)
    return out


@pytest.fixture
def cell(scene_folders) -> Cell:
    """A cell that trains in a second: 48-pixel crops, 6 steps of 2."""
    values = {
        "mode": "shared",
        "normalization": "hybrid",
        "teacher": "zoo/vit-large",
        "student": {"model": "zoo/vit-small", "init": "encoder"},
        "photos": {"source": "folder", "root": str(scene_folders["indoor"].parent)},
        "crop": {"size": 48, "min_crop": 56, "patches": 2, "flip": True},
        "optim": {"steps": 6, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 2, "checkpoint_every": 2},
        "seed": 0,
    }
    return parse_model(Cell, json.loads(json.dumps(values)), source="test")
