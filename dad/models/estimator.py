"""Estimators: a network with its own pre-processing, from an RGB image in [0,1] to a map at the image's resolution."""

from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dad.errors import UserError
from dad.models import checkpoints
from dad.models.policy import InputPolicy

__all__ = ["AnyEstimator", "Estimator", "load"]


class AnyEstimator(Protocol):
    """What `load` gives: RGB (B,3,H,W) in [0,1] -> map (B,1,H,W) float32 of its `kind`."""

    name: str
    kind: str
    patch: int

    def __call__(self, rgb: Tensor) -> Tensor:
        """Predict."""
        ...


def check_rgb(rgb: Tensor) -> None:
    """Raise UserError for anything but (B,3,H,W)."""
    if rgb.ndim != 4 or rgb.shape[1] != 3:
        raise UserError(f"an estimator takes RGB of shape (B,3,H,W), got {tuple(rgb.shape)}")


class Estimator:
    """RGB (B,3,H,W) in [0,1] -> map (B,1,H,W) float32 of the given `kind` ("disparity": larger = nearer).

    The image is resized to the network's size, and the map back, as the network's policy says (`dad.models.policy`). `short_side`
    overrides the policy's size, `square` gives the aspect up (Distill Any Depth's own scripts: 700, square).
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        short_side: int | None = None,
        square: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        self.patch: int = network.config.patch
        try:
            size = network.policy.size if short_side is None else short_side
            self.policy: InputPolicy = network.policy.resized(size, patch=self.patch, square=square)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        self.network = network.to(device).eval()
        self.name = name
        self.kind: str = network.kind
        self.device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, rgb: Tensor) -> Tensor:
        """Predict; raises UserError for anything but (B,3,H,W) and for sizes that the network can not take."""
        check_rgb(rgb)
        height, width = rgb.shape[-2:]
        image = self.resize(rgb.to(self.device, torch.float32))
        prediction = self.network(self.network.normalise(image)).float()
        return self.resize_back(prediction, (height, width), resized=image.shape[-2:] != rgb.shape[-2:])

    def resize(self, image: Tensor) -> Tensor:
        """The image (B,3,H,W) at the network's size: bicubic without antialiasing, which is what OpenCV's INTER_CUBIC does."""
        size = self.policy.network_size(*image.shape[-2:])
        if size == tuple(image.shape[-2:]):
            return image
        if self.policy.fit == "longest":
            return resize_eight_bit(image, size)
        return F.interpolate(image, size=size, mode="bicubic", align_corners=False)

    def resize_back(self, prediction: Tensor, size: tuple[int, int], *, resized: bool) -> Tensor:
        """The map (B,1,h,w) at the image's size."""
        if self.policy.fit == "longest":
            if tuple(prediction.shape[-2:]) != size:
                prediction = F.interpolate(prediction, size=size, mode="bilinear", align_corners=False, antialias=True)
            return prediction.clip(0, 1)
        if not resized:
            return prediction
        return F.interpolate(prediction, size=size, mode=self.policy.back, align_corners=self.policy.back == "bilinear")


def resize_eight_bit(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear with antialiasing on 8-bit values, as the diffusion pipelines resize their inputs; (B,3,H,W) in [0,1] both ways."""
    from torchvision.transforms.functional import InterpolationMode, resize

    pixels = (image * 255).round().clip(0, 255).to(torch.uint8)
    return resize(pixels, list(size), InterpolationMode.BILINEAR, antialias=True).float() / 255


def load(
    name_or_path: str | Path,
    *,
    device: str = "cpu",
    short_side: int | None = None,
    square: bool = False,
    network: str | None = None,
) -> AnyEstimator:
    """An estimator from anything that is a model.

    name_or_path: a zoo member (`zoo/vit-large`), a run folder, a weights file of ours, an official file (.pth, .pt,
    .safetensors), a
    Hugging Face folder or name (the local cache is looked at first), a network's name (its official weights must be in a cache), or
    `NETWORK:PATH` where a file's name does not tell what it is; `network` says the same.
    `short_side` overrides the stored size of the network's input (for diffusion networks: the longest side), `square` gives the
    aspect up. Raises UserError, in one line, for anything else.
    """
    from dad.models.marigold import MarigoldEstimator, is_marigold

    said, text = checkpoints.split_network(str(name_or_path))
    folder = checkpoints.resolve(text)
    if is_marigold(folder):
        return MarigoldEstimator(folder, name=text, longest_side=short_side, device=device)
    built, header = checkpoints.load_network(text, network=network or said)
    size = header.input_size if short_side is None else short_side
    return Estimator(built, name=str(name_or_path), short_side=size, square=square, device=device)
