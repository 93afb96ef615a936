"""The picture of a table whose rows are doses: how the error grows with one factor, by the levels of two others."""

from matplotlib.figure import Figure

from dad.analysis.effects import curve_lines
from dad.analysis.frame import Frame
from dad.report.style import INK, draw_curve, look_of, new_figure
from dad.study.paper import paper


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
    entries = {
        label: handle for axes in grid[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(entries.values(), entries.keys(), loc="outside lower left", ncols=len(names), fontsize=8.5)
    return figure
