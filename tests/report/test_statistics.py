import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dad.report.statistics import (
    bootstrap_average,
    bootstrap_mean,
    compare,
    holm,
    paired_difference,
    table_statistics,
    value_matrix,
)


def test_one_seed_agrees_with_the_normal_interval_on_normal_data():
    values = np.random.default_rng(1).normal(0.2, 0.05, (1, 400))
    interval = bootstrap_mean(values)
    half = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_interval_of_skewed_scores_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    truth = np.exp(0.4**2 / 2)
    covered = 0
    for seed in range(300):
        interval = bootstrap_mean(rng.lognormal(0, 0.4, (1, 40)), seed=seed, resamples=499)
        covered += interval.low <= truth <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_several_seeds_resample_seeds_and_images_independently():
    # additive effects without interaction: the variance of the crossed bootstrap is the sum of the two, in closed form
    rng = np.random.default_rng(3)
    image, seed = rng.normal(0, 1, 60), rng.normal(0, 0.5, 14)
    interval = bootstrap_mean(seed[:, None] + image[None, :])
    deviation = np.sqrt(image.var() / 60 + seed.var() / 14)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * deviation, rel=0.05)


def test_more_seeds_do_not_average_the_images_difficulty_away():
    image = np.random.default_rng(4).lognormal(-2, 0.5, 50)
    one, three = bootstrap_mean(image[None, :]), bootstrap_mean(np.repeat(image[None, :], 3, axis=0))
    assert three.mean == pytest.approx(one.mean)
    assert three.high - three.low == pytest.approx(one.high - one.low, rel=0.1)


def test_seeds_that_differ_widen_the_interval():
    image = np.random.default_rng(5).normal(0.2, 0.01, 100)
    alike = bootstrap_mean(np.stack([image, image, image]))
    apart = bootstrap_mean(np.stack([image - 0.05, image, image + 0.05]))
    assert apart.high - apart.low > 5 * (alike.high - alike.low)


def test_cases_without_a_spread():
    assert np.isnan(bootstrap_mean(np.array([[0.3]])).low)
    constant = bootstrap_mean(np.full((2, 5), 0.25))
    assert (constant.mean, constant.low, constant.high) == (0.25, 0.25, 0.25)
    unknown = bootstrap_mean(np.array([[0.1, np.nan, 0.2]]))
    assert np.isnan([unknown.mean, unknown.low, unknown.high]).all()
    assert bootstrap_mean(np.array([[0.1, np.inf, 0.2]])).mean == np.inf


def test_a_bootstrap_is_a_function_of_its_seed():
    values = np.random.default_rng(6).random((2, 30))
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_paired_difference_in_closed_form():
    reference = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    larger = paired_difference(reference * 1.1, reference)
    assert larger.interval.mean == pytest.approx(0.035)
    assert larger.p == pytest.approx(2 / 2**6)  # the most extreme of 64 sign patterns, two-sided
    assert larger.effect == 1.0
    # ranks 1, 2, 3 with signs +, -, +: (1 + 3 - 2) / 6
    mixed = paired_difference(np.array([[1.0, 2.0, 6.0]]), np.array([[0.0, 4.0, 3.0]]))
    assert mixed.effect == pytest.approx(1 / 3)
    same = paired_difference(reference, reference)
    assert (same.interval.mean, same.interval.low, same.interval.high, same.p, same.effect) == (0, 0, 0, 1.0, 0.0)


def test_pairing_finds_what_separate_intervals_do_not():
    rng = np.random.default_rng(7)
    difficulty = rng.lognormal(-2, 0.6, (1, 60))
    better, worse = difficulty, difficulty * 1.03 * rng.lognormal(0, 0.01, (1, 60))
    assert bootstrap_mean(worse).low < bootstrap_mean(better).high
    difference = paired_difference(worse, better)
    assert difference.interval.low > 0
    assert difference.p < 1e-6


