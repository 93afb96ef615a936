import struct

import matplotlib
import numpy as np
import pytest

from dad.analysis.frame import load_frame
from dad.report import plots
from dad.report.style import PALETTE, log_ticks


@pytest.fixture
def result(study, results, write_scores, paper_like):
    write_scores(study, results, paper_like)
    return load_frame(study, "table1", results)


@pytest.fixture
def drawn(result, monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: kept.append(figure))
    plots.write_table_figure(result, tmp_path / "unused.png")
    return kept[0]


def marks_of(axes):
    """Where the points of a panel lie, block by block."""
    found = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    return [x for line in found for x in line.get_xdata()]


def test_points_and_intervals_are_the_tables(result, drawn):
    ours = drawn.axes[0]
    assert ours.get_title(loc="left") == "ours: scenes-indoor (for ETH3D)"
    lines = [result.value(row, result.columns[0], "abs_rel") for row in result.rows]
    assert marks_of(ours) == pytest.approx([line["mean"] for line in lines])
    ends = [
        sorted(line.get_xdata())
        for line in ours.lines
        if line.get_marker() in ("", "None") and len(line.get_xdata()) == 2
    ]
    drawn_ends = [pair for pair in ends if pair[0] != pair[1] and pair != [0, 1]]
    assert np.array(drawn_ends) == pytest.approx(np.array([[line["ci_low"], line["ci_high"]] for line in lines]))


def test_paired_differences_have_a_panel_of_their_own(result, drawn):
    panel = drawn.axes[1]
    lines = [result.value(row, result.columns[0], "abs_rel") for row in result.rows]
    expected = [line["difference_to_best"] for line in lines if line["difference_to_best"] > 0]
    shown = [x for x in marks_of(panel) if not np.isnan(x)]
    assert shown == pytest.approx(expected) and len(expected) == 7  # the best row itself has none
    assert panel.get_title(loc="left") == "paired, minus the best row"


def test_printed_numbers_have_a_panel_of_their_own_and_hollow_marks(drawn):
    ours, _, printed = drawn.axes[:3]
    marks = [line for line in printed.lines if line.get_marker() in ("o", "s")]
    assert marks_of(printed) == [0.064, 0.057, 0.070, 0.057, 0.065, 0.273, 0.076, 0.064]
    assert {line.get_markerfacecolor() for line in marks} == {"white"}
    assert {line.get_markeredgecolor() for line in marks} == set(PALETTE[:2])
    assert printed.get_title(loc="left") == "printed: ETH3D"
    assert ours.get_xlim() != printed.get_xlim()
    assert [label.get_text() for label in ours.get_yticklabels()] == [
        "Global Norm.",
        "No Norm.",
        "Local Norm.",
        "Hybrid Norm.",
    ]


def test_no_two_marks_of_a_panel_lie_at_the_same_height(drawn):
    heights = [y for line in drawn.axes[0].lines if line.get_marker() in ("o", "s") for y in line.get_ydata()]
    assert len(set(heights)) == 8


def test_what_is_not_there_is_said(make_study, results, write_scores, edit_scores, paper_like, monkeypatch, tmp_path):
    study = make_study(samples=str(tmp_path), loss={"local_global": 0})
    paths = write_scores(study, results, paper_like)
    edit_scores(next(iter(paths.values())), lambda lines: [line | {"abs_rel": "nan"} for line in lines])
    kept = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: kept.append(figure))
    plots.write_table_figure(load_frame(study, "table1", results), tmp_path / "unused.png")
    words = [[text.get_text() for text in axes.texts] for axes in kept[0].axes]
    reason = "local-global distillation with loss.local_global: 0 has no …"
    assert sorted(words[0]) == 4 * [reason] + ["no number"]
    assert words[1] == words[2] == []
    assert words[8] == ["not in the paper"]


def chunks(data):
    names, position = [], 8
    while position < len(data):
        length, name = struct.unpack(">I4s", data[position : position + 8])
        names.append(name)
        position += 12 + length
    return names


def test_the_file_repeats_whatever_the_users_matplotlib_is_set_to(result, tmp_path):
    plots.write_table_figure(result, tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        plots.write_table_figure(result, tmp_path / "b.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert set(chunks(data)) == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}  # no date, no name of the writer


@pytest.mark.parametrize(
    ("low", "high"), [(0.12, 0.35), (0.053, 0.3), (0.234, 0.305), (0.01, 9.0), (0.1, 0.101), (0.5, 40.0)]
)
def test_ticks_are_few_round_and_inside(low, high):
    ticks = log_ticks(low, high)
    assert 3 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= high and len(f"{tick:g}") <= 7 for tick in ticks)
