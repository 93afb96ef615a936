"""What the image comparer shows: benchmark images with the maps of teacher, assistant and students, each aligned to the
truth.

A map is stored as 8-bit codes of aligned disparity and coloured in the browser, so that one colour scale can be common
to all maps of an image, and every map can have its own as well.
"""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from dad.analysis.columns import row_label
from dad.analysis.provenance import short_name
from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.evaluation.score import score_fitted
from dad.report.colour import ENDS, shrunk, smaller
from dad.report.page.figures import webp
from dad.report.pictures import Picture, aligned_disparity, pictures_of
from dad.study.cells import Row, table_rows
from dad.study.layout import Layout
from dad.study.tables import table_of

TABLES = ("table2", "table4", "table5")
"""Whose first-seed students are shown; all tables together would be a page of a hundred megabytes for a large study."""
PER_DATASET = 4
LARGEST = 320
"""Longest side in pixels of what is stored."""
ROOM = 0.5
"""How far beyond the ends of the common scale values are kept, in lengths of the scale."""
COLOURS = {"spectral": "Spectral_r", "viridis": "viridis", "grey": "gray"}


@dataclass(frozen=True)
class Compared:
    """One estimator of the comparer."""

    key: str
    label: str
    group: str
    source: str
    """What `dad.models.load` takes."""


@dataclass(frozen=True)
class ComparerView:
    """The comparer's data as JSON text safe inside a script element, its choices, and what could not be shown."""

    data: str
    methods: tuple[Compared, ...]
    datasets: Mapping[str, list[tuple[int, str, str]]]
    """Data set -> its images: number, name, and the photo's data address."""
    protocol: str
    absent: tuple[tuple[str, str], ...]
    """(what, why)."""
    colours = tuple(COLOURS)

    @property
    def made(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.datasets and self.methods)

    @property
    def choices(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """What can be shown on a side: (group, its (key, label) pairs)."""
        yield "The image", [("photo", "photo"), ("truth", "ground truth")]
        for group, methods in itertools.groupby(self.methods, key=lambda method: method.group):
            yield group, [(method.key, method.label) for method in methods]


def comparer_view(layout: Layout) -> ComparerView:
    """Predict `PER_DATASET` images of every benchmark with every method that exists among the study's results."""
    from dad.models import load

    absent: list[tuple[str, str]] = []
    protocol = layout.study.protocols[0]
    pictures = list(_pictures(layout, absent))
    photos = [smaller(picture.rgb, LARGEST) for picture in pictures]
    images = [_image(picture, photo) for picture, photo in zip(pictures, photos, strict=True)]
    shown = []
    for method in comparer_methods(layout) if pictures else ():
        try:
            estimator = load(method.source)
            fitted = [picture.fitted(estimator, protocol) for picture in pictures]
        except (UserError, OSError) as error:
            absent.append((method.label, " ".join(str(error).split())))
            continue
        shown.append(method)
        for image, one, picture in zip(images, fitted, pictures, strict=True):
            score = _rounded(score_fitted(one)["abs_rel"])
            image["maps"][method.key] = _stored(aligned_disparity(one), _scale(picture)) | {"score": score}
    text = json.dumps({"colours": {name: _colours(name) for name in COLOURS}, "images": images}, separators=(",", ":"))
    datasets: dict[str, list[tuple[int, str, str]]] = {}
    for place, (picture, photo) in enumerate(zip(pictures, photos, strict=True)):
        datasets.setdefault(picture.source, []).append((place, picture.id, webp(photo)))
    return ComparerView(text.replace("<", "\\u003c"), tuple(shown), datasets, load_protocol(protocol).id, tuple(absent))


def comparer_methods(layout: Layout) -> list[Compared]:
    """The estimators that tables score as is, then the students of `TABLES` whose weights exist; each once."""
    places: dict[str, list[Row]] = {}
    for row in (row for table in TABLES for row in table_rows(layout.study, table)):
        for key in row.subjects[:1]:  # the first seed's
            if row.model or layout.weights(key).is_file():
                places.setdefault(key, []).append(row)
    return sorted((_method(layout, *place) for place in places.items()), key=lambda method: method.group)


def _method(layout: Layout, key: str, rows: Sequence[Row]) -> Compared:
    study = layout.study
    forms = [table_of(study, row.table) for row in rows]
    (table, words), *others = [(form.name, row_label(form, row)) for form, row in zip(forms, rows, strict=True)]
    if model := rows[0].model:
        roles = {study.teacher: "teacher"} | ({study.assistant.model: "assistant"} if study.assistant else {})
        return Compared(key, f"{roles.get(model, words)}, {short_name(model)}", "Estimators as they are", model)
    also = "".join(f" (also {other}: {text})" for other, text in others)
    return Compared(key, f"{table}: {words}{also}", "Students, first seed", str(layout.run(key)))


def _pictures(layout: Layout, absent: list[tuple[str, str]]) -> Iterator[Picture]:
    """Images spread evenly over every data set; one that is not there is named in `absent`."""
    for config in layout.study.scored:
        try:
            found = pictures_of(layout, [config.dataset], PER_DATASET)
        except UserError as error:
            absent.append((config.dataset, str(error)))
            continue
        yield from (picture for picture in found if picture.labelled)


def _truth(picture: Picture) -> NDArray[np.float64]:
    """The truth's disparity (H,W), NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(picture.mask, 1 / picture.depth.astype(np.float64), np.nan)


def _scale(picture: Picture) -> tuple[float, float]:
    """The ends of an image's common scale: the truth's 2nd and 98th percentiles."""
    low, high = np.percentile(_truth(picture)[picture.mask], ENDS)
    return float(low), float(high if high > low else low + 1e-6)


def _image(picture: Picture, photo: NDArray[np.uint8]) -> dict[str, Any]:
    """An image's entry: its photo's width and height and the truth; the methods add their maps."""
    height, width = photo.shape[:2]
    return {"width": width, "height": height, "maps": {"truth": _stored(_truth(picture), _scale(picture))}}


def _stored(disparity: NDArray[np.float64], scale: tuple[float, float]) -> dict[str, Any]:
    """A map as codes 1 to 255 from `low` to `high` (in lengths of the common scale, 0 and 1 being its ends), 0 where
    there is none.

    `own` holds the ends of the map's own colour scale in the same unit.
    """
    values = shrunk((disparity - scale[0]) / (scale[1] - scale[0]), LARGEST)
    finite = np.isfinite(values)
    known = values[finite] if finite.any() else np.array([0.0, 1.0])
    kept = np.clip(known, -ROOM, 1 + ROOM)
    low, spread = kept.min(), np.ptp(kept) or 1.0
    codes = np.zeros(values.shape, np.uint8)
    codes[finite] = 1 + np.rint(254 * (np.clip(values[finite], -ROOM, 1 + ROOM) - low) / spread)
    ends = {
        "low": _rounded(low),
        "high": _rounded(low + spread),
        "own": [_rounded(end) for end in np.percentile(known, ENDS)],
    }
    return {"source": webp(codes, exact=True)} | ends


def _colours(name: str) -> str:
    """256 RGB triples as base64."""
    table = matplotlib.colormaps[COLOURS[name]](np.arange(256), bytes=True)[:, :3]
    return base64.b64encode(np.ascontiguousarray(table).tobytes()).decode()


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
