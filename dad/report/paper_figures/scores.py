"""The numbers behind figures: per-image scores of methods as matrices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.report.statistics import Values
from dad.study.cells import dataset_group
from dad.study.config import StudyConfig
from dad.study.figures import Method


def method_values(study: StudyConfig, root: Path, method: Method, dataset: str, metrics: Sequence[str]) -> dict[str, Values]:
    """Metric -> (seeds, images) of a method on a data set under the study's first protocol, seeds in the study's order.

    Images are sorted by name; those without a scored pixel are left out. Raises UserError where a file is missing, does not hold
    the data set, or was scored on other images than the method's other seeds.
    """
    group = dataset_group(study, dataset)
    frames = [
        _read(root / "scores" / group / f"{subject}.csv", dataset, study.protocols[0], metrics) for subject in method.subjects
    ]
    for frame, subject in zip(frames, method.subjects, strict=True):
        if not frame.index.equals(frames[0].index):
            raise UserError(
                f"{subject} was not scored on the same images of {dataset} as {method.subjects[0]}; evaluate both again"
            )
    return {metric: np.stack([frame[metric].to_numpy(np.float64) for frame in frames]) for metric in metrics}


def _read(path: Path, dataset: str, protocol: str, metrics: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"there are no scores {path}; evaluate {path.stem} first")
    try:
        frame = pd.read_csv(path, usecols=["dataset", "protocol", "image", "n", *metrics], float_precision="round_trip")
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a table of scores: {' '.join(str(error).split())}") from None
    name = load_protocol(protocol).id
    frame = frame[(frame["dataset"] == dataset) & (frame["protocol"] == name) & (frame["n"] > 0)]
    frame = frame.dropna(subset=list(metrics))
    if frame.empty:
        raise UserError(f"{path} has no scores on {dataset} under {name}; evaluate {path.stem} again")
    return frame.set_index("image").sort_index()
