"""The source's own pre- and post-processing for transformers' pipelines. Needs transformers, torch and torchvision,
nothing else.

transformers' processors know one rule of resizing, and smooth what they shrink; this one does what the exported network
saw in training: see `policy` in preprocessor_config.json.
"""

from typing import Any

import numpy as np
import torch
from transformers.image_processing_base import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from dad.models.resizing import network_size, possible_size, resize_image, resize_map


class DadImageProcessor(BaseImageProcessor):
    """Images to a network's input, and its maps to the images' sizes.

    policy: size and multiple in pixels; fit ("lower", "upper", "minimal", "square", "longest"); mean and std of RGB in
    [0,1]; back, the interpolation of the map ("bilinear" with aligned corners, or "bicubic").
    """

    model_input_names = ("pixel_values",)

    def __init__(self, policy: dict[str, Any] | None = None, **others: Any) -> None:
        self.policy = policy
        super().__init__(**others)

    def __call__(self, images: Any, **options: Any) -> BatchFeature:
        """As `preprocess`."""
        return self.preprocess(images, **options)

    def preprocess(self, images: Any, return_tensors: str | None = "pt", **_: Any) -> BatchFeature:
        """PIL or uint8 (H,W,3) images, one or a list of equal input sizes -> pixel_values (B,3,h,w), normalised."""
        given = images if isinstance(images, list | tuple) else [images]
        return BatchFeature(
            {"pixel_values": torch.cat([self._one(image) for image in given])}, tensor_type=return_tensors
        )

    def _one(self, image: Any) -> torch.Tensor:
        pixels = np.asarray(image.convert("RGB") if hasattr(image, "convert") else image)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(f"an image is RGB of 8 bits, (H,W,3); got {pixels.dtype} {pixels.shape}")
        rgb = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        policy = self.policy
        height, width = rgb.shape[-2:]
        size = possible_size(height, width, policy["size"], policy["multiple"], policy["fit"])
        mean, std = (torch.tensor(policy[key])[:, None, None] for key in ("mean", "std"))
        return (resize_image(rgb, size, policy["fit"]) - mean) / std

    def post_process_depth_estimation(self, outputs: Any, target_sizes: Any = None) -> list[dict[str, torch.Tensor]]:
        """Maps (B,h,w) of a depth network -> one {"predicted_depth": (H,W)} for each target size (H,W)."""
        maps = outputs.predicted_depth[:, None].float()
        policy, found = self.policy, []
        for index, prediction in enumerate(maps):
            if target_sizes is None:
                found.append({"predicted_depth": prediction[0]})
                continue
            height, width = (int(side) for side in target_sizes[index])
            seen = network_size(height, width, policy["size"], policy["multiple"], policy["fit"])
            resized = seen != (height, width)
            back = resize_map(prediction[None], (height, width), policy["fit"], policy["back"], resized=resized)
            found.append({"predicted_depth": back[0, 0]})
        return found
