"""The points of Fig. 10 inside the page, to be turned by hand."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dad.pointcloud import read_ply

MOST = 30_000
"""Points of a cloud that go into the page; the files have all."""
STEPS = 65_535
"""A coordinate is stored as one of so many steps across the cloud."""


@dataclass(frozen=True)
class CloudsView:
    """The clouds' data as JSON text, and their names."""

    data: str = ""
    names: tuple[str, ...] = ()


def clouds_view(folder: Path) -> CloudsView:
    """The PLY files of a folder; without any there is nothing to turn. Raises UserError for a damaged one."""
    paths = sorted(folder.glob("*.ply"))
    return CloudsView(
        json.dumps([_cloud(path) for path in paths], separators=(",", ":")), tuple(path.stem for path in paths)
    )


def _cloud(path: Path) -> dict[str, Any]:
    """A cloud's points as 16-bit steps from `low` on, x right, y down, z forward, and their colours, both as base64."""
    points, rgb = read_ply(path)
    chosen = np.sort(np.random.default_rng(0).permutation(len(points))[:MOST])
    points, rgb = points[chosen], rgb[chosen]
    low = points.min(axis=0)
    step = max(float((points - low).max()), 1e-9) / STEPS
    return {
        "low": low.tolist(),
        "step": step,
        "points": base64.b64encode(np.rint((points - low) / step).astype("<u2").tobytes()).decode(),
        "colours": base64.b64encode(np.ascontiguousarray(rgb).tobytes()).decode(),
    }
