"""Resizing images for networks and maps back, as upstream's code does: one statement of it, for estimators and for exports.

Exports carry this file along as it is, so it needs PyTorch (and torchvision for diffusion networks) only.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Fit = Literal["lower", "upper", "minimal", "square", "longest"]


def network_size(height: int, width: int, size: int, multiple: int, fit: Fit) -> tuple[int, int]:
    """The size arithmetic of `InputPolicy`; a side can come out as 0 for extreme aspect ratios, as upstream's.

    Rounding is numpy's, half to even, on the float product.
    """
    if fit == "square":
        return size, size
    if fit == "longest":
        scale = min(size / width, size / height) if size else 1.0
        return int(height * scale), int(width * scale)
    by_height, by_width = size / height, size / width
    if fit == "lower":
        scale = max(by_height, by_width)
    elif fit == "upper":
        scale = min(by_height, by_width)
    else:
        scale = by_width if abs(1 - by_width) < abs(1 - by_height) else by_height

    def round_side(side: int) -> int:
        rounded = round(scale * side / multiple) * multiple
        if fit == "lower" and rounded < size:
            return math.ceil(scale * side / multiple) * multiple
        if fit == "upper" and rounded > size:
            return math.floor(scale * side / multiple) * multiple
        return rounded

    return round_side(height), round_side(width)


def resize_image(image: Tensor, size: tuple[int, int], fit: Fit) -> Tensor:
    """The image (B,3,H,W) in [0,1] at a network's size (h,w): bicubic without antialiasing, which is what OpenCV's INTER_CUBIC
    does; for diffusion networks (`longest`) as `resize_eight_bit`.
    """
    if size == tuple(image.shape[-2:]):
        return image
    if fit == "longest":
        return resize_eight_bit(image, size)
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False)


def resize_map(
    prediction: Tensor, size: tuple[int, int], fit: Fit, back: Literal["bilinear", "bicubic"], *, resized: bool
) -> Tensor:
    """The map (B,1,h,w) at the image's size (H,W). `resized` says whether the image had been resized for the network."""
    if fit == "longest":
        if tuple(prediction.shape[-2:]) != size:
            prediction = F.interpolate(prediction, size=size, mode="bilinear", align_corners=False, antialias=True)
        return prediction.clip(0, 1)
    if not resized:
        return prediction
    return F.interpolate(prediction, size=size, mode=back, align_corners=back == "bilinear")


def resize_eight_bit(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with antialiasing on 8-bit values, as the diffusion pipelines resize their inputs; (B,3,H,W) in [0,1] both ways."""
    from torchvision.transforms.functional import InterpolationMode, resize

    pixels = (image * 255).round().clip(0, 255).to(torch.uint8)
    return resize(pixels, list(size), InterpolationMode.BILINEAR, antialias=True).float() / 255
