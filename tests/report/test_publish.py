"""What is published of a study: its reports, and scores from which anyone can compute the means again."""

import pandas as pd
import pytest

from dad.analysis.frame import load_frame
from dad.errors import UserError
from dad.report.publish import publish
from dad.report.tables import write_texts
from dad.study.layout import Layout


def test_the_means_of_a_table_follow_from_the_published_scores(study, results, tmp_path, write_scores, paper_like):
    write_scores(study, results, paper_like, teacher=True)
    reports, out = tmp_path / "reports", tmp_path / "out"
    frame = load_frame(study, "table1", results)
    write_texts(frame, reports)
    premises = Layout(study, results).premises
    premises.mkdir(parents=True)
    (premises / "premises.md").write_text("# Premises\n")
    written = publish(study, results, reports, out)
    assert {path.name for path in written} >= {
        "table1.md",
        "table1.csv",
        "table1.tex",
        "premises.md",
        "scores.csv.xz",
        "README.md",
    }
    scores = pd.read_csv(out / "scores.csv.xz")
    assert set(scores["table"]) == {"table1"} and len(scores) == (8 + len(frame.beside)) * 2 * 24
    means = scores.groupby(["row", "dataset"])["abs_rel"].mean()
    shown = frame.lines[frame.lines["metric"] == "abs_rel"]
    for line in shown.to_dict("records"):
        assert means[line["row"], line["dataset"]] == pytest.approx(line["mean"])
    again = publish(study, results, reports, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]
    assert "[table1](table1.md)" in (out / "README.md").read_text()


def test_nothing_is_published_where_a_score_is_missing(study, tmp_path, write_scores, paper_like):
    path = next(iter(write_scores(study, tmp_path, paper_like).values()))
    write_texts(load_frame(study, "table1", tmp_path), tmp_path / "reports")
    path.unlink()
    with pytest.raises(UserError, match=f"no scores of {path.stem}"):
        publish(study, tmp_path, tmp_path / "reports", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_without_tables_has_nothing_to_publish(study, tmp_path):
    (tmp_path / "reports").mkdir()
    with pytest.raises(UserError, match="holds no table of study tiny"):
        publish(study, tmp_path, tmp_path / "reports", tmp_path / "out")
