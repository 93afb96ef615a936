"""ONNX in 8 bits: weights and activations as integers, and what that costs in accuracy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dad.files import scratch_folder
from dad.models.config import MidasLargeConfig, MidasSmallConfig, NetworkConfig

SCENES = 6
"""Rendered scenes of each kind that accuracy is measured on before and after."""
SCENE_SEED = 700_000
"""Scenes that nothing else uses: studies and the zoo have other seeds."""


def quantise(plain: Path, out: Path, config: NetworkConfig, inputs: Sequence[NDArray[np.float32]]) -> str:
    """Write the 8-bit form of the graph `plain`; returns in words what was done.

    Transformers: the matrix products, with ranges of activations taken anew for every input (dynamic). Convolutional
    networks: the convolutions, with ranges that the normalised `inputs` (1,3,h,w) calibrate (static).
    """
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with scratch_folder() as folder:
        prepared = folder / "prepared.onnx"
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        if not isinstance(config, MidasSmallConfig | MidasLargeConfig):
            q.quantize_dynamic(
                str(prepared),
                str(out),
                weight_type=q.QuantType.QInt8,
                per_channel=True,
                op_types_to_quantize=["MatMul", "Gemm"],
            )
            return "dynamic quantisation of the matrix products, a scale for every channel"
        q.quantize_static(
            str(prepared),
            str(out),
            _Inputs(inputs),
            quant_format=q.QuantFormat.QDQ,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Conv"],
        )
    return (
        f"static quantisation of the convolutions, a scale for every channel, calibrated on the {len(inputs)} pictures "
        "above"
    )


class _Inputs:
    """What onnxruntime calls a calibration data reader."""

    def __init__(self, inputs: Sequence[NDArray[np.float32]]) -> None:
        self.rest = iter(inputs)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, or None."""
        following = next(self.rest, None)
        return None if following is None else {"image": following}


def accuracy(estimators: Mapping[str, Any]) -> dict[str, Any]:
    """How estimators score on the same rendered scenes: protocol, images, and for every name mean AbsRel and delta1."""
    from dad.data.scenes.render import render_scene
    from dad.evaluation import score
    from dad.evaluation.datasets import dataset_rules

    scenes = [
        (dataset_rules(f"scenes-{kind}"), render_scene(kind, SCENE_SEED + index, height=144, width=192))
        for kind in ("indoor", "outdoor", "driving")
        for index in range(SCENES)
    ]
    means = {}
    for name, estimator in estimators.items():
        found = [
            score(
                estimator(scene.rgb),
                scene.depth,
                (scene.depth > rules.min_depth) & (scene.depth < rules.max_depth),
                kind=estimator.kind,
                dataset=rules,
            )
            for rules, scene in scenes
        ]
        means[name] = {key: float(np.mean([one[key] for one in found])) for key in ("abs_rel", "delta1")}
    return {"protocol": "marigold", "images": len(scenes), "what": "rendered scenes", "means": means}
