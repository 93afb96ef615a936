"""ONNX with dynamic batch, height and width, checked with onnxruntime.

The graph takes `image`: normalised RGB (B,3,H,W), H and W multiples of the patch (over Swin v2: the one size), and
gives `map`: (B,1,H,W). What comes before and after it stands beside it as code, `predict_onnx.py`, which needs numpy,
Pillow and onnxruntime only.
"""

import copy
import json
import logging
import types
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timm.layers import Conv2dSame
from torch import Tensor, nn

from dad.errors import UserError
from dad.export import shipped
from dad.export.parity import Parity, as_rgb, compare, require, sample_image
from dad.export.quantise import accuracy, quantise
from dad.identity import seal_file
from dad.models.checkpoints import describe
from dad.models.config import (
    DepthAnything3Config,
    GenPerceptConfig,
    MidasDptConfig,
    MidasSwinConfig,
    NetworkConfig,
    VitDptConfig,
)
from dad.models.estimator import Estimator
from dad.models.network import DepthNetwork
from dad.models.onnx_estimator import SEAL, load_onnx
from dad.models.policy import InputPolicy

CUBIC = -0.75
"""Parameter of the cubic kernel, PyTorch's."""


def require_onnx(config: NetworkConfig) -> None:
    """Raise UserError where the packages are missing or no form of the family gives the source's maps."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"ONNX export needs the packages onnx, onnxruntime and onnxscript: {error}") from None
    if isinstance(config, GenPerceptConfig | DepthAnything3Config):
        # measured for GenPercept: Pillow's answer differs from torchvision's in 1 of 7 values, by one level of 256
        raise UserError(
            f"networks of the family {config.family} are not exported to ONNX: they see images that PyTorch's or "
            "torchvision's resizing has rounded to 8 bits, which the numpy code beside a graph cannot repeat to the "
            "bit; use hf or safetensors"
        )


def write_onnx(
    network: DepthNetwork,
    policy: InputPolicy,
    origin: str,
    folder: Path,
    pictures: Mapping[str, NDArray[np.uint8]],
    *,
    int8: bool,
) -> tuple[list[Parity], dict[str, Any]]:
    """Write `model.onnx` and the code that uses it (`predict_onnx.py`) into `folder`.

    Returns the parities of two inputs that the graph was not traced with and of every picture, through the code beside
    it; with `int8` these are the losses, nothing is required of them, and a second value says how the quantised graph
    scores.
    """
    require_onnx(network.config)
    shipped.copy("predict_onnx.py", folder)
    path = folder / "model.onnx"
    _trace(network, path)
    _describe(network, policy, origin, path)
    patch = network.config.patch
    others = ((1, 1, 1), (3, 1, 1)) if _one_size(network.config) else ((1, 4, 6), (3, 7, 5))
    plain = [require(_parity(network, path, batch, h * patch, w * patch)) for batch, h, w in others]
    expected = Estimator(network, name="source", short_side=policy.size)
    checked = [require(parity) for parity in _on_pictures("onnxruntime", expected, path, pictures)]
    if not int8:
        return plain + checked, {}
    exact = folder / "exact.onnx"
    path.rename(exact)
    inputs = [network.normalise(expected.resize(as_rgb(picture))).numpy() for picture in pictures.values()]
    how = quantise(exact, path, network.config, inputs)
    _describe(network, policy, origin, path)
    scores = accuracy({"source": expected, "8 bits": load_onnx(path, name="8 bits")})
    sizes = {"float32": exact.stat().st_size, "8 bits": path.stat().st_size}
    exact.unlink()
    return _on_pictures("onnxruntime, 8 bits", expected, path, pictures), {
        "how": how,
        "accuracy": scores,
        "bytes": sizes,
    }


def _trace(network: DepthNetwork, path: Path) -> None:
    traced = copy.deepcopy(network).eval().requires_grad_(False)
    config, patch = network.config, network.config.patch
    if isinstance(config, VitDptConfig):
        traced.encoder._pos_embed = types.MethodType(_pos_embed, traced.encoder)
    if isinstance(config, MidasDptConfig) and config.encoder == "beit":
        traced.encoder.pairs = pairs
    _fix_padding(traced)
    sample, free = torch.zeros(2, 3, 3 * patch, 5 * patch), {0: torch.export.Dim("batch", min=1, max=1024)}
    if _one_size(config):
        sample = torch.zeros(2, 3, patch, patch)
    else:
        free |= {axis: patch * torch.export.Dim(name, min=1, max=256) for axis, name in ((2, "rows"), (3, "columns"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            traced,
            (sample,),
            str(path),
            input_names=["image"],
            output_names=["map"],
            dynamic_shapes={"x": free},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _one_size(config: NetworkConfig) -> bool:
    """Whether a network takes inputs of its own size only."""
    return isinstance(config, MidasSwinConfig)


def _describe(network: DepthNetwork, policy: InputPolicy, origin: str, path: Path) -> None:
    """Put into the file the description that `dad.models.load` reads, and the policy for the code beside the graph."""
    import onnx

    model = onnx.load(str(path))
    del model.metadata_props[:]
    described = {
        "dad": describe(network, input_size=policy.size, origin=origin, keys="ours"),
        "dad.policy": json.dumps(asdict(policy), sort_keys=True),
    }
    for key, value in described.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))
    seal_file(path, trailer=SEAL)


def _parity(network: DepthNetwork, path: Path, batch: int, height: int, width: int) -> Parity:
    x = network.normalise(sample_image(batch, height, width))
    with torch.no_grad():
        expected = network(x)
    found = load_onnx(path, name=str(path)).network(x)
    return compare("onnxruntime", tuple(x.shape), expected, found)


def _on_pictures(what: str, expected: Estimator, path: Path, pictures: Mapping[str, NDArray[np.uint8]]) -> list[Parity]:
    from dad.export.shipped.predict_onnx import Depth

    depth = Depth(path)
    found = []
    for name, picture in pictures.items():
        height, width = picture.shape[:2]
        there = torch.from_numpy(depth(picture))
        found.append(compare(f"{what}, {name}", (1, 3, height, width), torch.from_numpy(expected(picture)), there))
    return found


def _fix_padding(network: nn.Module) -> None:
    """Replace TensorFlow's size-dependent "same" padding by what it comes to for the even sizes that multiples of the
    patch give.

    A symbolic size in every padding keeps the exporter busy for minutes.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, Conv2dSame):
            before, after = [], []
            for kernel, stride in zip(module.kernel_size, module.stride, strict=True):
                total = kernel - stride
                before.append(total // 2)
                after.append(total - total // 2)
            plain = nn.Conv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,
                module.stride,
                groups=module.groups,
                bias=module.bias is not None,
            )
            plain.load_state_dict(module.state_dict())
            parent, _, leaf = name.rpartition(".")
            pad = nn.ZeroPad2d((before[1], after[1], before[0], after[0]))
            setattr(network.get_submodule(parent), leaf, nn.Sequential(pad, plain.requires_grad_(False)))


def _pos_embed(self: nn.Module, x: Tensor) -> Tensor:
    """`DinoVisionTransformer._pos_embed` without a branch on the size, which a graph cannot have, and without an
    interpolation by a scale factor that depends on it: the same bicubic resampling as two small matrix products.
    """
    batch, height, width, channels = x.shape
    side = self.grid
    rows, columns = x.new_ones(height).sum(), x.new_ones(width).sum()
    stored = (rows == side) & (columns == side)
    one = torch.ones_like(rows)
    vertical = bicubic_matrix(height, side, torch.where(stored, one, side / (rows + 0.1)))
    horizontal = bicubic_matrix(width, side, torch.where(stored, one, side / (columns + 0.1)))
    table = self.pos_embed[0, 1:].reshape(side, side * channels)
    table = (vertical @ table).reshape(height, side, channels)
    table = (horizontal @ table).reshape(1, height * width, channels)
    x = torch.cat([self.cls_token.expand(batch, -1, -1), x.reshape(batch, height * width, channels)], dim=1)
    return x + torch.cat([self.pos_embed[:, :1], table], dim=1)


def pairs(grid: tuple[int, int], device: torch.device) -> Tensor:
    """`MidasBeit.pairs` by arithmetic on a graph's grid of any size; the table's last three rows count from its end."""
    height, width = grid
    row = torch.arange(height, device=device)[:, None].expand(height, width).reshape(-1)
    column = torch.arange(width, device=device)[None].expand(height, width).reshape(-1)
    down, right = row[:, None] - row + height - 1, column[:, None] - column + width - 1
    patches = F.pad(down * (2 * width - 1) + right, (1, 0), value=-2)
    return torch.cat([F.pad(torch.full_like(patches[:1, 1:], -3), (1, 0), value=-1), patches])


def bicubic_matrix(outputs: int, inputs: int, step: Tensor) -> Tensor:
    """Matrix (outputs, inputs) of 1D bicubic resampling: output i samples at (i + 0.5) * step - 0.5, edges repeated."""
    position = (torch.arange(outputs, device=step.device, dtype=step.dtype) + 0.5) * step - 0.5
    base = position.floor()
    taps = base[:, None] + torch.arange(-1, 3, device=step.device, dtype=step.dtype)
    distance = (position[:, None] - taps).abs()
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
    weights = torch.where(distance <= 1, near, far)
    columns = torch.arange(inputs, device=step.device, dtype=step.dtype)
    hits = taps.clamp(0, inputs - 1)[:, :, None] == columns
    return (weights[:, :, None] * hits.to(weights.dtype)).sum(1)
