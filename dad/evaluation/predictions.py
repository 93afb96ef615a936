"""Where the predictions of a benchmark come from: a folder of maps, or an estimator."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from dad.data.photos import reason_of
from dad.errors import UserError

if TYPE_CHECKING:
    from dad.data.benchmarks.base import Sample

KINDS = ("depth", "disparity")


class PredictionFolder:
    """Predictions on disk: ROOT/<path of the RGB file with the suffix .npy>, float32 (H,W) at the ground truth's size.

    The names that prs-eth/Marigold's inference gives are read as well: `pred_` before the file's name, or in the place
    of `rgb_`; and so are the RGB file's paths in the other layouts of the benchmark (`Sample.aliases`).
    """

    def __init__(self, root: Path, kind: str) -> None:
        if kind not in KINDS:
            raise UserError(f"the kind of the predictions is {kind!r}; it must be {' or '.join(KINDS)}")
        if not root.is_dir():
            raise UserError(f"the folder of predictions {root} does not exist")
        self.root, self.kind, self.name = root, kind, root.name

    def predict(self, sample: "Sample") -> np.ndarray:
        """The stored map of one sample; a UserError names the image and the file if it cannot be used."""
        paths = list(self._paths(sample))
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise UserError(f"image {sample.id}: there is no prediction {paths[0]}")
        try:
            return np.load(path, allow_pickle=False)
        except Exception as error:  # numpy raises many kinds of errors for damaged files
            raise UserError(f"image {sample.id}: {path} is not a readable .npy file ({reason_of(error)})") from None

    def _paths(self, sample: "Sample") -> Iterator[Path]:
        """Where the prediction can be, the documented place first."""
        for image in (sample.id, *sample.aliases):
            name = PurePosixPath(image).with_suffix(".npy")
            yield self.root / name
            yield self.root / name.with_name(f"pred_{name.name}")
            if name.name.startswith("rgb_"):
                yield self.root / name.with_name(f"pred_{name.name.removeprefix('rgb_')}")


class EstimatorPredictions:
    """Predictions made on the way by an estimator: RGB (1,3,H,W) in [0,1] to a map (1,1,H,W)."""

    def __init__(self, estimator: Any) -> None:
        if estimator.kind not in KINDS:
            raise UserError(
                f"estimator {estimator.name} is of kind {estimator.kind!r}; it must be {' or '.join(KINDS)}"
            )
        self.estimator, self.kind, self.name = estimator, estimator.kind, estimator.name

    def predict(self, sample: "Sample") -> np.ndarray:
        """Run the estimator on one sample. The result is (H,W) if the estimator keeps the size of its input."""
        import torch

        rgb = torch.from_numpy(np.ascontiguousarray(sample.rgb)).permute(2, 0, 1)[None].float() / 255.0
        with torch.inference_mode():
            prediction = self.estimator(rgb)
        if prediction.ndim != 4 or prediction.shape[:2] != (1, 1):
            raise UserError(f"image {sample.id}: estimator {self.name} gave {tuple(prediction.shape)}, not (1,1,H,W)")
        return prediction[0, 0].float().cpu().numpy()
