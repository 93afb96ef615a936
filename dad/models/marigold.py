"""Marigold through diffusers' own pipeline (prs-eth/Marigold): affine-invariant depth by a few denoising steps."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from dad.errors import UserError
from dad.files import read_json
from dad.models.catalogue import licence_notice
from dad.models.inputs import TakesImages


def is_marigold(path: Path) -> bool:
    """Whether a folder is a Marigold depth pipeline in diffusers' layout."""
    index = path / "model_index.json"
    try:
        return path.is_dir() and index.is_file() and read_json(index).get("_class_name") == "MarigoldDepthPipeline"
    except (ValueError, AttributeError):
        return False


class MarigoldEstimator(TakesImages):
    """RGB (B,3,H,W) in [0,1] -> affine-invariant depth (B,1,H,W) in [0,1], far = 1.

    `steps` and `longest_side` default to the checkpoint's own. The noise is drawn from `seed` anew for every call, so
    that a batch always gives the same maps.
    """

    kind = "depth"
    patch = 1

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        longest_side: int | None = None,
        steps: int | None = None,
        ensemble: int = 1,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        from diffusers import MarigoldDepthPipeline

        try:
            self.pipeline = MarigoldDepthPipeline.from_pretrained(folder, local_files_only=True).to(device)
        except (OSError, ValueError) as error:
            raise UserError(f"{name} is not a complete Marigold folder: {str(error).splitlines()[0]}") from None
        self.pipeline.set_progress_bar_config(disable=True)
        print(licence_notice(name, "marigold"), file=sys.stderr)
        self.name = name
        self.longest_side, self.steps, self.ensemble, self.seed = longest_side, steps, ensemble, seed

    @torch.inference_mode()
    def predict(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) in [0,1] -> depth (B,1,H,W) in [0,1]."""
        output = self.pipeline(
            rgb.to(self.pipeline.device, torch.float32).clip(0, 1),
            num_inference_steps=self.steps,
            ensemble_size=self.ensemble,
            processing_resolution=self.longest_side,
            generator=[
                torch.Generator(self.pipeline.device).manual_seed(self.seed + i)
                for i in range(len(rgb) * self.ensemble)
            ],
            output_type="pt",
        )
        return output.prediction.float()
