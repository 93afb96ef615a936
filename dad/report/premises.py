"""Premises written down: JSON for programs, CSV of the patches, Markdown for people, one picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dad.files import write_csv, write_text
from dad.identity import write_sealed_json
from dad.premises.leak import keys
from dad.report.style import PALETTE, QUIET, new_figure, save_png, styled
from dad.report.templates import render
from dad.study.modes import TERMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {True: "holds", False: "does not hold", None: "undecided"}


def write_premises(facts: dict[str, Any], rows: list[dict[str, Any]], out: Path) -> None:
    """Write premises.json, premises.csv, premises.md and premises.png into the folder `out`."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [{key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows]
    write_csv(out / "premises.csv", lines, columns)
    write_text(out / "premises.md", markdown(facts))
    draw(facts, rows, out / "premises.png")
    write_sealed_json(out / "premises.json", facts)  # last: who finds it finds the others


def markdown(facts: dict[str, Any]) -> str:
    """The premises and what they rest on, as a page."""
    leak = _in_order(facts)
    terms = [term for term in TERMS if any(term in run["start"] for run in facts["shares"])]
    return render("premises.md.j2", facts=facts, marks=MARKS, leak=leak, strengths=list(leak["global"]), terms=terms)


def _in_order(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The leak by normalization and strength, both in their order: a JSON file sorts names."""
    found = facts["leak"]
    return {name: {s: found[name][s] for s in sorted(found[name], key=float)} for name in keys(facts["groups"])}


def draw(facts: dict[str, Any], rows: list[dict[str, Any]], path: Path) -> None:
    """Four panels: local against cut-out AbsRel, their gain by patch size, the frames, and the leak."""
    teacher = [row for row in rows if row["model"] == "teacher"]
    with styled():
        figure = new_figure(10, 7.6)
        axes = figure.subplots(2, 2).ravel()
        _against(axes[0], teacher)
        _by_size(axes[1], facts["models"]["teacher"])
        _frames(axes[2], teacher)
        _leak(axes[3], _in_order(facts))
        save_png(figure, path, dpi=130)


def _against(ax: "Axes", rows: list[dict[str, Any]]) -> None:
    points = np.array([[row["cut_abs_rel"], row["local_abs_rel"]] for row in rows if "local_abs_rel" in row]).reshape(
        -1, 2
    )
    points = points[np.isfinite(points).all(1)]
    ax.set(
        title="Is a patch's own label better?",
        xlabel="AbsRel, cut out of the square's label",
        ylabel="AbsRel, own label",
    )
    if not len(points):
        ax.text(0.5, 0.5, "no photo has depth", transform=ax.transAxes, ha="center", color=QUIET)
        return
    end = float(np.percentile(points, 98)) * 1.1
    ax.plot([0, end], [0, end], color=QUIET, lw=0.8)
    ax.scatter(*points.T, s=9, color=PALETTE[0], alpha=0.5, lw=0)
    ax.set(xlim=(0, end), ylim=(0, end))
    ax.text(
        0.97,
        0.05,
        f"better in {(points[:, 1] < points[:, 0]).mean():.0%}",
        transform=ax.transAxes,
        ha="right",
        color=QUIET,
    )


def _by_size(ax: "Axes", facts: dict[str, Any]) -> None:
    ax.set(title="Gain by the patch's size", xlabel="patch side / square side", ylabel="AbsRel, cut-out minus own")
    ax.axhline(0, color=QUIET, lw=0.8)
    for one in facts.get("by_ratio", []):
        gain, middle = one["gain"], (one["from"] + one["to"]) / 2
        ax.plot([one["from"], one["to"]], [gain["mean"]] * 2, color=PALETTE[0], lw=2)
        if gain["low"] is not None:
            ax.plot([middle, middle], [gain["low"], gain["high"]], color=PALETTE[0], lw=1)


def _frames(ax: "Axes", rows: list[dict[str, Any]]) -> None:
    ax.set(
        title="Frames of patches against the square's",
        xlabel="patch side / square side",
        ylabel="scale of the patch's label",
    )
    points = np.array([[row["ratio"], row["scale"]] for row in rows if np.isfinite(row["scale"])]).reshape(-1, 2)
    ax.axhline(1, color=QUIET, lw=0.8)
    if len(points):
        ax.scatter(*points.T, s=9, color=PALETTE[2], alpha=0.5, lw=0)
        low, high = np.percentile(points[:, 1], (1, 99))
        ax.set_ylim(min(low, 0) - 0.2, max(high, 1) + 0.2)


def _leak(ax: "Axes", leak: dict[str, dict[str, Any]]) -> None:
    ax.set(
        title="How far an error of one region reaches",
        xlabel="share of the map that is wrong",
        ylabel="change outside it",
    )
    own = {name: of for name, of in leak.items() if "(" not in name}
    for number, (name, of) in enumerate(own.items()):
        strengths = [float(strength) for strength in of]
        ax.plot(strengths, [one["mean"] for one in of.values()], marker="o", ms=4, color=PALETTE[number], label=name)
        low, high = (
            [one[end] if one[end] is not None else one["mean"] for one in of.values()] for end in ("low", "high")
        )
        ax.fill_between(strengths, low, high, color=PALETTE[number], alpha=0.15, lw=0)
    ax.legend()
