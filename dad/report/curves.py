"""The picture of a table whose rows are doses: how the error grows with one factor, by the levels of two others."""

import pandas as pd
from matplotlib.figure import Figure

from dad.report.frame import Frame
from dad.report.style import INK, draw_curve, look_of, new_figure
from dad.study.paper import paper


def curve_lines(frame: Frame) -> pd.DataFrame:
    """One line per row with a reference and column: facet, line, along, title, and the error relative to the reference's: 1 plus
    the paired difference over the reference's mean, with the ends of its interval. A reference is 1 at its own level.
    """
    form, metric, lines = frame.layout.curves, frame.layout.metrics[0], []
    assert form is not None
    for row in frame.scored:
        reference = frame.reference(row)
        if reference is None or not reference.subjects:
            continue
        for column in frame.columns:
            own, base = frame.value(row, column, metric), frame.value(reference, column, metric)["mean"]
            place = {"facet": row.factors[form.facets], "line": row.factors[form.lines], "title": column.title}
            ends = {name: 1 + own[f"ref_{key}"] / base for name, key in (("mean", "difference"), ("low", "low"), ("high", "high"))}
            lines.append(place | {"along": float(row.factors[form.along])} | ends)
            start = {"along": float(reference.factors[form.along]), "mean": 1.0, "low": 1.0, "high": 1.0}
            if (first := place | start) not in lines:
                lines.append(first)
    return pd.DataFrame(lines)


def curves_figure(frame: Frame) -> Figure:
    """A row of panels per column of the table, a panel per facet; bands are the paired 95 % intervals."""
    form, layout, table = frame.layout.curves, frame.layout, curve_lines(frame)
    assert form is not None
    facets, names = list(dict.fromkeys(table["facet"])), list(dict.fromkeys(table["line"]))
    figure = new_figure(1.0 + 2.7 * len(facets), 0.8 + 2.4 * len(frame.columns))
    grid = figure.subplots(len(frame.columns), len(facets), squeeze=False, sharey="row", sharex="col")
    for panels, column in zip(grid, frame.columns, strict=True):
        for axes, facet in zip(panels, facets, strict=True):
            here = table[(table["title"] == column.title) & (table["facet"] == facet)].sort_values("along")
            for number, name in enumerate(names):
                line = here[here["line"] == name]
                if line.empty:  # lines that are facets of their own
                    continue
                draw_curve(axes, line, "along", label=layout.label(form.lines, name), **look_of(number))
            axes.axhline(1, color=INK, linewidth=0.8)
            axes.set(title=layout.label(form.facets, facet), xlabel=layout.heading(form.along).lower())
            axes.grid(axis="y")
        panels[0].set_ylabel(f"{column.title}: {paper().metrics[layout.metrics[0]].label},\ntimes the reference's")
    entries = {label: handle for axes in grid[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries.keys(), loc="outside lower left", ncols=len(names), fontsize=8.5)
    return figure
