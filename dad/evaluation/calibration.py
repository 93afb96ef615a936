"""Metres for a relative map, from a few measured points: a closed-form fit, and the error to expect of it.

A map of kind "disparity" is 1/metres up to a factor and an offset, one of kind "depth" is metres up to both. Points
whose distance was measured (tape, laser, LiDAR) fix the two numbers for one image. They belong to that image: another
photo, or another crop of the same one, has its own.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dad.errors import UserError
from dad.evaluation.predictions import KINDS
from dad.faults import one_line
from dad.files import atomic_path, read_regular, read_text, write_json
from dad.outputs import check_outputs, model_files

COLUMNS = ("x", "y", "metres")

DISTINCT = 1e-5
"""Map values closer together than this share of their size are one value: two points there say no more than one."""


_FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True)
class Calibration:
    """How a relative map becomes metres: s * map + t is metres (kind "depth") or 1/metres (kind "disparity").

    values, metres: (n,) the map at the points, and what was measured there. fitted: (n,) metres after the fit; inf
    where the fit sees nothing in front of infinity. left_out: (n,) metres at each point by the fit to all others, NaN
    where these do not determine one.
    """

    kind: str
    scale: float
    shift: float
    values: NDArray[np.float64]
    metres: NDArray[np.float64]
    fitted: NDArray[np.float64]
    left_out: NDArray[np.float64]

    def apply(self, prediction: ArrayLike) -> NDArray[np.float32]:
        """A map (H,W) in metres, float32; NaN where the fit gives no distance that is positive and finite."""
        metres = _metres(np.asarray(prediction, np.float64), self.kind, self.scale, self.shift)
        metres[(metres > _FLOAT32.max) | (metres < _FLOAT32.tiny)] = np.nan
        return metres.astype(np.float32)

    @property
    def errors(self) -> NDArray[np.float64]:
        """(n,) relative error of each point as seen from others, |left_out - metres| / metres; NaN where unknown."""
        return np.abs(self.left_out - self.metres) / self.metres

    @property
    def expected(self) -> float:
        """The median of `errors` where they are known: what to expect between the points. NaN where none is."""
        known = self.errors[~np.isnan(self.errors)]
        return float(np.median(known)) if known.size else float("nan")


def calibrate(
    prediction: ArrayLike, points: ArrayLike, *, kind: str, scale_only: bool = False, source: str = "points"
) -> Calibration:
    """Fit a relative map to measured distances.

    prediction: (H,W), of kind "disparity" (larger = nearer) or "depth". points: (n,3) rows of x, y, metres: column and
    row of a pixel, counted from 0 at the centre of the upper left one, and its measured distance along the optical
    axis. A point takes the map's value at the nearest pixel. scale_only: the map has no offset (it is metres, or
    1/metres, up to a factor). source: where the points are from, for messages.

    Least squares of relative errors: sum ((s d + t) / g - 1)^2 for depth d, sum ((s d + t) g - 1)^2 for disparity, g in
    metres; so the result does not depend on the unit, nor on the map's own factor and offset. Each point's error is
    that of the fit to all others (leave one out).

    Raises UserError for points outside the map, distances that are not positive, fewer points than unknowns, points
    that all have one value in the map, and a fit that turns the map around.
    """
    image, rows = np.asarray(prediction), np.asarray(points, np.float64)
    if kind not in KINDS:
        raise UserError(f"the kind of the map is {kind!r}; it must be {' or '.join(KINDS)}")
    if image.ndim != 2 or image.dtype.kind not in "fiu":
        raise UserError(f"the map is {image.dtype} {image.shape}; one (H,W) of numbers is needed")
    if rows.ndim != 2 or rows.shape[1] != len(COLUMNS):
        raise UserError(f"{source} are {rows.shape}; rows of x, y, metres are needed")
    values, metres = _at(image, rows, source)
    unknowns = 1 if scale_only else 2
    if len(rows) < unknowns:
        need = "one for the scale" if scale_only else "two, for scale and shift; or one, with the scale alone"
        raise UserError(f"{source}: {len(rows)} points, and at least {need} is needed")
    found = _fit(values, metres, kind, scale_only)
    if found is None and scale_only:
        raise UserError(f"{source}: the map is 0 at every point, so that no scale can be found")
    if found is None:
        where = f"{source}: the map is {values[0]:.6g} at all {len(rows)} points"
        raise UserError(f"{where}, so that any shift would do: measure nearer and farther ones")
    scale, shift = found
    if not scale > 0:
        raise UserError(
            f"{source}: the fit's scale is {scale:.4g}, where it must be positive: the map's nearer points were "
            f"measured farther; are x and y swapped, or is the map of the kind {KINDS[1 - KINDS.index(kind)]!r}?"
        )
    left_out = np.full(len(rows), np.nan)
    for index in range(len(rows)):
        others = np.arange(len(rows)) != index
        without = _fit(values[others], metres[others], kind, scale_only) if others.sum() >= unknowns else None
        if without is not None:
            left_out[index] = _metres(values[index : index + 1], kind, *without, nothing=np.inf)[0]
    fitted = _metres(values, kind, scale, shift, nothing=np.inf)
    return Calibration(kind, scale, shift, values, metres, fitted, left_out)


def _at(image: NDArray[Any], rows: NDArray[np.float64], source: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The map's values at the points (n,), and the measured metres (n,)."""
    height, width = image.shape
    seen: dict[tuple[int, int], int] = {}
    values = np.empty(len(rows))
    for number, (x, y, metres) in enumerate(rows, 1):
        where = f"{source}: point {number} ({x:g}, {y:g})"
        if not (np.isfinite(x) and np.isfinite(y) and -0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
            raise UserError(f"{where} lies outside the map, which is {width} pixels wide and {height} high")
        if not (np.isfinite(metres) and metres > 0):
            raise UserError(f"{where}: the distance is {metres:g}; metres above 0 are needed")
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if (other := seen.setdefault((row, column), number)) != number:
            raise UserError(f"{where} is the same pixel as point {other}: give each pixel once")
        values[number - 1] = image[row, column]
        if not np.isfinite(values[number - 1]):
            raise UserError(f"{where}: the map is {values[number - 1]:g} there")
    return values, rows[:, 2].copy()


def _fit(
    values: NDArray[np.float64], metres: NDArray[np.float64], kind: str, scale_only: bool
) -> tuple[float, float] | None:
    """Scale and shift by least squares of relative errors; None where the points do not determine them."""
    weights = metres if kind == "disparity" else 1.0 / metres
    size = float(np.abs(values).max())
    if scale_only:
        column = values * weights
        return (float(column.sum() / (column @ column)), 0.0) if size > 0 else None
    if np.ptp(values) <= DISTINCT * size:
        return None
    # w (s d + t) = 1 for every point; from the weighted mean of d on, s and t do not depend on each other
    squares = weights * weights
    centre = float(squares @ values / squares.sum())
    offset = values - centre
    scale = float((weights @ offset) / (squares @ (offset * offset)))
    level = float(weights.sum() / squares.sum())
    return scale, level - scale * centre


def _metres(
    values: NDArray[np.float64], kind: str, scale: float, shift: float, nothing: float = float("nan")
) -> NDArray[np.float64]:
    """Metres of values of a map; `nothing` where none that are positive and finite come out."""
    aligned = scale * values + shift
    positive = aligned > 0
    found = np.full(values.shape, nothing)
    with np.errstate(divide="ignore", over="ignore"):
        found[positive] = 1.0 / aligned[positive] if kind == "disparity" else aligned[positive]
    found[~np.isfinite(found)] = nothing
    return found


def read_points(path: Path) -> NDArray[np.float64]:
    """Points (n,3) from a CSV file with the columns x, y, metres; other columns are left alone.

    Raises UserError naming the file and the line.
    """
    try:
        lines = list(csv.reader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV text ({error})") from None
    head = [name.strip() for name in lines[0]] if lines else []
    if twice := [name for name in COLUMNS if head.count(name) > 1]:
        raise UserError(f"{path}: column {', '.join(twice)} stands there twice")
    if absent := [name for name in COLUMNS if name not in head]:
        raise UserError(f"{path}: column {', '.join(absent)} is missing; the first line must name {', '.join(COLUMNS)}")
    places = [head.index(name) for name in COLUMNS]
    points = []
    for number, line in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in line):
            continue
        if any(cell.strip() for cell in line[len(head) :]):  # 1,5 for 1.5
            few = f"the first line has {len(head)}: decimals are written with a point"
            raise UserError(f"{path} line {number}: {','.join(line)!r} has {len(line)} fields, {few}")
        try:
            points.append([float(line[place]) for place in places])
        except (ValueError, IndexError):
            raise UserError(
                f"{path} line {number}: {','.join(line)!r} is not a pixel and its metres: numbers are needed"
            ) from None
    return np.array(points, np.float64).reshape(-1, len(COLUMNS))


def calibrate_to_files(
    *,
    points: Path,
    out: Path,
    report: Path | None = None,
    stored: Path | None = None,
    kind: str | None = None,
    image: Path | None = None,
    model: str | None = None,
    scale_only: bool = False,
    device: str = "cpu",
) -> tuple[Calibration, int]:
    """The `calibrate` verb: write the map in metres (float32 npy) and, as JSON, the fit with every point's error.

    Either `stored`, a map (H,W) as .npy with its `kind`, or an `image` and a `model`, which predicts it. Returns the
    calibration and the number of pixels without a distance, which are NaN in the file. Files appear whole or not at
    all.
    """
    if (stored is None) == (image is None):
        raise UserError("give either a map (--map) or an image with a model (--image, --model)")
    if stored is not None and (kind is None or model is not None):
        raise UserError("--map needs --kind and takes no --model: a stored map does not say what it is")
    if image is not None and (model is None or kind is not None):
        raise UserError("--image needs --model, and takes no --kind: a model knows its own")
    if out.suffix != ".npy":
        raise UserError(f"--out {out}: the map in metres is written as .npy")
    read = {"--points": points, "--map": stored, "--image": image, "--model": model_files(model)}
    check_outputs(files={"--out": out, "--report": report}, read=read)
    rows = read_points(points)
    if stored is not None:
        try:
            relative = np.load(io.BytesIO(read_regular(stored)), allow_pickle=False)
        except Exception as error:  # numpy raises many kinds of errors for damaged files
            raise UserError(f"--map {stored} is not a readable .npy file ({one_line(error)})") from None
    else:
        from dad.models import load

        estimator = load(str(model), device=device)
        relative, kind = estimator(image), estimator.kind
    found = calibrate(relative, rows, kind=str(kind), scale_only=scale_only, source=str(points))
    metric = found.apply(relative)
    with atomic_path(out) as temporary:
        np.save(temporary, metric)
    missing = int(np.count_nonzero(np.isnan(metric)))
    if report is not None:
        write_json(report, _report(found, rows, missing))
    return found, missing


def _report(found: Calibration, rows: NDArray[np.float64], missing: int) -> dict[str, Any]:
    """What the JSON file holds; what is not known is null."""

    def known(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    columns = (found.values, found.fitted, found.left_out, found.errors)
    names = ("value", "fitted", "left_out", "error")
    return {
        "kind": found.kind,
        "scale": found.scale,
        "shift": found.shift,
        "expected_error": known(found.expected),
        "pixels_without_distance": missing,
        "points": [
            dict(zip(COLUMNS, map(float, row), strict=True)) | dict(zip(names, map(known, rest), strict=True))
            for row, *rest in zip(rows, *columns, strict=True)
        ],
    }
