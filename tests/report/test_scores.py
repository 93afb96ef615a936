"""Score files as tables read them."""

import pandas as pd
import pytest

from dad.errors import UserError
from dad.report import scores


@pytest.mark.parametrize(("metric", "value"), [("abs_rel", "inf"), ("abs_rel", "-0.5"), ("abs_rel", "-inf"), ("delta1", "-1")])
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
