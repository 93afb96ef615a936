"""What the image comparer shows: benchmark images with the maps of teacher, assistant and students, each aligned to the truth.

A map is stored as 8-bit codes of aligned disparity and coloured in the browser, so that one colour scale can be common to all maps
of an image, and every map can have its own as well.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dad.data.benchmarks import Sample
from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.evaluation.datasets import DatasetRules, dataset_rules
from dad.evaluation.fitting import Fitted, fit_image
from dad.evaluation.protocol import Protocol
from dad.evaluation.score import score_fitted
from dad.models import load
from dad.models.estimator import AnyEstimator
from dad.report.page.figures import png, webp
from dad.report.pictures import benchmark_of
from dad.report.run_facts import short_name
from dad.study.cells import Row, model_id, table_rows
from dad.study.config import StudyConfig
from dad.study.layout import Layout
from dad.study.paper import paper

TABLES = ("table2", "table4", "table5")
"""Whose first-seed students are shown; all tables together would be a page of a hundred megabytes for a large study."""
PER_DATASET = 4
LARGEST = 384
"""Longest side in pixels of what is stored."""
ENDS = (2, 98)
"""Percentiles at the ends of a colour scale, as everywhere in the project (`dad.report.colour`)."""
ROOM = 0.5
"""How far beyond the ends of the common scale values are kept, in lengths of the scale."""
COLOURS = {"spectral": "Spectral_r", "viridis": "viridis", "grey": "gray"}


@dataclass(frozen=True)
class Method:
    """One estimator of the comparer."""

    key: str
    label: str
    group: str
    source: str
    """What `dad.models.load` takes."""
    cell: str = ""


@dataclass(frozen=True)
class ComparerView:
    """The comparer's data as JSON text that is safe inside a script element, and what could not be shown."""

    data: str
    images: int
    methods: tuple[Method, ...]
    protocol: str
    absent: tuple[tuple[str, str], ...]
    """(what, why)."""

    @property
    def made(self) -> bool:
        """Whether there is anything to compare."""
        return bool(self.images and self.methods)


def comparer_view(study: StudyConfig, root: Path) -> ComparerView:
    """Predict `PER_DATASET` images of every benchmark with every method that exists under ROOT."""
    absent: list[tuple[str, str]] = []
    samples = list(_samples(study, root, absent))
    rules = load_protocol(study.protocols[0])
    images = [_image(dataset, sample) for dataset, sample, _ in samples]
    shown = []
    for method in comparer_methods(study, root) if samples else ():
        try:
            estimator = load(method.source)
            fitted = [_fitted(estimator, sample, limits, rules) for _, sample, limits in samples]
        except (UserError, OSError) as error:
            absent.append((method.label, " ".join(str(error).split())))
            continue
        shown.append(method)
        for image, one, (_, sample, _) in zip(images, fitted, samples, strict=True):
            score = _rounded(score_fitted(one)["abs_rel"])
            image["maps"][method.key] = _stored(aligned_disparity(one), _scale(sample)) | {"score": score}
    data = {
        "colours": {name: _colours(name) for name in COLOURS},
        "methods": [{"key": one.key, "label": one.label, "group": one.group, "cell": one.cell} for one in shown],
        "images": images,
    }
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return ComparerView(text, len(images), tuple(shown), rules.id, tuple(absent))


def comparer_methods(study: StudyConfig, root: Path) -> list[Method]:
    """The estimators that tables score as they are, then the students of `TABLES` whose weights exist; each once."""
    labels: dict[str, list[tuple[str, str]]] = {}
    sources: dict[str, tuple[str, str]] = {}
    for table in TABLES:
        layout = paper().table(table)
        for row in table_rows(study, table):
            words = ", ".join(layout.label(factor, level) for factor, level in row.factors.items())
            for key, source, cell in _shown(row, root):
                labels.setdefault(key, []).append((layout.name, words))
                sources.setdefault(key, (source, cell))
    # estimators before students, whatever the order of the tables
    keys = sorted(sources, key=lambda key: bool(sources[key][1]))
    return [_method(study, key, labels[key], *sources[key]) for key in keys]


def _shown(row: Row, root: Path) -> Iterator[tuple[str, str, str]]:
    """(key, what to load, cell id or nothing) of what a row shows."""
    if row.model:
        yield model_id(row.model), row.model, ""
    elif row.cells:
        cell = next(iter(row.cells))
        folder = root / "runs" / cell
        if (folder / "model.safetensors").is_file():
            yield cell, str(folder), cell


def _method(study: StudyConfig, key: str, places: list[tuple[str, str]], source: str, cell: str) -> Method:
    if not cell:
        roles = {study.teacher: "teacher"} | ({study.assistant.model: "assistant"} if study.assistant else {})
        role = roles.get(source, places[0][1])
        return Method(key, f"{role}, {short_name(source)}", "Estimators as they are", source)
    (table, words), *others = places
    also = "".join(f" (also {other}: {text})" for other, text in others)
    return Method(key, f"{table}: {words}{also}", "Students, first seed", source, cell)


