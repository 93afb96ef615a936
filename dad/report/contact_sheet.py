"""The contact sheet of a table: what its teachers, estimators and students make of some photos and of unseen benchmark images."""

from pathlib import Path

from dad.report.frame import row_label, table_columns
from dad.report.grid import Tile, picture_grid
from dad.report.pictures import Picture, load_student, map_tiles, photo_pictures, photo_tiles, pictures_of
from dad.report.provenance import short_name
from dad.report.style import save_png, styled
from dad.study.cells import Row, table_rows, teacher_rows
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

    Columns are the teachers without a row of their own, then the rows: the model that is scored as is, or the first seed's
    student; rows that were not run are named in the title. Reads the students from RESULTS/<study>/runs and the photos from the
    manifest of the set that the table's first student is trained on. Beside the sheet of all, every student gets a small one of
    its own, with its teacher, in RESULTS/<study>/previews, which tracking attaches to its run.
    """
    from dad.models.estimator import load

    layout, form, rows = Layout(study, results), table_of(study, table), table_rows(study, table)
    photos = photo_pictures(layout.manifest(training_photos(study, rows)), PER_SOURCE)
    shown = [column.dataset for column in table_columns(study, table) if not column.over]
    pictures = [*photos, *pictures_of(study, layout, shown, PER_SOURCE)]
    columns: list[Column] = [("photo", photo_tiles(pictures))]
    known: dict[str, list[Tile]] = {}

    def of_model(model: str) -> list[Tile]:
        if model not in known:
            known[model] = map_tiles(load(model), pictures)
        return known[model]

    for row in (*teacher_rows(study, table), *rows):
        if row.model:
            columns.append((column_title(form, row), of_model(row.model)))
        elif row.cells:
            name, cell = next(iter(row.cells.items()))
            columns.append((column_title(form, row), map_tiles(load_student(layout, name), pictures)))
            teacher = (f"teacher\n{short_name(cell.teacher)}", of_model(cell.teacher))
            _write(pictures, [columns[0], teacher, columns[-1]], name, layout.root / "previews" / f"{name}.png")
    title = f"Study {study.name}: {study.description}. Training photos and unseen images." + not_shown(form, rows)
    _write(pictures, columns, title, out / f"{table}_photos.png")
    return out / f"{table}_photos.png"


def _write(pictures: list[Picture], columns: list[Column], title: str, path: Path) -> None:
    with styled():
        save_png(picture_grid([picture.name for picture in pictures], columns, title=title, tile=TILE).figure, path)


def training_photos(study: StudyConfig, rows: list[Row]) -> ScenePhotos | FolderPhotos:
    """The photos that the table's first student is trained on; the study's where it has none."""
    return next((cell.photos for row in rows for cell in row.cells.values()), study.photos)


def column_title(layout: Table, row: Row) -> str:
    """The row in the table's words, or the teacher, and the model that is scored as is."""
    lines = [layout.label(factor, level) for factor, level in row.factors.items()]
    if row.factors.keys() == {"teacher"} and row.model:
        lines = ["teacher"]
    return "\n".join([*lines, *([short_name(row.model)] if row.model else [])])


def not_shown(layout: Table, rows: list[Row]) -> str:
    """The rows without a column and why, as lines of the title."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            names.setdefault(row.reason, []).append(row_label(layout, row))
    return "".join(f"\nNot shown, because {reason}: {'; '.join(labels)}." for reason, labels in names.items())
