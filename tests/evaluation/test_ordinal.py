"""The order of pairs: closed forms, the rule of the drawing, DA-2K's file, and what is refused."""

import csv
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import kendalltau

from dad.cli import main
from dad.errors import UserError
from dad.evaluation.ordinal import Pairs, drawn_pairs, read_annotations, score_pairs, summarise

RAMP = np.arange(12.0).reshape(3, 4) + 1


def pairs_of(*rows):
    both = np.array(rows, np.intp).reshape(-1, 2, 2)
    return Pairs(both[:, 0], both[:, 1])


def test_order_ties_and_kinds():
    pairs = pairs_of(((0, 0), (0, 1)), ((0, 2), (2, 3)), ((1, 1), (1, 0)), ((2, 2), (2, 2)))  # right, right, wrong, tie
    found = score_pairs(RAMP, pairs, kind="depth")
    assert found == {"pairs": 4, "accuracy": 0.5, "kendall_tau": 0.25, "ties": 0.25}
    assert score_pairs(RAMP, pairs, kind="disparity") == {
        "pairs": 4,
        "accuracy": 0.25,
        "kendall_tau": -0.25,
        "ties": 0.25,
    }
    assert score_pairs(1 / RAMP, pairs, kind="disparity") == found
    constant = score_pairs(0 * RAMP, pairs, kind="depth")
    assert (constant["accuracy"], constant["ties"]) == (0, 1)
    nothing = score_pairs(RAMP, pairs_of(), kind="depth")
    assert nothing["pairs"] == 0
    assert math.isnan(nothing["accuracy"])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_over_all_pairs_it_is_kendalls_tau_and_any_rising_map_scores_alike(seed):
    rng = np.random.default_rng(seed)
    depth, prediction = rng.permutation(12).reshape(3, 4) + 1.0, rng.permutation(12).reshape(3, 4) + 1.0
    places = list(itertools.combinations(np.ndindex(3, 4), 2))
    pairs = pairs_of(*((a, b) if depth[a] < depth[b] else (b, a) for a, b in places))
    found = score_pairs(prediction, pairs, kind="depth")
    assert found["kendall_tau"] == pytest.approx(kendalltau(depth.ravel(), prediction.ravel()).statistic)
    for same in (prediction**3, np.exp(prediction), 5 * prediction - 100):
        assert score_pairs(same, pairs, kind="depth") == found
    assert score_pairs(-prediction, pairs, kind="disparity") == found


def test_the_drawing():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 10, (40, 50))
    mask = rng.random(depth.shape) < 0.6
    pairs = drawn_pairs(depth, mask, count=4000, seed=3, image="a/b.png", ratio=1.5)
    near, far = (depth[tuple(side.T)] for side in (pairs.nearer, pairs.farther))
    assert (far > 1.5 * near).all()
    assert all(mask[tuple(side.T)].all() for side in (pairs.nearer, pairs.farther))
    # of two uniform numbers between 1 and 10 the larger exceeds 1.5 times the smaller with probability 0.706
    low, high, ratio = 1, 10, 1.5
    share = 2 * (high * (high / ratio - low) - ratio * ((high / ratio) ** 2 - low**2) / 2) / (high - low) ** 2
    assert len(pairs) / 4000 == pytest.approx(share, abs=0.03)
    same = drawn_pairs(2 * depth, mask, count=4000, seed=3, image="a/b.png", ratio=1.5)  # the unit does not matter
    np.testing.assert_array_equal(pairs.nearer, same.nearer)
    for other in ({"seed": 4}, {"image": "a/c.png"}):
        changed = drawn_pairs(depth, mask, **{"count": 4000, "seed": 3, "image": "a/b.png", "ratio": 1.5, **other})
        assert not np.array_equal(pairs.nearer[:50], changed.nearer[:50])
    assert len(drawn_pairs(depth, np.zeros_like(mask), count=10)) == 0
    assert len(drawn_pairs(np.full_like(depth, 3), mask, count=100)) == 0
    assert score_pairs(depth, pairs, kind="depth")["accuracy"] == 1
    assert score_pairs(rng.random(depth.shape), pairs, kind="depth")["accuracy"] == pytest.approx(0.5, abs=0.05)


def entry(first, second, closer="point1"):
    return {"point1": list(first), "point2": list(second), "closer_point": closer}


def test_annotations_are_rows_and_columns_and_either_point_can_be_closer(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text(
        json.dumps({"images/indoor/a.png": [entry((0, 3), (2, 1)), entry((1, 1), (0, 2), "point2")], "b.png": []})
    )
    found = read_annotations(path)
    np.testing.assert_array_equal(found["images/indoor/a.png"].nearer, [[0, 3], [0, 2]])
    np.testing.assert_array_equal(found["images/indoor/a.png"].farther, [[2, 1], [1, 1]])
    assert len(found["b.png"]) == 0


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "is not a JSON object of images"),
        ({"a.png": {}}, "a.png has no list of annotations"),
        (
            {"a.png": [entry((1,), (2, 3))]},
            "a.png, annotation 1: point1 is [1]; [row, column] in whole pixels is needed",
        ),
        ({"a.png": [entry((1, 2), (2, 3)), entry((1, 2), (2.5, 3))]}, "annotation 2: point2 is [2.5, 3]"),
        ({"a.png": [entry((1, 2), (2, True))]}, "point2 is [2, True]"),
        ({"a.png": [entry((1, 2), (2, 3), "point3")]}, "closer_point is 'point3'; it must be point1 or point2"),
        ({"a.png": ["x"]}, "point1 is None"),
    ],
)
def test_broken_annotations_are_named(tmp_path, document, message):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        read_annotations(path)
    assert message in str(caught.value)


