import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dad.analysis.estimates import average_of, design, mean_of


def crossed(rng, seeds, images, *, seed=1.0, image=1.0, rest=1.0, mean=0.0):
    """Scores of the two-way random model with these standard deviations."""
    return (
        mean
        + rng.normal(0, seed, (seeds, 1))
        + rng.normal(0, image, (1, images))
        + rng.normal(0, rest, (seeds, images))
    )


def test_one_seed_is_students_interval_over_images():
    values = np.random.default_rng(1).normal(0.2, 0.05, (1, 40))
    estimate = mean_of(values)
    expected = stats.ttest_1samp(values[0], 0.0)
    low, high = expected.confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert estimate.p == pytest.approx(expected.pvalue)


def test_identical_images_leave_students_interval_over_seeds():
    seeds = np.random.default_rng(2).normal(0.2, 0.05, 5)
    estimate = mean_of(np.repeat(seeds[:, None], 30, axis=1))
    low, high = stats.ttest_1samp(seeds, 0.0).confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((low, high))


def test_variance_components_are_those_of_a_mixed_model():
    # balanced data with positive components: analysis of variance and REML estimate the same (Searle et al. 1992, 4.8)
    values = crossed(np.random.default_rng(3), 6, 40, seed=0.5, image=1.0, rest=0.3)
    seeds, images = values.shape
    long = pd.DataFrame(
        {
            "y": values.ravel(),
            "seed": np.repeat(np.arange(seeds), images),
            "image": np.tile(np.arange(images), seeds),
            "all": 1,
        }
    )
    model = sm.MixedLM.from_formula(
        "y ~ 1", groups="all", vc_formula={"s": "0 + C(seed)", "i": "0 + C(image)"}, data=long
    )
    fit = model.fit(reml=True)
    component = dict(zip(model.exog_vc.names, fit.vcomp, strict=True))
    estimate = mean_of(values)
    assert estimate.seed == pytest.approx(component["s"], rel=1e-3)
    assert estimate.image * images == pytest.approx(component["i"], rel=1e-3)
    assert estimate.rest * images == pytest.approx(fit.scale, rel=1e-3)
    assert estimate.error == pytest.approx(float(fit.bse_fe.iloc[0]), rel=1e-3)


@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("rest", [0.3, 1.0])
def test_intervals_keep_their_level_whatever_the_ratio_of_the_variances(seeds, ratio, rest):
    # ratio: the seeds' part of the mean's variance over the images'
    rng, images, trials = np.random.default_rng(4), 60, 2000
    covered = 0
    for _ in range(trials):
        interval = mean_of(crossed(rng, seeds, images, seed=np.sqrt(ratio * seeds / images), rest=rest)).interval()
        covered += interval.low <= 0 <= interval.high
    error = np.sqrt(0.95 * 0.05 / trials)  # half a per cent, of the count itself
    assert 0.93 - error <= covered / trials <= 0.97 + error


def test_intervals_of_skewed_scores_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    truth, covered = np.exp(0.4**2 / 2), 0
    for _ in range(1000):
        interval = mean_of(rng.lognormal(0, 0.4, (1, 60)))
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 1000 <= 0.97


def test_an_average_over_data_sets_keeps_its_level():
    rng, covered = np.random.default_rng(6), 0
    for _ in range(2000):
        seeds = rng.normal(0, 0.2, (3, 1))  # one training, scored on both
        sets = ((1, 40), (2, 60))
        parts = [
            seeds + rng.normal(0, spread, (1, images)) + rng.normal(0, 0.2, (3, images)) for spread, images in sets
        ]
        interval = average_of(parts)
        covered += interval.low <= 0 <= interval.high
    # a little wide where seeds and images have like parts, as Cochran says of his approximation
    assert 0.93 <= covered / 2000 <= 0.98


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(-1, 1))
def test_zero_lies_outside_the_interval_exactly_where_p_is_small(seed, seeds, mean):
    estimate = mean_of(crossed(np.random.default_rng(seed), seeds, 12, mean=mean))
    assert (estimate.p < 0.05) == (not estimate.low <= 0 <= estimate.high)
    assert estimate.p == pytest.approx(2 * min(estimate.above(0), 1 - estimate.above(0)))


