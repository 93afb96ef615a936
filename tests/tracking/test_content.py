import csv
import math

import pytest

from dad.files import read_json
from dad.tracking.content import CURVE_POINTS, is_shown, row_points, score_points
from dad.tracking.store import metric_key


def test_points_leave_out_what_mlflow_can_not_hold():
    row = {"step": "3", "loss": "0.5", "loss_shared": "", "gradient_norm": "inf", "rate": "nan"}
    assert row_points(row) == {("loss", 3): 0.5}


@pytest.mark.parametrize("steps", [1, 7, CURVE_POINTS, CURVE_POINTS + 1, 20_000])
def test_long_curves_are_thinned_and_keep_their_ends(steps):
    shown = [step for step in range(steps) if is_shown(step, steps)]
    assert {0, steps - 1} <= set(shown)
    assert len(shown) == steps if steps <= CURVE_POINTS else CURVE_POINTS / 2 <= len(shown) <= CURVE_POINTS + 1


def test_scores_under_two_variants_of_a_protocol_keep_apart():
    results = [
        {"dataset": "d", "protocol": "marigold@1", "mean": {"abs_rel": 0.1, "rmse": math.nan}},
        {"dataset": "d", "protocol": "marigold@1+floor=0.5", "mean": {"abs_rel": 0.2}},
        {"dataset": "e", "protocol": "marigold@1", "mean": {"abs_rel": 0.3}},
    ]
    expected = {"abs_rel/d marigold-1": 0.1, "abs_rel/d marigold-1-floor-0.5": 0.2, "abs_rel/e marigold": 0.3}
    assert score_points(results) == expected


def test_metric_keys_are_those_mlflow_accepts():
    from mlflow.utils.validation import _validate_metric_name

    for text in ("a@b+c=d", "x" * 300, "abs_rel/scenes-indoor marigold"):
        _validate_metric_name(metric_key(text))
    assert metric_key("abs_rel/scenes-indoor marigold") == "abs_rel/scenes-indoor marigold"


def test_fixture_writes_what_training_writes(kit, results):
    """The step log of the fixture goes through CSV text and comes back exactly."""
    with open(results / "mini" / "runs" / kit.NAMES[0] / "metrics.csv", newline="") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [value for _, value in kit.curve(kit.NAMES[0])]
    assert read_json(results / "mini" / "runs" / kit.NAMES[0] / "config.json")["mode"] == "shared"
