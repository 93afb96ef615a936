"""ONNX with dynamic batch, height and width, checked with onnxruntime.

The graph takes `image`: normalised RGB (B,3,H,W), H and W multiples of the patch, and gives `map`: (B,1,H,W).
"""

import copy
import logging
import types
import warnings
from pathlib import Path

import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from dad.errors import UserError
from dad.export.parity import Parity, compare, require, sample_image
from dad.models.config import MidasLargeConfig, MidasSmallConfig, VitDptConfig

CUBIC = -0.75
"""Parameter of the cubic kernel, PyTorch's."""


def write_onnx(network: nn.Module, path: Path) -> list[Parity]:
    """Write the graph; returns its parity for two input shapes that it was not traced with."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"ONNX export needs the packages onnx, onnxruntime and onnxscript: {error}") from None
    if not isinstance(network.config, VitDptConfig | MidasSmallConfig | MidasLargeConfig):
        raise UserError(
            f"networks of the family {network.config.family} can not be exported to ONNX with dynamic sizes; use safetensors"
        )
    traced = copy.deepcopy(network).eval().requires_grad_(False)
    if isinstance(network.config, VitDptConfig):
        traced.pretrained._pos_embed = types.MethodType(_pos_embed, traced.pretrained)
    _fix_padding(traced)
    patch = network.config.patch
    rows, columns = (torch.export.Dim(name, min=1, max=256) for name in ("rows", "columns"))
    shapes = {"x": {0: torch.export.Dim("batch", min=1, max=1024), 2: patch * rows, 3: patch * columns}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            traced,
            (torch.zeros(2, 3, 3 * patch, 5 * patch),),
            str(path),
            input_names=["image"],
            output_names=["map"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    grids = ((1, 4, 6), (3, 7, 5))
    return [require(_parity(network, session, batch, h * patch, w * patch)) for batch, h, w in grids]


def _parity(network: nn.Module, session: object, batch: int, height: int, width: int) -> Parity:
    x = network.normalise(sample_image(batch, height, width))
    with torch.no_grad():
        expected = network(x)
    found = torch.from_numpy(session.run(None, {"image": x.numpy()})[0])
    return compare("onnxruntime", tuple(x.shape), expected, found)


def _fix_padding(network: nn.Module) -> None:
    """Replace TensorFlow's size-dependent "same" padding by what it comes to for the even sizes that multiples of the patch give.

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
    """`DinoVisionTransformer._pos_embed` without a branch on the size, which a graph can not have, and without an interpolation
    by a
    scale factor that depends on it: the same bicubic resampling as two small matrix products."""
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


def bicubic_matrix(outputs: int, inputs: int, step: Tensor) -> Tensor:
    """The matrix (outputs, inputs) of one-dimensional bicubic resampling: output i samples at (i + 0.5) * step - 0.5, edges
    repeated.
    """
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
