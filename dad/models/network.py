"""What every network here has in common: a config, an input policy, official checkpoints in and out."""

import functools
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dad.errors import UserError
from dad.models.policy import InputPolicy

SHOWN = 6
"""Keys named per kind of mismatch before the rest is counted only."""


class DepthNetwork(nn.Module):
    """A network that maps its normalised input (B,3,H,W) to a map (B,1,H,W).

    Subclasses hold parameters under the official checkpoint's names wherever a library's module lets them; where names
    differ they override `from_official` and `to_official`.
    """

    kind: Literal["disparity", "depth"] = "disparity"
    policy: InputPolicy
    config: Any

    @property
    def encoder(self) -> nn.Module:
        """The part that `init: encoder` keeps and that trains at the encoder's rate."""
        raise NotImplementedError

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the last convolution: where a dead start is cured."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """The tokens (B,N,C) that `forward(..., with_features=True)` adds to the map, without decoding."""
        raise NotImplementedError

    def normalise(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) in [0,1] to this network's input scale."""
        mean, std = (_channels(values, rgb.dtype, rgb.device) for values in (self.policy.mean, self.policy.std))
        return (rgb - mean) / std

    def check_size(self, x: Tensor) -> None:
        """Raise UserError for an input (B,3,H,W) whose sides are not multiples of what the network needs."""
        height, width = x.shape[-2:]
        multiple = self.config.patch
        if height % multiple or width % multiple:
            raise UserError(
                f"input of {height}x{width} pixels: height and width must be multiples of the patch, {multiple}"
            )

    def from_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An official state dict under this module's names, without what the module derives by itself."""
        return dict(state)

    def to_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `from_official`."""
        return dict(state)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load an official checkpoint's state dict. Every key must fit; raises UserError that lists all that do not."""
        check_finite(state)
        own = self.state_dict()
        renamed = with_counters(self.from_official(state), own)
        problem = mismatch(renamed, own)
        if problem:
            raise UserError(f"the checkpoint does not fit this {self.config.family} network: {problem}")
        self.load_state_dict(renamed)

    def official_state(self) -> dict[str, Tensor]:
        """The weights as an official checkpoint holds them, key by key."""
        return self.to_official(self.state_dict())


@functools.lru_cache(maxsize=64)
def _channels(values: tuple[float, float, float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A value per channel, (3,1,1), on the device once: made anew for every batch it would stop a GPU every time."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)[:, None, None]


def with_counters(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same state dict with the batch norms' step counters (`num_batches_tracked`) of `own` where it has none.

    Nothing reads them in evaluation, and files of old PyTorch versions lack them; PyTorch itself fills them in as well.
    """
    return {key: value for key, value in own.items() if key.endswith("num_batches_tracked")} | dict(state)


def mismatch(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What keeps `state` from being loaded where `expected` is, in one line; empty if nothing does."""
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    shapes = [
        f"{key} {list(state[key].shape)} instead of {list(expected[key].shape)}"
        for key in sorted(expected.keys() & state.keys())
        if expected[key].shape != state[key].shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "wrong shape": shapes}
    return "; ".join(f"{len(keys)} {what}: {shorten(keys)}" for what, keys in found.items() if keys)


def shorten(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def check_finite(state: Mapping[str, Tensor]) -> None:
    """Raise UserError naming the tensors that hold NaN or infinities."""
    bad = sorted(key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all())
    if bad:
        raise UserError(f"{len(bad)} tensors of the checkpoint hold NaN or infinite values: {shorten(bad)}")
