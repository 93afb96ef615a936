"""Outputs never meet inputs, nor each other, however their paths are written."""

import os

import pytest

from dad.errors import UserError
from dad.outputs import check_outputs


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with photos, a link to it, a hard link and a link to one photo, a file and a list."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos/sub").mkdir(parents=True)
    for name in ("photos/a.jpg", "file", "list.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("photos")
    (tmp_path / "soft.csv").symlink_to("list.txt")
    os.link("list.txt", "hard.csv")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    "out", ["photos", "photos/", "photos/maps", "photos/sub/deep", "link", "link/maps", "out/../photos", "./photos/x"]
)
def test_a_folder_of_outputs_is_not_in_what_is_searched(place, out):
    with pytest.raises(UserError, match=r"--out .*(lies inside|is) the images"):
        check_outputs(folders={"--out": out}, searched={"the images": ["photos"]})
    with pytest.raises(UserError, match="the images"):
        check_outputs(folders={"--out": out}, searched={"the images": [place / "link"]})


@pytest.mark.parametrize("out", ["list.txt", "soft.csv", "hard.csv", "photos/../list.txt"])
def test_a_file_that_is_read_is_not_written(place, out):
    with pytest.raises(UserError, match="is --list, which is read"):
        check_outputs(files={"--out": out}, read={"--list": "list.txt"})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a.csv", "a.csv"),
        ("a.csv", "./a.csv"),
        ("a.csv", "new/../a.csv"),
        ("a.csv", "A.CSV"),
        ("é.csv", "e\u0301.csv"),
        ("soft.csv", "list.txt"),
    ],
)
def test_two_outputs_are_two_files(place, one, two):
    with pytest.raises(UserError, match="--summary .* is the same as --out"):
        check_outputs(files={"--out": one, "--summary": two})


@pytest.mark.parametrize(
    ("kind", "out", "message"),
    [
        ("files", "photos", "is a folder"),
        ("files", "file/a.csv", "lies below .*file"),
        ("files", "loop", "link"),
        ("files", "a" * 300, "too long"),
        ("folders", "file", "is a file"),
        ("folders", "file/a", "lies below .*file"),
        ("folders", "loop", "link"),
        ("folders", "a\0b", "NUL"),
        ("folders", "/dev/null", "no regular file"),
    ],
)
def test_an_output_is_of_its_kind_and_can_be_made(place, kind, out, message):
    with pytest.raises(UserError, match=message) as caught:
        check_outputs(**{kind: {"--out": out}})
    assert "\n" not in str(caught.value)


def test_what_is_apart_is_accepted(place):
    check_outputs(
        files={"--out": "out/a.csv", "--summary": "out/a.json", "--none": None},
        folders={"--previews": "photos-maps"},
        searched={"the images": ["photos", "file"], "nothing": None},
        read={"--list": "list.txt"},
    )
    check_outputs(folders={"--out": "."}, searched={"the images": "photos"})


def test_a_table_may_lie_beside_the_images_it_is_about_but_no_image_may(place):
    check_outputs(files={"--out": "photos/scores.csv"}, searched={"--root": "photos"})
    for name in ("photos/a.jpg", "photos/new.PNG", "photos/sub/a.npy", "link/a.tar"):
        with pytest.raises(UserError, match="lies inside --root"):
            check_outputs(files={"--out": name}, searched={"--root": "photos"})
