"""The contact sheet of a table: what all that is in it makes of some photos and of unseen benchmark images."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dad.analysis.columns import beside_label, reasons, table_columns
from dad.analysis.provenance import short_name
from dad.evaluation.score import score_fitted
from dad.report.grid import Column, Grid, Tile, error_tile, map_tile
from dad.report.pictures import (
    Picture,
    aligned_disparity,
    load_student,
    own_map,
    photo_pictures,
    pictures_of,
    relative_error,
    thickened,
    with_exact_depth,
)
from dad.report.style import save_png, styled
from dad.study.cells import Row, beside_rows, table_rows
from dad.study.config import FolderPhotos, ScenePhotos, StudyConfig
from dad.study.layout import Layout
from dad.study.table import Table
from dad.study.tables import table_of

if TYPE_CHECKING:
    from dad.models.estimator import AnyEstimator

PER_SOURCE = 2
"""Pictures from the training photos and from each benchmark."""
TILE = 1.35
"""Width of a column in inches."""


def contact_sheet_of_table(study: StudyConfig, table: str, results: Path, out: Path) -> Path:
    """Predict a few pictures with everything that stands in a table, a column each; writes OUT/<table>_photos.png.

    Columns are the models above the rows (teachers, what students start from, no skill), then the rows: the model that
    is scored as is, or the first seed's student; rows that were not run are named in the title. Reads the students from
    RESULTS/<study>/runs and the photos from the manifest of the set that the table's first student is trained on.

    Where the truth is known, maps are aligned to it by the study's first protocol and share its scale of colours; they
    carry their AbsRel, and their errors stand below. Beside the sheet of all, every student gets a small one of its
    own, with its teacher, in RESULTS/<study>/previews, which tracking attaches to its run.
    """
    from dad.models.estimator import load

    layout, form, rows = Layout(study, results), table_of(study, table), table_rows(study, table)
    photos = [
        with_exact_depth(one) for one in photo_pictures(layout.manifest(training_photos(study, rows)), PER_SOURCE)
    ]
    shown = [column.dataset for column in table_columns(study, table) if not column.over]
    pictures = [*photos, *pictures_of(layout, shown, PER_SOURCE)]
    columns: list[Column] = [("photo, truth", sheet_photos(pictures))]

    @functools.cache
    def of_model(model: str) -> list[Tile]:
        return sheet_maps(load(model), pictures, study.protocols[0])

    for row in (*beside_rows(study, table), *rows):
        if row.model:
            columns.append((column_title(form, row), of_model(row.model)))
        elif row.cells:
            name, cell = next(iter(row.cells.items()))
            columns.append(
                (column_title(form, row), sheet_maps(load_student(layout, name), pictures, study.protocols[0]))
            )
            teacher = (f"teacher\n{short_name(cell.teacher)}", of_model(cell.teacher))
            _write(pictures, [columns[0], teacher, columns[-1]], name, layout.root / "previews" / f"{name}.png")
    lines = [f"Study {study.name}: {study.description}. Training photos and unseen images."]
    lines += [f"Not shown, because {reason}: {'; '.join(labels)}." for reason, labels in reasons(form, rows).items()]
    _write(pictures, columns, "\n".join(lines), out / f"{table}_photos.png")
    return out / f"{table}_photos.png"


def sheet_rows(pictures: list[Picture]) -> list[str]:
    """The rows' titles: place and file, in two lines that fit; a labelled picture has a second row below its own."""
    titles = []
    for picture in pictures:
        titles += [f"{picture.place}\n{Path(picture.id).stem}", *(["truth, errors"] if picture.labelled else [])]
    return titles


def sheet_photos(pictures: list[Picture]) -> list[Tile]:
    """The first column: the pictures, and below the labelled ones their truth."""
    tiles = []
    for picture in pictures:
        tiles += [Tile(picture.rgb), *([map_tile(picture.drawn_truth)] if picture.labelled else [])]
    return tiles


def sheet_maps(estimator: "AnyEstimator", pictures: list[Picture], protocol: str) -> list[Tile]:
    """An estimator's column: maps as a protocol aligns them, on the truth's scale, and their errors below.

    Without a truth there is nothing to align to: such a map has a scale of its own.
    """
    tiles = []
    for picture in pictures:
        if not picture.labelled:
            tiles.append(own_map(estimator, picture))
            continue
        fitted = picture.fitted(estimator, protocol)
        label, error = f"{score_fitted(fitted)['abs_rel']:.3f}", relative_error(fitted)
        tiles.append(map_tile(aligned_disparity(fitted), like=picture.drawn_truth, label=label))
        tiles.append(error_tile(thickened(error, np.isfinite(error))))
    return tiles


def _write(pictures: list[Picture], columns: list[Column], title: str, path: Path) -> None:
    labelled = any(picture.labelled for picture in pictures)
    with styled():
        grid = Grid(sheet_rows(pictures), columns, title=title, tile=TILE, foot=0.76 if labelled else 0.42)
        if labelled:
            grid.key("disparity; where the truth is known, on its scale")
            grid.error_key("error; the number on a map is AbsRel", below=0.44)
        else:
            grid.key()
        save_png(grid.figure, path)


def training_photos(study: StudyConfig, rows: list[Row]) -> ScenePhotos | FolderPhotos:
    """The photos that the table's first student is trained on; the study's where it has none."""
    return next((cell.photos for row in rows for cell in row.cells.values()), study.photos)


def column_title(layout: Table, row: Row) -> str:
    """The row in the table's words, or what a model above the rows is, and the model that is scored as is."""
    lines = [layout.label(*pair) for pair in row.factors.items()] if row.role == "row" else [beside_label(row)]
    return "\n".join([*lines, *([short_name(row.model)] if row.model and row.role != "no-skill" else [])])
