"""Our models and benchmarks inside plumbline (`plumbline-bench`), a harness by others: an independent check of this
evaluator.

plumbline imports this module by the entry point `plumbline.adapters`, so that `plumbline list-models` knows `dad`. Its
commands take a model's name and nothing else: which of ours is meant is the environment variable DAD_MODEL (whatever
`dad.load` takes). docs/protocols.md shows the commands and which of plumbline's alignments is which protocol.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plumbline.datasets.base import Dataset, Sample
from plumbline.datasets.registry import register_dataset
from plumbline.models.base import Model, ModelCapabilities, Prediction, config_digest
from plumbline.models.registry import register_model

from dad.errors import UserError

SMALLEST = 1e-8
"""The disparity that a map's zero and negative values become before the inversion: plumbline's own EPS."""


@register_model("dad")
class DadModel(Model):
    """Any model of ours; relative, one image at a time."""

    version = "1"
    capabilities = ModelCapabilities(tasks=frozenset({"mono_depth"}), is_metric=False, max_views=1)

    def __init__(self, device: str = "cpu", model: str | None = None) -> None:
        """model: what `dad.load` takes; without it the environment variable DAD_MODEL says it."""
        given = model or os.environ.get("DAD_MODEL")
        if not given:
            raise UserError("DAD_MODEL is not set: give the model in it, e.g. DAD_MODEL=zoo/vit-large")
        self.model, self.device = given, device
        self._estimator: Any = None

    def predict(self, images: NDArray[np.uint8], intrinsics: NDArray[np.float32] | None = None) -> Prediction:
        """Depth (N,H,W) of images (N,H,W,3): a disparity is inverted, relative depth that is not positive is NaN."""
        if self._estimator is None:
            from dad.models import load

            self._estimator = load(self.model, device=self.device)
        maps = np.stack([self._estimator(image) for image in images])
        if self._estimator.kind == "disparity":
            depth = 1.0 / np.maximum(maps, np.float32(SMALLEST))
        else:
            depth = np.where(maps > 0, maps, np.nan)
        return Prediction(
            depth=depth.astype(np.float32), metadata={"model": self.model, "native_space": self._estimator.kind}
        )

    def config_hash(self) -> str:
        """Stands for the weights' contents, so that plumbline's cache does not take one model's maps for another's."""
        from dad.models.checkpoints import weights_identity

        return config_digest(f"dad@{self.version}/{self.model}/{weights_identity(self.model)}")


@register_dataset("dad")
class DadBenchmark(Dataset):
    """A labelled set of ours: `--dataset dad --data-root ROOT --dataset-kwargs benchmark=scenes-indoor`."""

    def __init__(self, root: Path, benchmark: str = "scenes-indoor", split: str = "test") -> None:
        from dad.data.benchmarks import open_benchmark

        self._benchmark = open_benchmark(benchmark, Path(root))
        self.name, self.split = f"dad-{benchmark}", split

    def __len__(self) -> int:
        return len(self._benchmark)

    def __iter__(self) -> Iterator[Sample]:
        for index in range(len(self)):
            sample = self._benchmark[index]
            height, width = sample.depth.shape
            # plumbline asks for a camera, which no metric of depth looks at
            camera = np.array(
                [[max(height, width), 0, width / 2], [0, max(height, width), height / 2], [0, 0, 1]], np.float32
            )
            yield Sample(
                sample_id=sample.id,
                images=sample.rgb[None],
                intrinsics=camera[None],
                extrinsics_gt=np.eye(4, dtype=np.float32)[None],
                depth_gt=sample.depth[None],
                depth_valid=sample.usable[None],
            )
