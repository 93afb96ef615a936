from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dad.analysis.contrasts import contrast, holm, rank_effect, table_statistics, value_table
from dad.analysis.estimates import average_of, mean_of


def paired_difference(values, reference):
    both = {("ours", "x", "m"): values, ("theirs", "x", "m"): reference}
    parts = contrast(both, ["x"], [("ours", "m", 1.0), ("theirs", "m", -1.0)])
    estimate = average_of(parts)
    return SimpleNamespace(interval=estimate.interval(), p=estimate.p, effect=rank_effect(parts))


def test_p_and_interval_cannot_contradict_each_other():
    # one training of three collapsed: over images alone that looks certain, over trainings it is not
    rng = np.random.default_rng(7)
    reference = rng.normal(0.2, 0.02, (3, 60))
    values = reference + rng.normal(0, 0.001, (3, 60))
    values[1] += 0.3
    difference = paired_difference(values, reference)
    assert difference.interval.low < 0 < difference.interval.high
    assert difference.p > 0.05


def test_the_effect_by_hand():
    reference = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    assert paired_difference(reference * 1.1, reference).effect == 1.0
    # ranks 1, 2, 3 with signs +, -, +: (1 + 3 - 2) / 6
    mixed = paired_difference(np.array([[1.0, 2.0, 6.0]]), np.array([[0.0, 4.0, 3.0]]))
    assert mixed.effect == pytest.approx(1 / 3)


def test_pairing_finds_what_separate_intervals_do_not():
    rng = np.random.default_rng(9)
    difficulty = rng.lognormal(-2, 0.6, (1, 60))
    better, worse = difficulty, difficulty * 1.03 * rng.lognormal(0, 0.01, (1, 60))
    assert mean_of(worse).low < mean_of(better).high
    difference = paired_difference(worse, better)
    assert difference.interval.low > 0
    assert difference.p < 1e-6