def test_maps_that_cannot_be_asked():
    with pytest.raises(UserError, match=r"row 3, column 0 lies outside the map of 3 x 4 pixels"):
        score_pairs(RAMP, pairs_of(((0, 0), (3, 0))), kind="depth")
    with pytest.raises(UserError, match="lies outside"):
        score_pairs(RAMP, pairs_of(((0, -1), (1, 0))), kind="depth")
    broken = RAMP.copy()
    broken[0, 0] = np.nan
    with pytest.raises(UserError, match="NaN or infinite at 1 of 2 pairs"):
        score_pairs(broken, pairs_of(((0, 0), (1, 0)), ((1, 1), (2, 0))), kind="depth")


def test_means_are_over_pairs_and_over_scenes():
    rows = [
        {"scene": "indoor", "status": "ok", "pairs": 30, "accuracy": 1.0, "kendall_tau": 1.0, "ties": 0.0},
        {"scene": "indoor", "status": "ok", "pairs": 10, "accuracy": 0.0, "kendall_tau": -0.5, "ties": 0.5},
        {"scene": "aerial", "status": "ok", "pairs": 10, "accuracy": 0.5, "kendall_tau": 0.0, "ties": 0.0},
        {"scene": "aerial", "status": "empty", "pairs": 0, "accuracy": math.nan},
        {"scene": "", "status": "failed", "pairs": 0, "accuracy": None},
    ]
    found = summarise(rows)
    assert (found["images"], found["empty"], found["failed"], found["pairs"]) == (5, 1, 1, 50)
    assert found["accuracy"] == pytest.approx(35 / 50)
    assert found["kendall_tau"] == pytest.approx(25 / 50)
    assert found["scenes"] == {"aerial": 0.5, "indoor": 0.75}
    assert found["scene_mean"] == pytest.approx(0.625)


@pytest.fixture
def annotated(tmp_path):
    """Two images with pairs and maps of disparity for them; the second one is right in one of two pairs."""
    document = {}
    for scene, pairs in (("indoor", [((0, 0), (2, 3))]), ("aerial", [((0, 0), (2, 3)), ((2, 3), (0, 0))])):
        name = f"images/{scene}/a.jpg"
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        Image.new("RGB", (4, 3)).save(tmp_path / "data" / name)
        (tmp_path / "maps" / name).parent.mkdir(parents=True)
        np.save((tmp_path / "maps" / name).with_suffix(".npy"), 1 / RAMP)
        document[name] = [entry(*pair) for pair in pairs]
    (tmp_path / "data" / "annotations.json").write_text(json.dumps(document))
    return tmp_path


def test_the_verb_on_annotations(annotated, capsys):
    out, summary = annotated / "o.csv", annotated / "o.json"
    given = [
        "ordinal",
        "--annotations",
        str(annotated / "data" / "annotations.json"),
        "--kind",
        "disparity",
        "--device",
        "cpu",
    ]
    given += ["--predictions", str(annotated / "maps"), "--out", str(out), "--summary", str(summary), "--label", "mine"]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert "da-2k  accuracy 0.6667  kendall_tau 0.3333  (3 pairs, 2 images)" in printed
    assert "mean over 2 scenes: 0.7500" in printed
    rows = list(csv.DictReader(out.open()))
    assert [(row["model"], row["scene"], row["pairs"], row["accuracy"]) for row in rows] == [
        ("mine", "indoor", "1", "1.0"),
        ("mine", "aerial", "2", "0.5"),
    ]
    assert json.loads(summary.read_text())["rule"] == {"annotations": "annotations.json"}
    (annotated / "maps" / "images" / "aerial" / "a.npy").unlink()
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert ended.value.code == 2
    assert "image images/aerial/a.jpg: there is no prediction" in capsys.readouterr().err
    assert [row["status"] for row in csv.DictReader(out.open())] == ["ok", "failed"]


def test_the_verb_on_a_labelled_set(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    Image.new("RGB", (4, 3)).save(tmp_path / "set" / "a.png")
    Image.fromarray((RAMP * 1000).astype(np.uint16)).save(tmp_path / "set" / "a_depth.png")
    (tmp_path / "set" / "manifest.csv").write_text("rgb,gt,kind,scale\na.png,a_depth.png,depth,0.001\n")
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "a.npy", RAMP)
    given = [
        "ordinal",
        "--dataset",
        "samples",
        "--root",
        str(tmp_path / "set"),
        "--predictions",
        str(tmp_path / "maps"),
    ]
    given += ["--kind", "depth", "--device", "cpu", "--out", str(tmp_path / "o.csv")]
    assert main([*given, "--pairs", "500", "--ratio", "1.3"]) == 0
    assert "samples  accuracy 1.0000  kendall_tau 1.0000" in capsys.readouterr().out
    assert main([*given, "--ratio", "0.5"]) == 2
    assert "--ratio 0.5: at least 1 is needed" in capsys.readouterr().err