def test_more_seeds_do_not_average_the_images_difficulty_away():
    image = np.random.default_rng(8).lognormal(-2, 0.5, 50)
    one, three = mean_of(image[None, :]), mean_of(np.repeat(image[None, :], 3, axis=0))
    assert (three.mean, three.low, three.high) == pytest.approx((one.mean, one.low, one.high))


def test_cases_without_a_spread():
    assert np.isnan(mean_of(np.array([[0.3]])).low)
    constant = mean_of(np.full((2, 5), 0.25))
    assert (constant.mean, constant.low, constant.high) == (0.25, 0.25, 0.25)
    unknown = mean_of(np.array([[0.1, np.nan, 0.2]]))
    assert np.isnan([unknown.mean, unknown.low, unknown.high, unknown.p]).all()
    assert mean_of(np.array([[0.1, np.inf, 0.2]])).mean == np.inf


def test_what_is_said_to_be_visible_is_found_as_often_as_said():
    rng, found, trials = np.random.default_rng(10), 0, 1500
    visible = np.median([mean_of(crossed(rng, 5, 60, seed=0.1, rest=0.3)).visible for _ in range(300)])
    for _ in range(trials):
        found += mean_of(crossed(rng, 5, 60, seed=0.1, rest=0.3, mean=visible)).low > 0
    assert found / trials == pytest.approx(0.8, abs=0.06)


def test_a_proposed_design_finds_the_difference():
    rng = np.random.default_rng(11)
    pilot = mean_of(crossed(rng, 3, 60, seed=0.3, image=0.2, rest=0.2, mean=0.2))
    proposed = design(pilot, 0.25)
    assert proposed is not None and proposed.seeds > 3
    images = round(60 * proposed.images)
    spread = {"seed": np.sqrt(pilot.seed), "image": np.sqrt(pilot.image * 60), "rest": np.sqrt(pilot.rest * 60)}
    found = sum(mean_of(crossed(rng, proposed.seeds, images, mean=0.25, **spread)).low > 0 for _ in range(600))
    assert found / 600 >= 0.74


def test_no_design_is_proposed_for_no_difference():
    pilot = mean_of(crossed(np.random.default_rng(12), 3, 60))
    assert design(pilot, 0.0) is None
    assert design(pilot, 1e-9) is None
    assert design(mean_of(np.array([[0.3]])), 0.1) is None


def test_an_average_weighs_data_sets_the_same():
    rng = np.random.default_rng(10)
    parts = [rng.normal(0.2, 0.05, (1, 300)), rng.normal(0.6, 0.2, (1, 100))]
    interval = average_of(parts)
    assert interval.mean == pytest.approx((parts[0].mean() + parts[1].mean()) / 2)
    # stratified: the variances of the two means add up, and the distance between the data sets does not count
    deviation = np.sqrt(sum(values.var() / values.shape[1] for values in parts)) / 2
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * deviation, rel=0.06)
    assert average_of(parts[:1]) == mean_of(parts[0])


def test_a_seed_brings_its_scores_on_every_data_set():
    # a seed's effect is the same on both data sets: it must not average out over them
    seed = np.random.default_rng(11).normal(0, 0.5, 14)
    parts = [np.repeat(seed[:, None], 40, axis=1), np.repeat(seed[:, None], 40, axis=1)]
    both, one = average_of(parts), mean_of(parts[0])
    assert both.high - both.low == pytest.approx(one.high - one.low, rel=0.05)
    with pytest.raises(ValueError, match="different numbers of seeds"):
        average_of([np.zeros((2, 5)), np.zeros((3, 5))])
