"""The adapter for plumbline, in a stand-in of the few classes that it is written against (plumbline-bench 0.2.1)."""

import dataclasses
import importlib
import math
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest

import dad.models
from dad.errors import UserError
from dad.evaluation import score


@dataclasses.dataclass
class Prediction:
    depth: np.ndarray | None = None
    metadata: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Capabilities:
    tasks: frozenset
    is_metric: bool
    min_views: int = 1
    max_views: float = math.inf


@dataclasses.dataclass
class Sample:
    sample_id: str
    images: np.ndarray
    intrinsics: np.ndarray
    extrinsics_gt: np.ndarray
    depth_gt: np.ndarray
    depth_valid: np.ndarray


@pytest.fixture
def adapter(monkeypatch):
    """The module, imported with plumbline's classes in place, and what it registered."""
    registered = {}

    def register(name):
        return lambda cls: registered.setdefault(name, cls)

    contents = {
        "plumbline": {},
        "plumbline.datasets": {},
        "plumbline.models": {},
        "plumbline.datasets.base": {"Dataset": type("Dataset", (), {}), "Sample": Sample},
        "plumbline.datasets.registry": {"register_dataset": lambda name: register(f"dataset {name}")},
        "plumbline.models.base": {
            **{"Model": type("Model", (), {}), "ModelCapabilities": Capabilities, "Prediction": Prediction},
            "config_digest": lambda text: text,
        },
        "plumbline.models.registry": {"register_model": lambda name: register(f"model {name}")},
    }
    for name, values in contents.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "dad.evaluation.plumbline", raising=False)
    module = importlib.import_module("dad.evaluation.plumbline")
    yield module, registered
    sys.modules.pop("dad.evaluation.plumbline", None)


def test_it_is_what_the_entry_point_names(adapter):
    module, registered = adapter
    groups = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]
    assert groups["plumbline.adapters"] == {"dad": module.__name__}
    assert registered == {"model dad": module.DadModel, "dataset dad": module.DadBenchmark}


class Fixed:
    name = "fixed"

    def __init__(self, kind, values):
        self.kind, self.values = kind, np.asarray(values, np.float32)

    def __call__(self, image):
        assert image.dtype == np.uint8
        return self.values


def test_both_kinds_become_depth(adapter, monkeypatch):
    module, _ = adapter
    images = np.zeros((2, 1, 3, 3), np.uint8)
    loaded = {"a": Fixed("disparity", [[0.5, 0.0, -1.0]]), "b": Fixed("depth", [[2.0, 0.0, -1.0]])}
    monkeypatch.setattr(dad.models, "load", lambda name, device: loaded[name], raising=False)
    found = module.DadModel(model="a").predict(images)
    np.testing.assert_allclose(found.depth, np.tile([[[2, 1e8, 1e8]]], (2, 1, 1)), rtol=1e-6)
    assert found.metadata == {"model": "a", "native_space": "disparity"}
    monkeypatch.setenv("DAD_MODEL", "b")
    np.testing.assert_array_equal(
        module.DadModel().predict(images).depth[0], np.array([[2, np.nan, np.nan]], np.float32)
    )
    monkeypatch.delenv("DAD_MODEL")
    with pytest.raises(UserError, match="DAD_MODEL is not set"):
        module.DadModel()


def test_its_cache_knows_models_by_their_weights(adapter):
    module, _ = adapter
    digests = {
        module.DadModel(model=name).config_hash() for name in ("zoo/vit-small", "zoo/vit-large", "zoo/vit-small")
    }
    assert len(digests) == 2


def test_the_fit_that_plumbline_makes_of_it_is_ours(adapter, scene_folders):
    """plumbline's `scale_shift` (metrics/alignment.py): least squares in 1/depth over the valid pixels, no clip."""
    module, _ = adapter
    benchmark = module.DadBenchmark(scene_folders["indoor"])
    assert benchmark.name == "dad-scenes-indoor"
    sample = next(iter(benchmark))
    assert sample.images.shape == (1, *sample.depth_gt.shape[1:], 3)
    made = module.DadModel(model="zoo/vit-small").predict(sample.images).depth
    valid = sample.depth_valid & (made > 0)
    x, g = 1 / made[valid].astype(np.float64), sample.depth_gt[valid].astype(np.float64)
    scale, shift = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), 1 / g, rcond=None)[0]
    aligned = 1 / np.maximum(scale * x + shift, 1e-8)
    expected = np.mean(np.abs(aligned - g) / g)
    disparity = dad.models.load("zoo/vit-small")(sample.images[0])
    found = score(disparity, sample.depth_gt[0], sample.depth_valid[0], kind="disparity", protocol="native")
    assert found["abs_rel"] == pytest.approx(expected, rel=1e-4)
