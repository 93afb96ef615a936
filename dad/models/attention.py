"""Which attention kernel a network trains with on a CPU."""

import torch
from torch import Tensor, nn

MOST_TOKENS = 800
"""Up to this many tokens a training pass in bfloat16 on a CPU takes attention as matrix products and a softmax.

Measured: forward and backward of one attention block, one thread (AMD EPYC, PyTorch 2.15), fused / plain time at 50,
82, 197, 401 and 785 tokens: 2.7, 2.8, 1.6, 2.0, 2.2 with heads of 32 (two), 2.0, 2.0, 1.7, 1.9, 1.9 with heads of 64
(six). In float32 it is 0.95 to 1.11, so nothing changes there. Beyond, the map of all pairs of tokens, which the fused
kernel does not keep, needs memory.
"""


def plain_attention_where_faster(network: nn.Module) -> None:
    """Let timm's attention blocks choose at every call: torch's fused kernel, or the products and the softmax by
    themselves.

    Both are the same function up to rounding. Chosen block by block and not by torch's switch for all attention of the
    process: teachers run in another thread meanwhile, and labels must not depend on when they do. Nothing changes on a
    GPU, without gradients, in float32, or where a block has no such choice.
    """
    for part in network.modules():
        if isinstance(getattr(part, "fused_attn", None), bool):
            part.register_forward_pre_hook(_choose)


def _choose(block: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    tokens = inputs[0]
    half = tokens.device.type == "cpu" and (torch.is_autocast_enabled("cpu") or tokens.dtype == torch.bfloat16)
    block.fused_attn = not (half and torch.is_grad_enabled() and tokens.shape[1] <= MOST_TOKENS)
