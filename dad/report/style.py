"""The one style of all figures: fonts, colours that the colour-blind tell apart, and PNG files whose bytes repeat."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dad.files import atomic_path

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito (2008), the darker ones first."""
MARKERS = ("o", "s", "D", "^", "v", "P")
"""Shape repeats what colour says."""

INK, QUIET, HAIRLINE = "#222222", "#666666", "#DDDDDD"

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "dad",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults with the project's style on top, whatever the user's own configuration is."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches, outside pyplot's global state. Call inside `styled`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, *, dpi: int = 200) -> None:
    """Write the figure as PNG to `path` and as SVG beside it. Call inside `styled`."""
    save_png(figure, path, dpi=dpi)
    save_svg(figure, path.with_suffix(".svg"))


def save_svg(figure: Figure, path: Path) -> None:
    """Write the figure atomically with repeatable bytes (`svg.hashsalt` is in the style). Call inside `styled`."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def save_png(figure: Figure, path: Path, *, dpi: int = 200) -> None:
    """Write the figure atomically, without the writer's name or a date in the file. Call inside `styled`."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})
