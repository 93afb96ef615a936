"""Resizing images for networks and maps back, as upstream's code does: one statement of it, for estimators and for
exports.

Exports carry this file along as is, so it needs PyTorch (and torchvision for diffusion networks) only.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Fit = Literal["lower", "upper", "minimal", "square", "longest", "area"]

LARGEST_INPUT = 2**25
"""Pixels of the largest network input: more needs hours and memory that no machine here has."""
LONGEST_INPUT = 16
"""How many times its shorter side an input's longer one may have, where the shorter is fixed: upstream has no end."""


def network_size(height: int, width: int, size: int, multiple: int, fit: Fit) -> tuple[int, int]:
    """The size arithmetic of `InputPolicy`; a side can come out as 0 for extreme aspect ratios, as upstream's.

    Rounding is numpy's, half to even, on the float product.
    """
    if fit == "square":
        return size, size
    if fit == "longest":
        scale = min(size / width, size / height) if size else 1.0
        return int(height * scale), int(width * scale)
    if fit == "area":
        return _nearest_multiples(_longest_side(height, width, size), multiple)
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


def possible_size(height: int, width: int, size: int, multiple: int, fit: Fit) -> tuple[int, int]:
    """`network_size`, where a network can take it. Raises ValueError, in one line, for images too elongated."""
    found = network_size(height, width, size, multiple, fit)
    if min(found) < 1:
        raise ValueError(
            f"an image of {height}x{width} pixels is too elongated for this network: its input of {size} pixels would "
            f"have {found[0]}x{found[1]} pixels; crop the image or choose a larger input size"
        )
    if found[0] * found[1] > LARGEST_INPUT:
        raise ValueError(
            f"an input of {found[0]}x{found[1]} pixels is beyond reason, the limit is {LARGEST_INPUT}: lower the size"
        )
    if found[0] * found[1] > LONGEST_INPUT * max(size, 1) ** 2 and fit in ("lower", "minimal"):
        raise ValueError(
            f"an image of {height}x{width} pixels is too elongated: the network's input would have "
            f"{found[0]}x{found[1]} pixels, and its longer side may be {LONGEST_INPUT} times the shorter; "
            "crop the image"
        )
    return found


def resize_image(image: Tensor, size: tuple[int, int], fit: Fit) -> Tensor:
    """The image (B,3,H,W) in [0,1] at a network's size (h,w): bicubic without antialiasing, which is what OpenCV's
    INTER_CUBIC does; for diffusion networks (`longest`) as `resize_eight_bit`, for Depth Anything 3 (`area`) as
    `resize_by_area`.
    """
    if size == tuple(image.shape[-2:]):
        return image
    if fit == "longest":
        return resize_eight_bit(image, size)
    if fit == "area":
        return resize_by_area(image, size)
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False)


def resize_map(
    prediction: Tensor, size: tuple[int, int], fit: Fit, back: Literal["bilinear", "bicubic"], *, resized: bool
) -> Tensor:
    """The map (B,1,h,w) at the image's size (H,W). `resized` says whether the image was resized for the network."""
    if fit == "longest":
        if tuple(prediction.shape[-2:]) != size:
            prediction = F.interpolate(prediction, size=size, mode="bilinear", align_corners=False, antialias=True)
        return prediction.clip(0, 1)
    if not resized:
        return prediction
    return F.interpolate(prediction, size=size, mode=back, align_corners=back == "bilinear")


def resize_eight_bit(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear on 8-bit values, as the diffusion pipelines resize inputs; (B,3,H,W) in [0,1] both ways."""
    from torchvision.transforms.functional import InterpolationMode, resize

    pixels = (image * 255).round().clip(0, 255).to(torch.uint8)
    return resize(pixels, list(size), InterpolationMode.BILINEAR, antialias=True).float() / 255


def resize_by_area(image: Tensor, size: tuple[int, int]) -> Tensor:
    """As Depth Anything 3 resizes an image (B,3,H,W) in [0,1] to `size` pixels: first to the longest side, then to
    multiples of the patch, with 8 bits after each.

    A step that only shrinks takes the mean over the area of each new pixel (OpenCV's INTER_AREA), another one is
    bicubic.
    """
    for target in (_longest_side(image.shape[-2], image.shape[-1], max(size)), size):
        height, width = image.shape[-2:]
        if target[0] > height or target[1] > width:
            image = F.interpolate(image, size=target, mode="bicubic", align_corners=False)
        elif target != (height, width):
            image = _shares(height, target[0], image) @ image @ _shares(width, target[1], image).T
        image = (image * 255).round().clip(0, 255) / 255
    return image


def _shares(before: int, after: int, like: Tensor) -> Tensor:
    """(after, before): the share that each old pixel has in each new one, by the length they have in common."""
    scale = before / after
    new = torch.arange(after, dtype=torch.float64)[:, None] * scale
    old = torch.arange(before, dtype=torch.float64)
    return ((torch.minimum(new + scale, old + 1) - torch.maximum(new, old)).clamp_min(0) / scale).to(like)


def _longest_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width with a longest side of `size`."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _nearest_multiples(sides: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The nearest multiples, of two equally near ones the larger; 0 where a side is less than half of one."""
    height, width = ((2 * side + multiple) // (2 * multiple) * multiple for side in sides)
    return height, width
