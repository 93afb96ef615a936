"""`score`: one prediction against one ground truth under a protocol. numpy only."""

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from dad.evaluation import metrics
from dad.evaluation.fitting import Fitted, fit_image
from dad.evaluation.protocol import Protocol


def score(
    prediction: ArrayLike,
    depth: ArrayLike,
    mask: ArrayLike,
    *,
    kind: str,
    protocol: str | Path | Protocol = "marigold",
    dataset: Any = None,
    strict: bool = False,
    image: str = "",
) -> dict[str, float]:
    """Align one prediction with its ground truth and measure it, as a protocol says.

    prediction: (H,W), any scale and shift, of kind "disparity" (larger = nearer) or "depth".
    depth: (H,W) metres. mask: (H,W) bool, the scored pixels; ranges and crops are already in it.
    protocol: a name, the path of a YAML file, or a loaded `Protocol`.
    dataset: the range that aligned predictions are clipped to and the fit's resolution limit, see
        `dad.evaluation.datasets.dataset_rules`; None clips nothing.
    strict: where a prediction is NaN or infinite inside the mask, behave as the protocol's upstream evaluator;
        without it such a prediction is refused.
    image: the image's name, for messages.

    Returns floats: the metrics of `dad.evaluation.metrics.measure` (delta as fractions, silog in percent), `scale`
    and `shift` of the fit (1 and 0 where the protocol does not align) and `n`, the number of scored pixels. With no
    scored pixel all metrics are NaN; so they are, with n = 0, where there are fewer pixels than the fit has unknowns
    (not strict).

    Raises UserError on wrong shapes or types, on values that are not finite and truth that is not positive inside the
    mask (not strict), on a kind that the protocol has no rules for; numpy.linalg.LinAlgError in strict mode where
    upstream's solver fails.
    """
    fitted = fit_image(
        prediction, depth, mask, kind=kind, protocol=protocol, dataset=dataset, strict=strict, image=image
    )
    return score_fitted(fitted)


def score_fitted(fitted: Fitted) -> dict[str, float]:
    """What `score` returns, for a prediction that was fitted already."""
    found = score_with_bias(fitted)
    return {name: value for name, value in found.items() if name != "log_bias"}


def score_with_bias(fitted: Fitted) -> dict[str, float]:
    """What `score` returns, and `log_bias`, the mean of ln(prediction / truth)."""
    offset = fitted.rules.abs_rel_offset
    measured = metrics.measure_with_bias(fitted.pixels, fitted.truth, fitted.transform, abs_rel_offset=offset)
    return {**measured, "scale": fitted.fit.scale, "shift": fitted.fit.shift, "n": float(fitted.truth.size)}