def test_paired_values_must_have_the_same_shape():
    with pytest.raises(ValueError, match="different shapes"):
        paired_difference(np.zeros((1, 3)), np.zeros((1, 4)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_differences_are_antisymmetric(seed, seeds):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, seeds, 12))
    forward, back = (paired_difference(*pair, resamples=99) for pair in ((first, second), (second, first)))
    assert forward.interval.mean == pytest.approx(-back.interval.mean)
    assert forward.effect == pytest.approx(-back.effect)
    assert forward.p == pytest.approx(back.p)


def test_wilcoxon_is_over_the_mean_of_the_seeds():
    rng = np.random.default_rng(8)
    first, second = rng.random((2, 3, 20))
    expected = stats.wilcoxon(first.mean(0), second.mean(0)).pvalue
    assert paired_difference(first, second, resamples=99).p == pytest.approx(expected)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02, np.nan, 0.03])[[0, 2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(holm([0.02, np.nan, 0.03])[1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values) - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(p_values) * np.array(p_values)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= -1e-12).all()


def tidy(values):
    """{row: {dataset: (seeds, images)}} with abs_rel as given and delta1 = 1 - abs_rel."""
    lines = [
        {"row": row, "seed": seed, "dataset": dataset, "image": f"{image}", "abs_rel": value, "delta1": 1 - value}
        for row, datasets in values.items()
        for dataset, matrix in datasets.items()
        for seed, per_image in enumerate(matrix)
        for image, value in enumerate(per_image)
    ]
    return pd.DataFrame(lines)


def test_table_statistics_by_hand():
    scores = tidy({"b": {"x": [[0.3, 0.5], [0.1, 0.3]]}, "a": {"x": [[0.2, 0.2], [0.2, 0.2]]}})
    # pairs are found by image and seed, not by the order of the lines
    shuffled = pd.concat([scores.iloc[:1], scores.iloc[1:].sample(frac=1, random_state=1)])
    for frame in (scores, shuffled):
        table = table_statistics(frame, {"abs_rel": "lower", "delta1": "higher"}).set_index(["row", "metric"])
        assert table.loc[("b", "abs_rel"), "mean"] == pytest.approx(0.3)
        assert table.loc[("b", "abs_rel"), "difference_to_best"] == pytest.approx(0.1)
        assert table.loc[("b", "delta1"), "difference_to_best"] == pytest.approx(-0.1)
        assert table.loc[("a", "abs_rel"), "difference_to_best"] == 0
        assert np.isnan(table.loc[("a", "abs_rel"), "diff_low"])
        assert table.loc[("b", "abs_rel"), ["n", "seeds"]].tolist() == [2, 2]
    assert list(dict.fromkeys(table_statistics(scores, {"abs_rel": "lower"})["row"])) == ["b", "a"]


def test_a_row_without_a_number_is_neither_best_nor_hidden():
    scores = tidy({"broken": {"x": [[0.1, np.nan, 0.1]]}, "whole": {"x": [[0.5, 0.6, 0.7]]}})
    table = table_statistics(scores, {"abs_rel": "lower"}).set_index("row")
    assert np.isnan(table.loc["broken", "mean"])
    assert np.isnan(table.loc["broken", "difference_to_best"])
    assert table.loc["whole", "difference_to_best"] == 0


def test_matrices_and_factors():
    scores = tidy({"a": {"x": [[0.1, 0.2, 0.3]]}, "b": {"x": [[0.3, 0.2, 0.4]]}})
    assert value_matrix(scores, "b", "x", "abs_rel").tolist() == [[0.3, 0.2, 0.4]]
    assert compare(scores, "b", "a", ["x"], "abs_rel", factor=1.5).interval.mean == pytest.approx(0.3 - 1.5 * 0.2)


def test_an_estimator_without_seeds_is_paired_with_every_seed():
    rng = np.random.default_rng(9)
    students, estimator = rng.random((3, 30)), rng.random((1, 30))
    found = paired_difference(students, estimator)
    repeated = paired_difference(students, np.repeat(estimator, 3, axis=0))
    assert found == repeated
    assert found.interval.mean == pytest.approx(students.mean() - estimator.mean())
    assert found.p == pytest.approx(stats.wilcoxon(students.mean(0), estimator[0]).pvalue)
    back = paired_difference(estimator, students)
    assert back.interval.mean == pytest.approx(-found.interval.mean)
    with pytest.raises(ValueError, match="different shapes"):
        paired_difference(rng.random((2, 30)), students)


def test_an_average_weighs_data_sets_the_same_and_resamples_images_within_each():
    rng = np.random.default_rng(10)
    parts = [rng.normal(0.2, 0.05, (1, 300)), rng.normal(0.6, 0.2, (1, 100))]
    interval = bootstrap_average(parts)
    assert interval.mean == pytest.approx((parts[0].mean() + parts[1].mean()) / 2)
    # stratified: the variances of the two means add up, and the distance between the data sets does not count
    deviation = np.sqrt(sum(values.var() / values.shape[1] for values in parts)) / 2
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * deviation, rel=0.06)
    assert bootstrap_average(parts[:1]) == bootstrap_mean(parts[0])


def test_a_seed_brings_its_scores_on_every_data_set():
    # a seed's effect is the same on both data sets: it must not average out over them
    seed = np.random.default_rng(11).normal(0, 0.5, 14)
    parts = [np.repeat(seed[:, None], 40, axis=1), np.repeat(seed[:, None], 40, axis=1)]
    both, one = bootstrap_average(parts), bootstrap_mean(parts[0])
    assert both.high - both.low == pytest.approx(one.high - one.low, rel=0.05)
    with pytest.raises(ValueError, match="different numbers of seeds"):
        bootstrap_average([np.zeros((2, 5)), np.zeros((3, 5))])


def test_differences_to_a_reference_are_a_family_of_their_own():
    rng = np.random.default_rng(12)
    base = rng.random((1, 25))
    scores = tidy({"base": {"x": base}, "ours": {"x": base - 0.05 * rng.random((1, 25))}, "other": {"x": rng.random((1, 25))}})
    table = table_statistics(scores, {"abs_rel": "lower"}, references={"ours": "base", "other": "base"}).set_index("row")
    values = {row: value_matrix(scores, row, "x", "abs_rel")[0] for row in ("base", "ours", "other")}
    raw = [stats.wilcoxon(values[row], values["base"]).pvalue for row in ("ours", "other")]
    assert table.loc[["ours", "other"], "ref_p_holm"].tolist() == pytest.approx(holm(raw).tolist())
    assert table.loc["ours", "ref_difference"] == pytest.approx((values["ours"] - values["base"]).mean())
    assert table.loc["ours", "ref_effect"] == -1
    assert table["reference"].to_dict() == {"base": "", "ours": "base", "other": "base"}
    assert np.isnan(table.loc["base", "ref_difference"])


def test_an_averaged_column_pools_the_images_and_averages_the_means():
    scores = tidy({"a": {"x": [[0.1, 0.3]], "y": [[0.6, 0.6, 0.6]]}, "b": {"x": [[0.2, 0.4]], "y": [[0.5, 0.7, 0.9]]}})
    table = table_statistics(scores, {"abs_rel": "lower"}, columns={"average": ("x", "y"), "x": ("x",)}).set_index(
        ["row", "dataset"]
    )
    assert table.loc[("a", "average"), "mean"] == pytest.approx(0.4)
    assert table.loc[("b", "average"), "difference_to_best"] == pytest.approx(0.1)
    assert table.loc[("a", "average"), ["n", "seeds"]].tolist() == [5, 1]
    assert table.loc[("a", "x"), "mean"] == pytest.approx(0.2)
