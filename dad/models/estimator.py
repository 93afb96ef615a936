"""Estimators: a network with its own pre-processing, from an RGB image in [0,1] to a map at the image's resolution."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dad.errors import UserError
from dad.models import checkpoints

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise_rgb(rgb: Tensor) -> Tensor:
    """RGB (B,3,H,W) in [0,1] to zero mean and unit variance by ImageNet's statistics, what every DINOv2 encoder expects."""
    mean, std = (torch.tensor(values, dtype=rgb.dtype, device=rgb.device)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (rgb - mean) / std


def lower_bound_size(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Depth Anything's input size: aspect kept, both sides at least `short_side`, rounded to multiples (never below).

    Source: Depth-Anything-V2 `util/transform.py`, `Resize` with `lower_bound`; rounding is numpy's, half to even.
    """
    scale = max(short_side / height, short_side / width)

    def fit(side: int) -> int:
        rounded = round(scale * side / multiple) * multiple
        return rounded if rounded >= short_side else math.ceil(scale * side / multiple) * multiple

    return fit(height), fit(width)


class Estimator:
    """RGB (B,3,H,W) in [0,1] -> map (B,1,H,W) float32 of the given `kind` ("disparity": larger = nearer).

    The image is resized (bicubic, no antialiasing, as Depth Anything does) to the network's size with the aspect kept, and the map
    back (bilinear, align_corners=True). `short_side` is the size policy: the shorter side of the network's input in pixels.
    """

    def __init__(self, network: nn.Module, *, name: str, short_side: int, device: str | torch.device = "cpu") -> None:
        self.patch: int = network.config.patch
        if short_side % self.patch:
            raise UserError(f"{name}: a short side of {short_side} pixels is not a multiple of the patch, {self.patch}")
        self.network = network.to(device).eval()
        self.name = name
        self.kind: str = network.kind
        self.short_side = short_side
        self.device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> Tensor:
        """Predict; raises UserError for anything but (B,3,H,W)."""
        if rgb.ndim != 4 or rgb.shape[1] != 3:
            raise UserError(f"an estimator takes RGB of shape (B,3,H,W), got {tuple(rgb.shape)}")
        height, width = rgb.shape[-2:]
        size = lower_bound_size(height, width, self.short_side, self.patch)
        image = rgb.to(self.device, torch.float32)
        if size != (height, width):
            image = F.interpolate(image, size=size, mode="bicubic", align_corners=False)
        prediction = self.network(normalise_rgb(image)).float()
        if size != (height, width):
            prediction = F.interpolate(prediction, size=(height, width), mode="bilinear", align_corners=True)
        return prediction


def load(name_or_path: str | Path, *, device: str = "cpu", short_side: int | None = None) -> Estimator:
    """An estimator from a zoo member (`zoo/vit-large`), a run folder or a weights file of ours.

    `short_side` overrides the stored size of the network's input. Raises UserError with the known names for anything else.
    """
    network, header = checkpoints.load_network(name_or_path)
    return Estimator(network, name=str(name_or_path), short_side=short_side or header.input_size, device=device)
