"""One rule says which files are found, in folders and in tars, for every verb that searches."""

import io
import os
import socket
import tarfile

import pytest

from dad.data.benchmarks.files import Folder, Tar
from dad.data.manifest import find_photos
from dad.data.walk import hidden, members, walk
from dad.errors import UserError
from dad.prediction import find_images


@pytest.fixture
def folder(tmp_path):
    """Photos between everything that other systems and programs leave in a folder."""
    root = tmp_path / "photos"
    for name in (
        *(
            "b.jpg",
            "a.png",
            "sub/c.jpg",
            "._b.jpg",
            ".b.abcd.tmp.png",
            ".cache/d.jpg",
            "__MACOSX/b.jpg",
            "Thumbs.db",
            "@eaDir/b.jpg",
        ),
        "notes.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "e.jpg").write_bytes(b"xyz")
    (root / "linked").symlink_to(outside)
    (root / "alias.jpg").symlink_to("b.jpg")
    (root / "sub/loop").symlink_to(root)
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "lost.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(root / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(root / "plug.jpg"))
    (root / "device.jpg").symlink_to("/dev/zero")
    with open(os.fsencode(root) + b"/\xff.jpg", "wb"):
        pass
    return root


FOUND = ["a.png", "alias.jpg", "b.jpg", "linked/e.jpg", "notes.txt", "sub/c.jpg"]
PROBLEMS = {
    "device.jpg": "a device",
    "lost.jpg": "link to nothing",
    "pipe.jpg": "a FIFO",
    "plug.jpg": "a socket",
    "self.jpg": "symbolic links",
    "\\udcff.jpg": "not valid UTF-8",
}


@pytest.mark.timeout(30)
def test_links_are_followed_once_and_what_cannot_be_read_is_named(folder):
    found = list(walk(folder))
    assert sorted(one.name for one in found if not one.problem) == FOUND
    problems = {one.name: one.problem for one in found if one.problem}
    assert problems.keys() == PROBLEMS.keys()
    assert all(words in problems[name] for name, words in PROBLEMS.items())
    assert {one.name: one.size for one in found}["linked/e.jpg"] == 3


@pytest.mark.timeout(30)
def test_every_verb_that_searches_finds_the_same(folder, capsys):
    photos = [name for name in FOUND if name != "notes.txt"]
    listing = find_photos(folder)
    assert sorted(place.id for place in listing.places) == photos
    assert listing.unreadable.keys() == PROBLEMS.keys()
    assert Folder(folder).names() == FOUND
    images = find_images([folder])
    assert sorted(path.relative_to(folder).as_posix() for path in images.files.values()) == photos
    assert {name.rpartition("photos/")[2] for name in images.left_out} == PROBLEMS.keys()


@pytest.mark.parametrize(
    ("path", "passed"), [("a/b.jpg", False), (".a/b.jpg", True), ("a/._b.jpg", True), ("__MACOSX/b", True)]
)
def test_hidden_names(path, passed):
    assert hidden(path) == passed


def _tar(path, entries):
    with tarfile.open(path, "w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.type, entry.linkname = content
                archive.addfile(entry)
    return path


def test_links_in_a_tar_are_followed_as_in_a_folder(tmp_path):
    path = _tar(
        tmp_path / "a.tar",
        [
            ("early.jpg", (tarfile.SYMTYPE, "sub/b.jpg")),
            ("./sub/b.jpg", b"one"),
            ("sub/soft.jpg", (tarfile.SYMTYPE, "b.jpg")),
            ("hard.jpg", (tarfile.LNKTYPE, "./sub/b.jpg")),
            ("twice.jpg", (tarfile.SYMTYPE, "hard.jpg")),
            ("lost.jpg", (tarfile.SYMTYPE, "../b.jpg")),
            ("round.jpg", (tarfile.SYMTYPE, "round.jpg")),
            ("pipe.jpg", (tarfile.FIFOTYPE, "")),
            ("._b.jpg", b"x"),
            ("__MACOSX/b.jpg", b"x"),
        ],
    )
    good = ["early.jpg", "hard.jpg", "sub/b.jpg", "sub/soft.jpg", "twice.jpg"]
    found = list(members(path))
    assert sorted(one.name for one in found if not one.problem) == good
    assert {one.name for one in found if one.problem} == {"lost.jpg", "round.jpg", "pipe.jpg"}
    tar = Tar(path)
    assert tar.names() == good
    assert {tar.read(name) for name in good} == {b"one"}
    assert sorted(place.id for place in find_photos(path).places) == [f"a.tar/{name}" for name in good]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("size", [b"\x80" + b"\0" * 4 + b"\x7f" * 7, b"\xff" * 11 + b"\x00", b"zzzzzzzzzzz\0"])
def test_a_damaged_header_ends_a_tar_with_a_word(tmp_path, size):
    path = _tar(tmp_path / "a.tar", [("a.jpg", b"one"), ("b.jpg", b"two"), ("c.jpg", b"three")])
    data = bytearray(path.read_bytes())
    data[1024 + 124 : 1024 + 136] = size
    head = bytes(data[1024 : 1024 + 148]) + b" " * 8 + bytes(data[1024 + 156 : 1536])
    data[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(head)
    path.write_bytes(data)
    tar = Tar(path)
    assert tar.read("a.jpg") == b"one"
    assert "cut short after" in tar.problem
    listing = find_photos(path)
    assert listing.places[0].id == "a.tar/a.jpg"
    assert listing.unreadable


def test_rubbish_behind_the_last_whole_member_is_not_taken_for_the_end(tmp_path):
    path = _tar(tmp_path / "a.tar", [("a.jpg", b"one"), ("b.jpg", b"two")])
    data = bytearray(path.read_bytes())
    data[1024:1536] = b"rubbish!" * 64
    path.write_bytes(data)
    assert "byte 1024" in Tar(path).problem
    assert "byte 1024" in find_photos(path).unreadable["a.tar"]
    path.write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(UserError, match=r"not a plain \.tar"):
        Tar(path)
