"""The weight filler that the golden outputs were made with, and small helpers."""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

GOLDENS = Path(__file__).parents[1] / "goldens" / "models"
DERIVED = {
    "relative_position_index",
    "relative_coords_table",
    "attn_mask",
    "num_batches_tracked",
    "position_ids",
    "k_bias",
}
TOKENS = {"pos_embed", "cls_token", "mask_token", "dist_token", "register_tokens", "relative_position_bias_table"}
SCALES = {"gamma", "gamma_1", "gamma_2", "lambda1"}


def _normals(name, shape):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(tuple(shape))


def _value(key, shape):
    """The filled tensor of one official key."""
    leaf, n = key.rsplit(".", 1)[-1], _normals(key, shape)
    if leaf == "running_mean":
        value = 0.05 * n
    elif leaf == "running_var":
        value = 1 + 0.1 * np.abs(n)
    elif leaf in SCALES:
        value = 0.5 + 0.1 * n
    elif leaf == "logit_scale":
        value = math.log(10) + 0.1 * n
    elif leaf in TOKENS:
        value = 0.2 * n
    elif n.ndim >= 2:
        value = (n + 0.5 if n.shape[0] == 1 else n) / math.sqrt(math.prod(n.shape[1:]))
    else:
        value = 1 + 0.1 * n if leaf == "weight" else 0.02 * n
    return torch.from_numpy(np.asarray(value, np.float32).reshape(tuple(shape)))


@pytest.fixture(scope="session")
def normals():
    """normals(name, shape): the deterministic stream of a name, float64."""
    return _normals


@pytest.fixture(scope="session")
def fill():
    """fill(shapes): {official key: tensor or [dtype, shape]} to filled tensors; derived buffers stay or are omitted."""

    def fill(given):
        state = {}
        for key, value in given.items():
            derived = key.rsplit(".", 1)[-1] in DERIVED
            if isinstance(value, torch.Tensor):
                state[key] = value if derived or not value.is_floating_point() else _value(key, value.shape)
            elif not derived and value[0].startswith("float"):
                state[key] = _value(key, value[1])
        return state

    return fill


@pytest.fixture(scope="session")
def golden():
    """golden(file): a golden by its file name, parsed."""

    def golden(file):
        path = GOLDENS / file
        return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path)

    return golden