def test_paired_values_must_have_the_same_shape():
    with pytest.raises(ValueError, match="different shapes"):
        paired_difference(np.zeros((1, 3)), np.zeros((1, 4)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_differences_are_antisymmetric(seed, seeds):
    first, second = np.random.default_rng(seed).random((2, seeds, 12))
    forward, back = (paired_difference(*pair) for pair in ((first, second), (second, first)))
    assert forward.interval.mean == pytest.approx(-back.interval.mean)
    assert forward.effect == pytest.approx(-back.effect)
    assert forward.p == pytest.approx(back.p)


def test_no_difference_at_all():
    same = paired_difference(np.full((1, 4), 0.5), np.full((1, 4), 0.5))
    assert (same.interval.mean, same.interval.low, same.interval.high, same.p, same.effect) == (0, 0, 0, 1.0, 0.0)


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
        table = table_statistics(frame, {"abs_rel": "lower", "delta1": "higher"}, {"x": ("x",)}, {}).set_index(
            ["row", "metric"]
        )
        assert table.loc[("b", "abs_rel"), "mean"] == pytest.approx(0.3)
        assert table.loc[("b", "abs_rel"), "difference_to_best"] == pytest.approx(0.1)
        assert table.loc[("b", "delta1"), "difference_to_best"] == pytest.approx(-0.1)
        assert table.loc[("a", "abs_rel"), "difference_to_best"] == 0
        assert np.isnan(table.loc[("a", "abs_rel"), "diff_low"])
        assert table.loc[("b", "abs_rel"), ["n", "seeds"]].tolist() == [2, 2]
    assert list(dict.fromkeys(table_statistics(scores, {"abs_rel": "lower"}, {"x": ("x",)}, {})["row"])) == ["b", "a"]


def test_a_row_without_a_number_is_neither_best_nor_hidden():
    scores = tidy({"broken": {"x": [[0.1, np.nan, 0.1]]}, "whole": {"x": [[0.5, 0.6, 0.7]]}})
    table = table_statistics(scores, {"abs_rel": "lower"}, {"x": ("x",)}, {}).set_index("row")
    assert np.isnan(table.loc["broken", "mean"])
    assert np.isnan(table.loc["broken", "difference_to_best"])
    assert table.loc["whole", "difference_to_best"] == 0


def test_matrices_and_factors():
    scores = tidy({"a": {"x": [[0.1, 0.2, 0.3]]}, "b": {"x": [[0.3, 0.2, 0.4]]}})
    values = value_table(scores, ["abs_rel"])
    assert values["b", "x", "abs_rel"].tolist() == [[0.3, 0.2, 0.4]]
    (difference,) = contrast(values, ["x"], [("b", "abs_rel", 1.0), ("a", "abs_rel", -1.5)])
    assert difference == pytest.approx(np.array([[0.3, 0.2, 0.4]]) - 1.5 * np.array([[0.1, 0.2, 0.3]]))


def test_an_image_that_one_row_has_no_value_of_is_left_out_of_all():
    scores = tidy({"a": {"x": [[0.1, np.nan, 0.3]]}, "b": {"x": [[0.3, 0.2, 0.4]]}})
    values, terms = value_table(scores, ["abs_rel"]), [("b", "abs_rel", 1.0), ("a", "abs_rel", 0.0)]
    assert contrast(values, ["x"], terms, partial={"abs_rel"})[0].tolist() == [[0.3, 0.4]]
    assert np.isnan(contrast(values, ["x"], terms)[0][0, 1])
    nothing = value_table(tidy({"a": {"x": [[np.nan]]}}), ["abs_rel"])
    assert np.isnan(contrast(nothing, ["x"], terms[1:], partial={"abs_rel"})[0]).tolist() == [[True]]


def test_an_estimator_without_seeds_is_paired_with_every_seed():
    rng = np.random.default_rng(9)
    students, estimator = rng.random((3, 30)), rng.random((1, 30))
    found = paired_difference(students, estimator)
    repeated = paired_difference(students, np.repeat(estimator, 3, axis=0))
    assert found == repeated
    assert found.interval.mean == pytest.approx(students.mean() - estimator.mean())
    back = paired_difference(estimator, students)
    assert back.interval.mean == pytest.approx(-found.interval.mean)
    with pytest.raises(ValueError, match="different shapes"):
        paired_difference(rng.random((2, 30)), students)


def test_differences_to_a_reference_are_a_family_of_their_own():
    rng = np.random.default_rng(12)
    base = rng.random((1, 25))
    scores = tidy(
        {"base": {"x": base}, "ours": {"x": base - 0.05 * rng.random((1, 25))}, "other": {"x": rng.random((1, 25))}}
    )
    table = table_statistics(scores, {"abs_rel": "lower"}, {"x": ("x",)}, {"ours": "base", "other": "base"}).set_index(
        "row"
    )
    values = {row: value_table(scores, ["abs_rel"])[row, "x", "abs_rel"][0] for row in ("base", "ours", "other")}
    raw = [stats.ttest_rel(values[row], values["base"]).pvalue for row in ("ours", "other")]
    assert table.loc[["ours", "other"], "ref_p_holm"].tolist() == pytest.approx(holm(raw).tolist())
    assert table.loc["ours", "ref_difference"] == pytest.approx((values["ours"] - values["base"]).mean())
    assert table.loc["ours", "ref_effect"] == -1
    assert table["reference"].to_dict() == {"base": "", "ours": "base", "other": "base"}
    assert np.isnan(table.loc["base", "ref_difference"])


def test_an_averaged_column_pools_the_images_and_averages_the_means():
    scores = tidy({"a": {"x": [[0.1, 0.3]], "y": [[0.6, 0.6, 0.6]]}, "b": {"x": [[0.2, 0.4]], "y": [[0.5, 0.7, 0.9]]}})
    table = table_statistics(scores, {"abs_rel": "lower"}, {"average": ("x", "y"), "x": ("x",)}, {}).set_index(
        ["row", "dataset"]
    )
    assert table.loc[("a", "average"), "mean"] == pytest.approx(0.4)
    assert table.loc[("b", "average"), "difference_to_best"] == pytest.approx(0.1)
    assert table.loc[("a", "average"), ["n", "seeds"]].tolist() == [5, 1]
    assert table.loc[("a", "x"), "mean"] == pytest.approx(0.2)
