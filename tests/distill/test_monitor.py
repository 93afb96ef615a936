"""The detector of collapses: what ends a training and what does not."""

import math

import pytest

from dad.distill.monitor import CollapseDetector
from dad.errors import CollapseError


def row(step, *, loss=1.0, gradient=1.0, zeros=0.0):
    return {"step": step, "loss": loss, "gradient_norm": gradient, "output_zeros": zeros}


def test_a_gradient_that_is_not_finite_is_a_collapse():
    with pytest.raises(CollapseError, match="step 3: loss or gradient is not finite") as caught:
        CollapseDetector()([row(2), row(3, gradient=math.inf)])
    assert caught.value.step == 3


def test_steps_that_the_scaler_leaves_out_are_none():
    """float16's scale begins at 65536 and halves: sixteen steps in a row at the most before it is 1."""
    detector = CollapseDetector(scaled=True)
    detector([row(step, gradient=math.inf) for step in range(16)])
    detector([row(16), *(row(17 + step, gradient=math.nan) for step in range(19))])
    with pytest.raises(CollapseError, match="step 36"):
        detector([row(36, gradient=math.inf)])


def test_a_loss_that_is_not_finite_is_one_in_any_precision():
    with pytest.raises(CollapseError, match="step 0"):
        CollapseDetector(scaled=True)([row(0, loss=math.nan)])


def test_an_output_of_zeros_is_one_when_it_stays():
    detector = CollapseDetector()
    detector([row(step, zeros=1.0) for step in range(19)] + [row(19)])
    with pytest.raises(CollapseError, match="step 39") as caught:
        detector([row(20 + step, zeros=1.0) for step in range(20)])
    assert caught.value.step == 20
