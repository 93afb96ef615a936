"""The contact sheet of a table: which columns and pictures it has. Networks, photos and benchmarks are stood in for."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dad.models import estimator
from dad.report import contact_sheet
from dad.report.colour import NO_VALUE, colourise
from dad.report.contact_sheet import sheet_maps, sheet_photos, sheet_rows
from dad.report.pictures import Picture, with_exact_depth
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

    def unseen(layout, datasets, count):
        return [Picture(name, f"rgb/{index}.png", PHOTO) for name in datasets for index in range(count)]

    monkeypatch.setattr(estimator, "load", load)
    monkeypatch.setattr(contact_sheet, "load_student", lambda layout, cell: load(cell))
    monkeypatch.setattr(contact_sheet, "photo_pictures", photos)
    monkeypatch.setattr(contact_sheet, "pictures_of", unseen)
    whole_grid = contact_sheet.Grid

    def keep(rows, columns, *, title, **options):
        sheets.append((rows, columns, title))
        return whole_grid(rows, columns, title=title, **options)

    monkeypatch.setattr(contact_sheet, "Grid", keep)

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
    teachers = ["the teacher\nzoo/big", "the teacher\nzoo/midas-big"]
    shipped = [f"the student's network as shipped\n{model}" for model in ("zoo/small", "zoo/midas-small")]
    assert found.titles[:4] == [*teachers, *shipped]
    assert found.titles[4:7] == [
        "no skill: the best constant",
        "no skill: a gradient from sky to ground",
        "DA-L\nDA-S\nBase",
    ]
    assert len(found.titles) == 2 + 2 + 2 + 12
    assert found.small == sorted(f"{name}.png" for row in table_rows(whole, "table3") for name in row.cells)
    assert found.opened.count("zoo/big") == 1
    assert "photos-12.jsonl" in found.opened


def test_estimators_are_columns_and_depth_is_turned_round(drawn):
    found = drawn("table4")
    both = ["DepthAnything v2 (w/o)\nzoo/big", "Genpercept(Disparity) (w/o)\nzoo/diffusion"]
    assert [title for title in found.titles if "(w/o)" in title] == both
    teacher, assistant = (found.columns[title][0].pixels for title in both)
    ramp = np.arange(24 * 32, dtype=np.float32).reshape(24, 32)
    assert np.array_equal(teacher, colourise(ramp)) and np.array_equal(assistant, colourise(-ramp))


def test_pictures_are_of_the_tables_benchmarks_and_its_photos(drawn):
    assert len(drawn("table1").pictures) == 2 + 2 * 2
    found = drawn("table5")
    assert len(found.pictures) == 2 + 5 * 2
    assert "photos-80.jsonl" in found.opened  # the largest set of the scaling curve
    assert "Not shown, because printed only: the study names no model of this method: DiverseDepth;" in found.title


def test_with_a_truth_maps_are_aligned_and_their_errors_stand_below():
    depth = np.linspace(1, 5, 24 * 32, dtype=np.float32).reshape(24, 32)
    disparity = torch.from_numpy(1 / depth)[None, None]

    class Right(Network):
        def __call__(self, rgb):
            return 7 * disparity + 3

    class Wrong(Network):
        def __call__(self, rgb):
            return torch.ones_like(disparity) + 0.01 * disparity.flip(-2)

    labelled = Picture("scenes-indoor", "rgb/0.png", PHOTO, depth, depth < 4.5)
    both = [Picture("photos", "0.png", PHOTO), labelled]
    assert sheet_rows(both) == ["photos\n0", "scenes-indoor\n0", "truth, errors"]
    _, photo, truth = sheet_photos(both)
    assert photo.pixels is PHOTO and not (truth.pixels[0] == NO_VALUE).all() and (truth.pixels[-1] == NO_VALUE).all()
    alone, aligned, error = sheet_maps(Right("disparity"), both, "marigold")
    assert (alone.label, aligned.label) == ("", "0.000")
    known = labelled.mask
    assert np.array_equal(aligned.pixels[known], truth.pixels[known])
    assert error.pixels[known].max() <= 4 and (error.pixels[~known] == NO_VALUE).all()
    _, worse, wrong = sheet_maps(Wrong("disparity"), both, "marigold")
    assert float(worse.label) > 0.05 and wrong.pixels[known].mean() > error.pixels[known].mean() + 20


def test_large_maps_are_measured_whole_and_coloured_as_they_are_drawn():
    depth = np.linspace(1, 5, 1000 * 1600, dtype=np.float32).reshape(1000, 1600)
    mask = np.ones(depth.shape, bool)
    mask[::2] = False  # every block that becomes a pixel still has a truth

    class Right(Network):
        def __call__(self, rgb):
            return torch.from_numpy(1 / depth)[None, None]

    picture = Picture("eth3d", "0.jpg", np.zeros((1000, 1600, 3), np.uint8), depth, mask)
    aligned, error = sheet_maps(Right("disparity"), [picture], "marigold")
    [photo, truth] = sheet_photos([picture])
    assert {tile.pixels.shape for tile in (photo, truth, aligned, error)} == {(500, 800, 3)}
    assert aligned.label == "0.000" and error.pixels.max() <= 4
    assert not (truth.pixels == NO_VALUE).all(-1).any()
    assert np.abs(aligned.pixels.astype(int) - truth.pixels).mean() < 1


def test_a_picture_of_a_real_benchmark_has_the_papers_spelling_of_it():
    def place(source):
        return Picture(source, "rgb/7.jpg", np.zeros((2, 2, 3), np.uint8)).place

    assert [place(source) for source in ("eth3d", "nyuv2", "kitti", "scannet")] == [
        "ETH3D",
        "NYUv2",
        "KITTI",
        "ScanNet",
    ]
    assert place("scenes-indoor") == "scenes-indoor" and place("photos") == "photos"


def test_a_rendered_photo_brings_its_truth(tmp_path):
    (tmp_path / "indoor" / "depth").mkdir(parents=True)
    depth = np.full((24, 32), 2, np.float32)
    depth[0] = 0
    np.save(tmp_path / "indoor" / "depth" / "7.npy", depth)
    picture = with_exact_depth(Picture("photos", "indoor/rgb/7.png", PHOTO, root=tmp_path))
    assert picture.labelled and picture.mask.sum() == 23 * 32
    assert not with_exact_depth(Picture("photos", "indoor/rgb/8.png", PHOTO, root=tmp_path)).labelled
    shrunk = Picture("photos", "indoor/rgb/7.png", PHOTO[::2, ::2], root=tmp_path)
    assert not with_exact_depth(shrunk).labelled


def test_a_table_without_students_still_has_its_sheet(drawn, study):
    found = drawn("table3", study)
    assert found.titles == [
        "the teacher\nzoo/big",
        "no skill: the best constant",
        "no skill: a gradient from sky to ground",
    ]
    rows = "; ".join(f"DA-L, DA-S, {loss}" for loss in ("Base", "Base + random crops", "Base + both contexts", "Ours"))
    assert f"Not shown, because the study names no da-l and no da-s (architectures): {rows}." in found.title


def test_the_same_input_gives_the_same_bytes(drawn):
    first = drawn("table1").path.read_bytes()
    assert drawn("table1").path.read_bytes() == first
    assert Image.open(drawn("table1").path).width > 9 * contact_sheet.TILE * 200
