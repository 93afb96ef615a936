"""The contact sheet of a table: which columns and pictures it has. Networks, photos and benchmarks are stood in for."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dad.report import previews
from dad.study.cells import table_rows

PHOTO = np.full((24, 32, 3), 90, np.uint8)


class Photos:
    def __len__(self):
        return 5

    def id(self, index):
        return f"{index}.png"

    def read(self, index):
        return PHOTO


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
        kind = "depth" if str(model) == "zoo/diffusion" else "disparity"
        return Network(kind)

    monkeypatch.setattr(previews, "load", load)
    monkeypatch.setattr(previews, "open_photos", lambda path: opened.append(path.name) or Photos())
    sample = SimpleNamespace(id="rgb/0.png", rgb=PHOTO)
    monkeypatch.setattr(previews, "benchmark_of", lambda study, root, dataset: [sample, sample, sample])
    monkeypatch.setattr(previews, "contact_sheet", lambda *args, title: sheets.append((*args, title)))

    def draw(table, study=whole):
        path = previews.contact_sheet_of_table(study, table, tmp_path / "results", tmp_path / "reports")
        pictures, maps, out, title = sheets[-1]
        assert path == out == tmp_path / "reports" / f"{table}_photos.png"
        small = [sheet[2].name for sheet in sheets[:-1]]
        names = [name for name, _ in pictures]
        return SimpleNamespace(titles=list(maps), maps=maps, pictures=names, title=title, opened=opened, small=small)

    return draw


def test_teachers_without_a_row_come_first_and_every_student_gets_a_sheet_of_its_own(drawn, whole):
    found = drawn("table3")
    assert found.titles[:3] == ["teacher\nzoo/big", "teacher\nzoo/midas-big", "DA-L\nDA-S\nBase"]
    assert len(found.titles) == 2 + 6
    assert found.small == [f"{name}.png" for row in table_rows(whole, "table3") for name in row.cells]
    assert found.opened.count("zoo/big") == 1
    assert "photos-12.jsonl" in found.opened


def test_estimators_are_columns_and_depth_is_turned_round(drawn):
    found = drawn("table4")
    assert found.titles[:2] == ["DepthAnything v2 (w/o)\nzoo/big", "Genpercept(Disparity) (w/o)\nzoo/diffusion"]
    teacher, assistant = (found.maps[title][0] for title in found.titles[:2])
    assert (assistant == -teacher).all()


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


def test_a_long_title_takes_the_lines_it_needs(tmp_path):
    from dad.report.contact_sheet import contact_sheet

    maps = {"one": [np.zeros((24, 32), np.float32)]}
    heights = []
    for name, title in (("short.png", "few words"), ("long.png", "many words " * 20)):
        contact_sheet([("a", PHOTO)], maps, tmp_path / name, title=title, tile=80)
        heights.append(Image.open(tmp_path / name).height)
    assert heights[1] > heights[0] + 50
