"""The same step in less memory or fewer kernels: activations computed anew, batches in parts, a compiled network."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2Block
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dad.errors import UserError
from dad.models.dpt import DPTHead, FeatureFusionBlock
from dad.models.midas_decoder import FusionBlock, MidasDecoder
from dad.models.midas_encoders import MidasBeit
from dad.study.config import OptimConfig

RECOMPUTED: dict[type[nn.Module], str] = {
    Block: "forward",
    SwinTransformerV2Block: "forward",
    MidasBeit: "through",
    FeatureFusionBlock: "forward",
    DPTHead: "read_out",
    FusionBlock: "forward",
    MidasDecoder: "read_out",
}
"""Methods that `activation_checkpointing` runs twice: of transformer blocks, decoders' levels and last convolutions."""


def save_where_asked(network: nn.Module, config: OptimConfig) -> None:
    """Let a network's training pass work as `config` says: `activation_checkpointing`, `micro_batch`, `compile`.

    Raises UserError for a network that cannot.
    """
    if config.activation_checkpointing:
        found = [
            (part, name) for part in network.modules() for kind, name in RECOMPUTED.items() if isinstance(part, kind)
        ]
        if not found:
            raise UserError(
                f"optim.activation_checkpointing: a {network.config.family} network has no blocks that could be "
                "computed anew; optim.micro_batch saves memory, too"
            )
        for part, name in found:
            setattr(part, name, _anew(getattr(part, name)))
    if config.micro_batch is not None and config.micro_batch < config.batch:
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules()):
            raise UserError(
                "optim.micro_batch: this network has BatchNorm, whose statistics are the whole batch's: set it to null"
            )
        network.forward = _in_parts(network.forward, config.micro_batch)
    if config.compile is not None:
        network.compile(backend=config.compile)


def _anew(part: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which keeps only its arguments for the backward pass and computes the rest again there."""

    @functools.wraps(part)
    def called(*arguments: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled():
            return part(*arguments, **options)
        return checkpoint(functools.partial(part, **options), *arguments, use_reentrant=False)

    return called


def _in_parts(forward: Callable[..., Any], size: int) -> Callable[..., Any]:
    """The same function of a batch, `size` images at a time, each part's activations computed again in the backward
    pass.

    What comes out is the whole batch's, and so is every loss of it, whatever that takes its means and medians over.
    """
    of_part = _anew(forward)

    @functools.wraps(forward)
    def called(pixels: Tensor, **options: Any) -> Any:
        if not torch.is_grad_enabled() or len(pixels) <= size:
            return forward(pixels, **options)
        parts = [of_part(part, **options) for part in pixels.split(size)]
        if isinstance(parts[0], Tensor):
            return torch.cat(parts)
        return tuple(torch.cat(of_all) for of_all in zip(*parts, strict=True))

    return called
