"""Estimators: a network with its own pre-processing, from an RGB image in [0,1] to a map at the image's resolution."""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dad.errors import UserError
from dad.models import checkpoints
from dad.models.inputs import TakesImages, check_rgb
from dad.models.locate import split_network, stands_for
from dad.models.plugins import plugin
from dad.models.policy import InputPolicy
from dad.models.precision import forward_precision, keep_output_float32
from dad.models.resizing import resize_eight_bit, resize_image, resize_map

__all__ = ["AnyEstimator", "Estimator", "check_rgb", "load", "resize_eight_bit"]


class RunsAsItIs(UserError):
    """Another precision was asked of a model that runs in its own way."""


class AnyEstimator(Protocol):
    """What `load` gives: RGB (B,3,H,W) in [0,1] -> map (B,1,H,W) float32 of its `kind`; one image -> numpy (H,W)."""

    name: str
    kind: str
    patch: int

    def __call__(self, image: Any) -> Any:
        """Predict; see `dad.models.inputs.TakesImages`."""
        ...


class Estimator(TakesImages):
    """RGB (B,3,H,W) in [0,1] -> map (B,1,H,W) float32 of the given `kind` ("disparity": larger = nearer).

    The image is resized to the network's size, and the map back, as the network's policy says (`dad.models.policy`).
    `short_side` overrides the policy's size, `square` gives the aspect up (Distill Any Depth's own scripts: 700,
    square). `precision`: see `dad.models.precision`; the map is float32 in any case. While `tokens` is a list, every
    pass adds its encoder's tokens to it.
    """

    def __init__(
        self,
        network: Any,
        *,
        name: str,
        short_side: int | None = None,
        square: bool = False,
        device: str | torch.device = "cpu",
        precision: str = "no",
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
        self.precision = precision
        self.tokens: list[Tensor] | None = None
        if precision != "no":
            keep_output_float32(self.network)

    @torch.inference_mode()
    def predict(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) in [0,1] -> map (B,1,H,W); raises UserError for sizes that the network cannot take."""
        height, width = rgb.shape[-2:]
        image = self.resize(rgb.to(self.device, torch.float32))
        with forward_precision(self.device, self.precision):
            if self.tokens is None:
                prediction = self.network(self.network.normalise(image))
            else:
                prediction, tokens = self.network(self.network.normalise(image), with_features=True)
                self.tokens.append(tokens.float())
        prediction = prediction.float()
        return self.resize_back(prediction, (height, width), resized=image.shape[-2:] != rgb.shape[-2:])

    def resize(self, image: Tensor) -> Tensor:
        """The image (B,3,H,W) at the network's size: bicubic without antialiasing, as OpenCV's INTER_CUBIC."""
        return resize_image(image, self.policy.network_size(*image.shape[-2:]), self.policy.fit)

    def resize_back(self, prediction: Tensor, size: tuple[int, int], *, resized: bool) -> Tensor:
        """The map (B,1,h,w) at the image's size."""
        return resize_map(prediction, size, self.policy.fit, self.policy.back, resized=resized)


def load(
    name_or_path: str | Path,
    *,
    device: str = "cpu",
    short_side: int | None = None,
    square: bool = False,
    network: str | None = None,
    precision: str = "no",
) -> AnyEstimator:
    """An estimator from anything that is a model.

    name_or_path: a zoo member (`zoo/vit-large`), a run folder, a weights file of ours, an export of ours (safetensors,
    transformers or ONNX), an official file (.pth, .pt, .safetensors), a Hugging Face folder or name (the local cache is
    looked at first), a network's name (its official weights must be in a cache), `NETWORK:PATH` where a file's name
    does not tell what it is (`network` says the same), or a model of another package: `package.module:Class`, or a name
    that it registers (`dad.models.plugins`). `short_side` overrides the stored size of the network's input (for
    diffusion networks: the longest side), `square` gives the aspect up. `precision` (`no`, `bf16`) is for networks of
    this package alone. Raises UserError, in one line, for anything else.

    Returns an estimator: `estimator(image)` takes a path, a PIL image or a numpy array (H,W,3) and gives the map as a
    numpy array (H,W), float32, at the image's size; for a tensor (B,3,H,W) in [0,1] it gives a tensor (B,1,H,W).
    `estimator.kind` says what the map is: "disparity" (larger is nearer) or "depth", both relative.
    """
    from dad.models.marigold import MarigoldEstimator, is_marigold
    from dad.models.onnx_estimator import load_onnx, onnx_file

    name_or_path = stands_for(str(name_or_path))
    found = plugin(name_or_path, device=device, short_side=short_side, square=square)
    if found is not None:
        _only_float32(name_or_path, precision)
        return found
    said, text = split_network(name_or_path)
    folder = checkpoints.resolve(text)
    if (graph := onnx_file(folder)) is not None:
        _only_float32(name_or_path, precision)
        return load_onnx(graph, name=text, short_side=short_side, square=square, device=device)
    if is_marigold(folder):
        _only_float32(name_or_path, precision)
        return MarigoldEstimator(folder, name=text, longest_side=short_side, device=device)
    built, header = checkpoints.load_network(text, network=network or said)
    size = header.input_size if short_side is None else short_side
    return Estimator(built, name=name_or_path, short_side=size, square=square, device=device, precision=precision)


def _only_float32(name: str, precision: str) -> None:
    """Refuse another precision for what runs in its own way."""
    if precision != "no":
        raise RunsAsItIs(
            f"{name} runs as its makers' code runs it: labels.precision must be no for it, not {precision}"
        )
