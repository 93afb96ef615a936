"""The precision of networks that are only read: teachers, assistants, frozen encoders."""

import contextlib
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["no", "bf16"]


def forward_precision(device: torch.device | str, precision: str) -> contextlib.AbstractContextManager:
    """Within it, matrix products and convolutions take bfloat16 (`bf16`, torch's autocast) or are left as they are
    (`no`).

    Sums along a network's residual path, and the norms where torch says so, stay float32, and so do the stored weights.
    """
    if precision == "no":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def keep_output_float32(network: torch.nn.Module) -> None:
    """Let a network's last convolution take and give float32 whatever the precision of the rest.

    bfloat16 has 8 bits for a value: rounded to it, a smooth map becomes a staircase whose gradients mean nothing. The
    convolution before the last may be rounded, since the last one mixes many of its values.
    """
    bias = network.last_bias
    last = next(part for part in network.modules() if getattr(part, "bias", None) is bias and hasattr(part, "weight"))
    plain = last.forward

    def forward(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return plain(x.float())

    last.forward = forward