def _samples(study: StudyConfig, root: Path, absent: list[tuple[str, str]]) -> Iterator[tuple[str, Sample, DatasetRules]]:
    """Images spread evenly over every data set; one that is not there is named in `absent`."""
    for config in study.scored:
        try:
            benchmark = benchmark_of(study, Layout(study, root.parent), config.dataset)
            count = min(PER_DATASET, len(benchmark))
            for number in range(count):
                sample = benchmark[number * len(benchmark) // count]
                if sample.mask.any():
                    yield config.dataset, sample, dataset_rules(benchmark)
        except UserError as error:
            absent.append((config.dataset, str(error)))


def _fitted(estimator: AnyEstimator, sample: Sample, limits: DatasetRules, rules: Protocol) -> Fitted:
    """One prediction, aligned as the tables' scores are. Raises UserError where it can not be scored."""
    rgb = torch.from_numpy(np.array(sample.rgb)).permute(2, 0, 1)[None].float() / 255
    prediction = estimator(rgb)[0, 0].float().cpu().numpy()
    names: dict[str, Any] = {"kind": estimator.kind, "protocol": rules, "dataset": limits, "image": sample.id}
    return fit_image(prediction, sample.depth, sample.mask, **names)


def aligned_disparity(fitted: Fitted) -> NDArray[np.float64]:
    """The whole map (H,W) as the protocol aligns it to the truth, in 1/metres (1/unit of the truth), larger = nearer."""
    aligned = fitted.transform(fitted.prediction).astype(np.float64)
    if fitted.rules.score_domain == "depth":
        with np.errstate(divide="ignore"):
            aligned = 1 / aligned
    return aligned


def _truth(sample: Sample) -> NDArray[np.float64]:
    """The truth's disparity (H,W), NaN where there is none."""
    truth = np.full(sample.depth.shape, np.nan)
    truth[sample.mask] = 1 / sample.depth[sample.mask].astype(np.float64)
    return truth


def _scale(sample: Sample) -> tuple[float, float]:
    """The ends of an image's common scale: the truth's 2nd and 98th percentiles."""
    low, high = np.percentile(_truth(sample)[sample.mask], ENDS)
    return float(low), float(high if high > low else low + 1e-6)


def _image(dataset: str, sample: Sample) -> dict[str, Any]:
    """An image's entry: the photo and the truth; the methods add their maps."""
    photo = Image.fromarray(sample.rgb)
    photo.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return {
        "dataset": dataset,
        "name": sample.id,
        "width": photo.width,
        "height": photo.height,
        "photo": webp(photo),
        "maps": {"truth": _stored(_truth(sample), _scale(sample))},
    }


def _stored(disparity: NDArray[np.float64], scale: tuple[float, float]) -> dict[str, Any]:
    """A map as codes 1 to 255 from `low` to `high` (in lengths of the common scale, 0 and 1 being its ends), 0 where there is none.

    `own` holds the ends of the map's own colour scale in the same unit.
    """
    values = _reduced((disparity - scale[0]) / (scale[1] - scale[0]))
    finite = np.isfinite(values)
    if not finite.any():
        return {"source": png(np.zeros(values.shape, np.uint8)), "low": 0, "high": 1, "own": [0, 1]}
    own = np.percentile(values[finite], ENDS)
    kept = np.clip(values, -ROOM, 1 + ROOM)
    low, high = float(kept[finite].min()), float(kept[finite].max())
    spread = high - low if high > low else 1.0
    codes = np.zeros(values.shape, np.uint8)
    codes[finite] = 1 + np.rint(254 * (kept[finite] - low) / spread)
    return {"source": png(codes), "low": _rounded(low), "high": _rounded(low + spread), "own": [_rounded(end) for end in own]}


def _reduced(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A map (H,W) with its longest side at most `LARGEST`: means over what is finite, NaN where nothing is."""
    factor = LARGEST / max(values.shape)
    if factor >= 1:
        return values
    size = (round(values.shape[1] * factor), round(values.shape[0] * factor))
    finite = np.isfinite(values)
    totals, weights = (
        np.asarray(Image.fromarray(part.astype(np.float32)).resize(size, Image.Resampling.BOX), np.float64)
        for part in (np.where(finite, values, 0), finite)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weights > 0.01, totals / weights, np.nan)


def _colours(name: str) -> str:
    """256 RGB triples as base64."""
    table = matplotlib.colormaps[COLOURS[name]](np.arange(256), bytes=True)[:, :3]
    return base64.b64encode(np.ascontiguousarray(table).tobytes()).decode()


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
