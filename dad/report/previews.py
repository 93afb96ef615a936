"""The contact sheet of a table: what its teachers, estimators and students make of some photos and of unseen benchmark images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dad.data.manifest import open_photos
from dad.models.estimator import AnyEstimator, load
from dad.report.columns import table_columns
from dad.report.contact_sheet import contact_sheet
from dad.report.datasets import benchmark_of
from dad.report.run_facts import short_name
from dad.study.cells import Row, table_rows, teacher_rows
from dad.study.config import FolderPhotos, ScenePhotos, StudyConfig
from dad.study.paper import paper
from dad.study.photos import manifest_name

PER_SOURCE = 2
"""Pictures from the training photos and from each benchmark."""
LARGEST = 512
"""Longest side in pixels at which pictures are predicted and shown."""

Pictures = list[tuple[str, NDArray[np.uint8]]]
Maps = list[NDArray[np.float32]]


def contact_sheet_of_table(study: StudyConfig, table: str, results: Path, out: Path) -> Path:
    """Predict a few pictures with everything that stands in a table, a column each; writes OUT/<table>_photos.png.

    Columns are the teachers without a row of their own, then the rows: the model that is scored as it is, or the first seed's
    student; rows that were not run are named below the title. Reads the students from RESULTS/<study>/runs and the photos from the
    manifest of the set that the table's first student is trained on. Beside the sheet of all, every student gets a small one of its
    own, with its teacher, in RESULTS/<study>/previews, which tracking attaches to its run.
    """
    root, rows = results / study.name, table_rows(study, table)
    pictures = _pictures(study, table, root, training_photos(study, rows))
    maps: dict[str, Maps] = {}
    by_model: dict[str, Maps] = {}
    for row in (*teacher_rows(study, table), *rows):
        if row.model:
            predicted = _of_model(row.model, pictures, by_model)
        elif row.cells:
            name, cell = next(iter(row.cells.items()))
            predicted = _predictions(load(root / "runs" / name), pictures)
            both = {f"teacher\n{cell.teacher}": _of_model(cell.teacher, pictures, by_model), _title(row): predicted}
            contact_sheet(pictures, both, root / "previews" / f"{name}.png", title=name)
        else:
            continue
        maps[_title(row)] = predicted
    path = out / f"{table}_photos.png"
    caption = f"Study {study.name}: {study.description}. Disparity, each map with a colour scale of its own (red = near)."
    contact_sheet(pictures, maps, path, title=caption + _left_out(rows))
    return path


def training_photos(study: StudyConfig, rows: list[Row]) -> ScenePhotos | FolderPhotos:
    """The photos that the table's first student is trained on; the study's where it has none."""
    return next((cell.photos for row in rows for cell in row.cells.values()), study.photos)


def _title(row: Row) -> str:
    """A column's title: the row in the paper's words, or the teacher, and the model that is scored as it is."""
    layout = paper().table(row.table)
    if row.factors.keys() == {"teacher"} and row.model:
        return f"teacher\n{short_name(row.model)}"
    lines = [layout.label(factor, level) for factor, level in row.factors.items()]
    return "\n".join([*lines, *([short_name(row.model)] if row.model else [])])


def _left_out(rows: list[Row]) -> str:
    """The rows without a column and why, as lines below the title."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            layout = paper().table(row.table)
            label = ", ".join(layout.label(factor, level) for factor, level in row.factors.items())
            names.setdefault(row.reason, []).append(label)
    return "".join(f"\nNot shown, because {reason}: {'; '.join(labels)}." for reason, labels in names.items())


def _of_model(model: str, pictures: Pictures, known: dict[str, Maps]) -> Maps:
    """The predictions of a model that is no student of ours, at its own input size, as it is scored; made once."""
    if model not in known:
        known[model] = _predictions(load(model), pictures)
    return known[model]


def _predictions(estimator: AnyEstimator, pictures: Pictures) -> Maps:
    """One disparity map (H,W) per picture."""
    return [_disparity(estimator, pixels) for _, pixels in pictures]


def _disparity(estimator: AnyEstimator, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The map of an image (H,W,3), larger = nearer: a depth map is shown as its negative."""
    rgb = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    predicted = estimator(rgb)[0, 0].cpu().numpy()
    return -predicted if estimator.kind == "depth" else predicted


def _pictures(study: StudyConfig, table: str, root: Path, trained_on: ScenePhotos | FolderPhotos) -> Pictures:
    """Photos spread over the training set, then the first unseen images of every benchmark of the table."""
    photos = open_photos(root / manifest_name(trained_on))
    chosen = np.unique(np.linspace(0, len(photos) - 1, PER_SOURCE).astype(int))
    pictures = [(f"training photo {photos.id(i)}", _shrunk(photos.read(i))) for i in chosen]
    return pictures + list(_unseen(study, table, root))


def _unseen(study: StudyConfig, table: str, root: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    shown = {column.dataset for column in table_columns(study, table)}
    for config in (benchmark for benchmark in study.scored if benchmark.dataset in shown):
        benchmark = benchmark_of(study, root, config.dataset)
        for index in range(min(PER_SOURCE, len(benchmark))):
            sample = benchmark[index * (len(benchmark) // PER_SOURCE)]
            yield f"unseen, {config.dataset} {sample.id}", _shrunk(sample.rgb)


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with its longest side at most `LARGEST`."""
    factor = LARGEST / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
