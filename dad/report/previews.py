"""The contact sheet of a table: what its teacher and students make of some photos and of unseen benchmark images."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dad.data.benchmarks import open_benchmark
from dad.data.manifest import open_photos
from dad.models.estimator import AnyEstimator, load
from dad.report.contact_sheet import contact_sheet
from dad.study.cells import table_rows
from dad.study.config import StudyConfig
from dad.study.paper import paper

PER_SOURCE = 2
"""Pictures from the training photos and from each benchmark."""
LARGEST = 512
"""Longest side in pixels at which pictures are predicted and shown."""


def contact_sheet_of_table(study: StudyConfig, table: str, results: Path, out: Path) -> Path:
    """Predict a few pictures with the teacher and the first seed's students of a table; writes OUT/<table>_photos.png.

    Reads the models from RESULTS/<study>/runs, the photos from RESULTS/<study>/photos.jsonl. Beside the sheet of all, every student
    gets a small one of its own in RESULTS/<study>/previews, which tracking attaches to its run.
    """
    root = results / study.name
    pictures = _pictures(study, root)
    layout = paper().table(table)
    heading = f"teacher\n{study.teacher}"
    teacher = load(study.teacher, short_side=study.crop.size)
    maps = {heading: [_predict(teacher, pixels) for _, pixels in pictures]}
    for row in table_rows(study, table):
        if row.cells:
            title = "\n".join(layout.label(factor, level) for factor, level in row.factors.items())
            cell = next(iter(row.cells))
            student = load(root / "runs" / cell)
            maps[title] = [_predict(student, pixels) for _, pixels in pictures]
            contact_sheet(pictures, {key: maps[key] for key in (heading, title)}, root / "previews" / f"{cell}.png", title=cell)
    path = out / f"{table}_photos.png"
    caption = f"Study {study.name}: {study.description}. Disparity, each map with a colour scale of its own (red = near)."
    contact_sheet(pictures, maps, path, title=caption)
    return path


def _pictures(study: StudyConfig, root: Path) -> list[tuple[str, NDArray[np.uint8]]]:
    """Photos spread over the training set, then the first unseen images of every benchmark."""
    photos = open_photos(root / "photos.jsonl")
    chosen = np.unique(np.linspace(0, len(photos) - 1, PER_SOURCE).astype(int))
    pictures = [(f"training photo {photos.id(i)}", _shrunk(photos.read(i))) for i in chosen]
    for config in study.scored:
        benchmark = open_benchmark(config.dataset, Path(config.root or root / "benchmarks" / config.dataset))
        for index in range(min(PER_SOURCE, len(benchmark))):
            sample = benchmark[index * (len(benchmark) // PER_SOURCE)]
            pictures.append((f"unseen, {config.dataset} {sample.id}", _shrunk(sample.rgb)))
    return pictures


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = LARGEST / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _predict(estimator: AnyEstimator, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    rgb = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
    return estimator(rgb)[0, 0].cpu().numpy()
