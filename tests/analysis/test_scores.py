"""Score files as tables read them."""

import pandas as pd
import pytest

from dad.analysis import scores
from dad.errors import UserError


@pytest.mark.parametrize(
    ("metric", "value"), [("abs_rel", "inf"), ("abs_rel", "-0.5"), ("abs_rel", "-inf"), ("delta1", "-1")]
)
def test_tables_refuse_scores_that_no_sound_evaluation_gives(tmp_path, monkeypatch, metric, value):
    monkeypatch.setattr(scores, "_require_own", lambda path, subject: None)
    line = {"model": "m", "dataset": "d", "protocol": "p", "protocol_hash": "0", "image": "a", "scene": "s", "n": 5}
    sound = line | {"abs_rel": 0.1, "delta1": 0.9}
    empty = line | {"image": "b", "n": 0, "abs_rel": "", "delta1": ""}
    path = tmp_path / "m.csv"
    pd.DataFrame([sound, empty]).to_csv(path, index=False)
    assert len(scores.read_scores("m", path, "p", ["d"])) == 2
    pd.DataFrame([sound, sound | {"image": "c", metric: value}]).to_csv(path, index=False)
    with pytest.raises(UserError, match=f"{metric} of c on d is .* no sound score"):
        scores.read_scores("m", path, "p", ["d"])


def test_texts_that_look_like_nothing_are_names(tmp_path, monkeypatch):
    """A scene called "NA" or "null" is a scene, and not one that pandas drops when it counts scenes."""
    monkeypatch.setattr(scores, "_require_own", lambda path, subject: None)
    line = {"model": "m", "dataset": "d", "protocol": "p", "protocol_hash": "0", "n": 5, "abs_rel": 0.1, "delta1": 0.9}
    names = ["NA", "null", "None", "nan", "", "-1.#IND"]
    lines = [line | {"image": name or "empty", "scene": name} for name in names]
    lines[0] |= {"abs_rel": "nan", "delta1": ""}
    pd.DataFrame(lines).to_csv(tmp_path / "m.csv", index=False)
    found = scores.read_scores("m", tmp_path / "m.csv", "p", ["d"])
    assert found["scene"].tolist() == names
    assert found[["abs_rel", "delta1"]].isna().sum(axis=1).tolist() == [2, 0, 0, 0, 0, 0]


def test_an_image_has_no_negative_number_of_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "_require_own", lambda path, subject: None)
    line = {"model": "m", "dataset": "d", "protocol": "p", "protocol_hash": "0", "image": "a", "scene": "s", "n": -5}
    pd.DataFrame([line | {"abs_rel": 0.1, "delta1": 0.9}]).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(UserError, match="less than no pixels"):
        scores.read_scores("m", tmp_path / "m.csv", "p", ["d"])
