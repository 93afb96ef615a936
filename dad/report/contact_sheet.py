"""The contact sheet of a table: what all that is in it makes of some photos and of unseen benchmark images."""

from pathlib import Path

from dad.report.frame import beside_label, row_label, table_columns
from dad.report.grid import Tile, picture_grid
from dad.report.pictures import (
    Picture,
    load_student,
    photo_pictures,
    pictures_of,
    sheet_maps,
    sheet_photos,
    sheet_rows,
    with_exact_depth,
)
from dad.report.provenance import short_name
from dad.report.style import save_png, styled
from dad.study.cells import Row, beside_rows, table_rows
from dad.study.config import FolderPhotos, ScenePhotos, StudyConfig
from dad.study.layout import Layout
from dad.study.table import Table
from dad.study.tables import table_of

PER_SOURCE = 2
"""Pictures from the training photos and from each benchmark."""
TILE = 1.35
"""Width of a column in inches."""

Column = tuple[str, list[Tile]]


def contact_sheet_of_table(study: StudyConfig, table: str, results: Path, out: Path) -> Path:
    """Predict a few pictures with everything that stands in a table, a column each; writes OUT/<table>_photos.png.

    Columns are the models above the rows (teachers, what students start from, no skill), then the rows: the model that is scored as
    is, or the first seed's student; rows that were not run are named in the title. Reads the students from RESULTS/<study>/runs and
    the photos from the manifest of the set that the table's first student is trained on.

    Where the truth is known, maps are aligned to it by the study's first protocol and share its scale of colours; they carry their
    AbsRel, and their errors stand below. Beside the sheet of all, every student gets a small one of its own, with its teacher, in
    RESULTS/<study>/previews, which tracking attaches to its run.
    """
    from dad.models.estimator import load

    layout, form, rows = Layout(study, results), table_of(study, table), table_rows(study, table)
    photos = [with_exact_depth(one) for one in photo_pictures(layout.manifest(training_photos(study, rows)), PER_SOURCE)]
    shown = [column.dataset for column in table_columns(study, table) if not column.over]
    pictures = [*photos, *pictures_of(study, layout, shown, PER_SOURCE)]
    columns: list[Column] = [("photo, truth", sheet_photos(pictures))]
    protocol = study.protocols[0]
    known: dict[str, list[Tile]] = {}

    def of_model(model: str) -> list[Tile]:
        if model not in known:
            known[model] = sheet_maps(load(model), pictures, protocol)
        return known[model]

    for row in (*beside_rows(study, table), *rows):
        if row.model:
            columns.append((column_title(form, row), of_model(row.model)))
        elif row.cells:
            name, cell = next(iter(row.cells.items()))
            columns.append((column_title(form, row), sheet_maps(load_student(layout, name), pictures, protocol)))
            teacher = (f"teacher\n{short_name(cell.teacher)}", of_model(cell.teacher))
            _write(pictures, [columns[0], teacher, columns[-1]], name, layout.root / "previews" / f"{name}.png")
    title = f"Study {study.name}: {study.description}. Training photos and unseen images." + not_shown(form, rows)
    _write(pictures, columns, title, out / f"{table}_photos.png")
    return out / f"{table}_photos.png"


def _write(pictures: list[Picture], columns: list[Column], title: str, path: Path) -> None:
    labelled = any(picture.labelled for picture in pictures)
    key = "disparity; where the truth is known, on its scale" if labelled else ""
    with styled():
        grid = picture_grid(sheet_rows(pictures), columns, title=title, tile=TILE, key=key, foot=0.64 if labelled else 0.38)
        if labelled:
            grid.error_key("error; the number on a map is AbsRel", left=grid.left(0) + 0.26, top=0.38)
        save_png(grid.figure, path)


def training_photos(study: StudyConfig, rows: list[Row]) -> ScenePhotos | FolderPhotos:
    """The photos that the table's first student is trained on; the study's where it has none."""
    return next((cell.photos for row in rows for cell in row.cells.values()), study.photos)


def column_title(layout: Table, row: Row) -> str:
    """The row in the table's words, or what a model above the rows is, and the model that is scored as is."""
    if row.role == "no-skill":
        return beside_label(row)
    lines = [layout.label(factor, level) for factor, level in row.factors.items()] if row.role == "row" else [beside_label(row)]
    return "\n".join([*lines, *([short_name(row.model)] if row.model else [])])


def not_shown(layout: Table, rows: list[Row]) -> str:
    """The rows without a column and why, as lines of the title."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            names.setdefault(row.reason, []).append(row_label(layout, row))
    return "".join(f"\nNot shown, because {reason}: {'; '.join(labels)}." for reason, labels in names.items())
