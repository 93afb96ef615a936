"""What a scorer has to know about a data set: its depth range, where it is fitted, which crop its masks carry.

A benchmark reader delivers masks that already have the range and the crop applied. The scorer uses the range only to
clip aligned predictions, and `align_max_res` only to thin out the pixels of the fit; it never touches the mask for
them.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from dad.data.kinds import kind_of
from dad.errors import UserError

Crop = Literal["eigen", "garg"]


@dataclasses.dataclass(frozen=True)
class DatasetRules:
    """Depth range in metres (`max_depth` may be inf), the fit's resolution limit in pixels, the crop of the masks.

    `crop` is applied by the benchmark reader; it is stated here because the published numbers depend on it:
    NYUv2 "eigen" is rows 45:471, columns 41:601 of 480x640; KITTI "eigen" and "garg" are fractions of the 352x1216
    frame.
    """

    name: str
    min_depth: float
    max_depth: float
    align_max_res: int | None = None
    crop: Crop | None = None

    @property
    def kind(self) -> str:
        """What rules per data set go by: the same for `scenes-indoor` and `scenes-indoor-b`."""
        return kind_of(self.name)

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_depth < self.max_depth:
            raise UserError(
                f"data set {self.name!r}: the depth range {self.min_depth}..{self.max_depth} m is empty; "
                "0 <= min_depth < max_depth is needed"
            )
        if self.align_max_res is not None and self.align_max_res < 1:
            raise UserError(
                f"data set {self.name!r}: align_max_res is {self.align_max_res}; a positive number is needed"
            )


# prs-eth/Marigold config/dataset_depth/*.yaml and script/depth/eval.py for the five benchmarks, ours for the others
DATASETS: Mapping[str, DatasetRules] = {
    rules.name: rules
    for rules in (
        DatasetRules("nyuv2", 1e-3, 10.0, crop="eigen"),
        DatasetRules("kitti", 1e-5, 80.0, crop="eigen"),
        DatasetRules("eth3d", 1e-5, math.inf, align_max_res=1024),
        DatasetRules("scannet", 1e-3, 10.0),
        DatasetRules("diode", 0.6, 350.0),
        DatasetRules("scenes-indoor", 1e-3, 10.0),
        DatasetRules("scenes-outdoor", 1e-3, 80.0),
        DatasetRules("scenes-driving", 1e-3, 80.0),
        DatasetRules("samples", 1e-3, math.inf),
    )
}

UNLIMITED = DatasetRules("", 0.0, math.inf)


def dataset_rules(dataset: Any) -> DatasetRules:
    """Resolve what `score` accepts as a data set.

    A name of `DATASETS`, with a suffix where there are several sets of a kind; a `DatasetRules`; a mapping with the
    same keys (`name` may be left out); any object with `name`, `min_depth`, `max_depth` and `align_max_res`, such as a
    benchmark; or None, which limits nothing.
    """
    if dataset is None:
        return UNLIMITED
    if isinstance(dataset, DatasetRules):
        return dataset
    if isinstance(dataset, str):
        if kind_of(dataset) not in DATASETS:
            raise UserError(f"unknown data set {dataset!r}; known are {', '.join(DATASETS)}")
        return dataclasses.replace(DATASETS[kind_of(dataset)], name=dataset)
    try:
        if isinstance(dataset, Mapping):
            return DatasetRules(**{"name": "", **dataset})
        return DatasetRules(dataset.name, dataset.min_depth, dataset.max_depth, dataset.align_max_res)
    except (TypeError, AttributeError) as error:
        raise UserError(f"not a description of a data set: {error}") from None
