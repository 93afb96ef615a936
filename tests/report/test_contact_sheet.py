"""The contact sheet of a table: which columns and pictures it has. Networks, photos and benchmarks are stood in for."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dad.models import estimator
from dad.report import contact_sheet
from dad.report.colour import colourise
from dad.report.pictures import Picture
from dad.study.cells import table_rows

PHOTO = np.full((24, 32, 3), 90, np.uint8)


class Network:
    def __init__(self, kind):
        self.kind = kind

    def __call__(self, rgb):
        one = rgb[:, :1]
        return torch.arange(one.numel(), dtype=torch.float32).reshape(one.shape)


@pytest.fixture
def drawn(monkeypatch, whole, study, tmp_path):
    """Draw a table's sheet; returns what went into it: titles, pictures, the caption, and what was opened."""
    opened, sheets = [], []

    def load(model):
        opened.append(str(model))
        return Network("depth" if str(model) == "zoo/diffusion" else "disparity")

    def photos(manifest, count):
        opened.append(manifest.name)
        return [Picture("photos", f"{index}.png", PHOTO) for index in range(count)]

    def unseen(study, layout, datasets, count):
        return [Picture(name, f"rgb/{index}.png", PHOTO) for name in datasets for index in range(count)]

    monkeypatch.setattr(estimator, "load", load)
    monkeypatch.setattr(contact_sheet, "load_student", lambda layout, cell: load(cell))
    monkeypatch.setattr(contact_sheet, "photo_pictures", photos)
    monkeypatch.setattr(contact_sheet, "pictures_of", unseen)
    whole_grid = contact_sheet.picture_grid

    def keep(rows, columns, *, title, tile):
        sheets.append((rows, columns, title))
        return whole_grid(rows, columns, title=title, tile=tile)

    monkeypatch.setattr(contact_sheet, "picture_grid", keep)

    def draw(table, study=whole):
        path = contact_sheet.contact_sheet_of_table(study, table, tmp_path / "results", tmp_path / "reports")
        assert path == tmp_path / "reports" / f"{table}_photos.png"
        pictures, columns, title = sheets[-1]
        small = sorted(one.name for one in (tmp_path / "results" / study.name / "previews").glob("*.png"))
        titles = [name for name, _ in columns[1:]]
        return SimpleNamespace(
            titles=titles, columns=dict(columns), pictures=pictures, title=title, opened=opened, small=small, path=path
        )

    return draw


def test_teachers_without_a_row_come_first_and_every_student_gets_a_sheet_of_its_own(drawn, whole):
    found = drawn("table3")
    assert found.titles[:3] == ["teacher\nzoo/big", "teacher\nzoo/midas-big", "DA-L\nDA-S\nBase"]
    assert len(found.titles) == 2 + 6
    assert found.small == sorted(f"{name}.png" for row in table_rows(whole, "table3") for name in row.cells)
    assert found.opened.count("zoo/big") == 1
    assert "photos-12.jsonl" in found.opened


def test_estimators_are_columns_and_depth_is_turned_round(drawn):
    found = drawn("table4")
    assert found.titles[:2] == ["DepthAnything v2 (w/o)\nzoo/big", "Genpercept(Disparity) (w/o)\nzoo/diffusion"]
    teacher, assistant = (found.columns[title][0].pixels for title in found.titles[:2])
    ramp = np.arange(24 * 32, dtype=np.float32).reshape(24, 32)
    assert np.array_equal(teacher, colourise(ramp)) and np.array_equal(assistant, colourise(-ramp))


def test_pictures_are_of_the_tables_benchmarks_and_its_photos(drawn):
    assert len(drawn("table1").pictures) == 2 + 2 * 2
    found = drawn("table5")
    assert len(found.pictures) == 2 + 5 * 2
    assert "photos-80.jsonl" in found.opened  # the largest set of the scaling curve
    assert "Not shown, because printed only: the study names no model of this method: DiverseDepth;" in found.title


def test_a_table_without_students_still_has_its_sheet(drawn, study):
    found = drawn("table3", study)
    assert found.titles == ["teacher\nzoo/big"]
    assert (
        "Not shown, because the study names no da-l and no da-s (architectures): DA-L, DA-S, Base; DA-L, DA-S, Ours." in found.title
    )


def test_the_same_input_gives_the_same_bytes(drawn):
    first = drawn("table1").path.read_bytes()
    assert drawn("table1").path.read_bytes() == first
    assert Image.open(drawn("table1").path).width > 9 * contact_sheet.TILE * 200
