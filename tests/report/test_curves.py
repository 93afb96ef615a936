"""The dose-response picture of the table `noise`."""

import pydantic
import pytest

from dad.analysis.effects import curve_lines
from dad.analysis.frame import load_frame
from dad.report.curves import curves_figure
from dad.report.plots import write_table_figure
from dad.study.table import Table


def test_a_row_is_drawn_at_its_error_times_that_of_clean_labels(study, results, tmp_path, write_scores):
    def level(row, dataset, seed):
        slope = {"global": 2.0, "hybrid": 1.0, "local": 0.5, "none": 0.0}.get(row.factors.get("normalization"), 0.0)
        return 0.2 * (1 + slope * float(row.factors.get("strength", 0)))

    write_scores(study, results, level, table="noise")
    frame = load_frame(study, "noise", results)
    lines = curve_lines(frame)
    assert set(lines["facet"]) == {"region", "blur", "frame"}
    assert len(lines) == 3 * 4 * 5 * 2  # kinds, normalizations, four strengths and none, data sets
    worst = lines[(lines["line"] == "global") & (lines["along"] == 0.4)]
    assert worst["mean"].to_list() == pytest.approx([1.8] * 6, rel=0.02)
    assert (worst["low"] < worst["mean"]).all() and (worst["mean"] < worst["high"]).all()
    assert (lines[lines["along"] == 0]["mean"] == 1).all()
    write_table_figure(frame, tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > 10_000 and (tmp_path / "noise.svg").is_file()


def test_curves_name_factors_of_the_table():
    table = {"key": "mine", "title": "t", "grid": {"crop.patches": [1, 2], "normalization": ["global"]}}
    with pytest.raises(pydantic.ValidationError, match="curves: colour is no factor"):
        Table.model_validate(
            table | {"curves": {"along": "crop.patches", "lines": "normalization", "facets": "colour"}}
        )


def test_a_line_goes_through_the_means_and_its_band_through_the_ends(study, results, write_scores):
    write_scores(
        study, results, lambda row, dataset, seed: 0.2 * (1 + float(row.factors.get("strength", 0))), table="noise"
    )
    frame = load_frame(study, "noise", results)
    axes = curves_figure(frame).axes[0]
    lines = curve_lines(frame)
    here = lines[(lines["title"] == frame.columns[0].title) & (lines["facet"] == lines["facet"].iloc[0])]
    assert len(axes.collections) == len(set(lines["line"])) == 4
    for drawn, band, name in zip(axes.lines, axes.collections, dict.fromkeys(lines["line"]), strict=False):
        points = here[here["line"] == name].sort_values("along")
        assert drawn.get_xydata().tolist() == points[["along", "mean"]].to_numpy().tolist()
        ends = {tuple(point) for point in band.get_paths()[0].vertices}
        assert ends == {(x, y) for end in ("low", "high") for x, y in points[["along", end]].to_numpy().tolist()}


def test_lines_that_are_facets_stand_in_a_panel_each_and_all_in_the_legend(study, results, write_scores):
    write_scores(
        study, results, lambda row, dataset, seed: 0.2 + 1 / float(row.factors.get("optim.steps", 75)), table="steps"
    )
    figure = curves_figure(load_frame(study, "steps", results))
    assert [len(axes.collections) for axes in figure.axes] == [1] * 6
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [axes.get_title() for axes in figure.axes[:3]]
