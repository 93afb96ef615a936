"""SA-1B's kind of shards behind URLs: listed from headers, read by ranges, and the same photos as those of a folder."""

import http.server
import io
import re
import tarfile
import threading
from pathlib import Path
from urllib.parse import unquote

import fsspec
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from dad.data.crops import CropPlan, CropStream
from dad.data.manifest import make_manifest, open_photos
from dad.data.remote import RemoteRoot
from dad.distill.inputs import photos_as_used
from dad.errors import UserError
from dad.study.cells import load_study
from dad.study.check.data import check_photos
from dad.study.config import FolderPhotos
from dad.study.jobs import Jobs
from dad.study.layout import Layout


def jpeg(seed, width=180, height=120):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two shards with a JSON beside each photo, a photo beside the shards, and what is passed over."""
    root = tmp_path_factory.mktemp("sa1b")
    for shard in range(2):
        with tarfile.open(root / f"sa_00000{shard}.tar", "w") as tar:
            for number in range(6):
                name = f"./sa_{10 * shard + number}"
                for suffix, data in ((".jpg", jpeg(10 * shard + number)), (".json", b"{" + b" " * 70_000 + b"}")):
                    member = tarfile.TarInfo(name + suffix)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    (root / "single.jpg").write_bytes(jpeg(99))
    (root / ".hidden.jpg").write_bytes(b"x")
    return root


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A server of files that knows ranges, counts what it gives and can be told to fail."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = Path(self.directory, unquote(self.path).lstrip("/"))
        if path.is_dir():
            return super().do_GET()
        if self.server.failures:
            self.server.failures -= 1
            return self.send_error(503)
        data = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)?", self.headers.get("Range", ""))
        if wanted and self.server.ranges:
            start = int(wanted[1])
            stop = min(len(data), int(wanted[2]) + 1 if wanted[2] else len(data))
            part = data[start:stop]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            part = data
            self.send_response(200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.server.given += len(part)
        self.wfile.write(part)

    def do_HEAD(self):
        path = Path(self.directory, unquote(self.path).lstrip("/"))
        self.send_response(200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(path.stat().st_size if path.is_file() else 0))
        self.end_headers()


@pytest.fixture
def server(shards):
    made = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Ranges(*arguments, directory=str(shards))
    )
    made.given, made.ranges, made.failures = 0, True, 0
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def memory(shards):
    system = fsspec.filesystem("memory")
    for path in shards.iterdir():
        system.pipe(f"/bucket/sa1b/{path.name}", path.read_bytes())
    yield "memory://bucket/sa1b"
    system.rm("/bucket", recursive=True)


def same(photos, expected):
    """The same photos in the same order, and the same pixels."""
    assert photos.ids == expected.ids
    assert photos.digest() == expected.digest()
    for index in range(len(photos)):
        assert np.array_equal(photos.read(index), expected.read(index))


def test_a_bucket_is_the_folder(memory, shards, tmp_path):
    make_manifest(shards, tmp_path / "here.jsonl", seed=3)
    header = make_manifest(memory, tmp_path / "there.jsonl", seed=3)
    assert header["root"] == memory and header["count"] == 13
    same(open_photos(tmp_path / "there.jsonl"), open_photos(tmp_path / "here.jsonl"))
    # and the other way round: a manifest of the bucket with the folder as root
    same(open_photos(tmp_path / "there.jsonl", root=shards), open_photos(tmp_path / "here.jsonl"))
    one = open_photos(f"{memory}/sa_000001.tar")
    assert sorted(one.ids) == [f"sa_000001.tar/sa_{number}.jpg" for number in range(10, 16)]


def test_ranges_of_a_server_are_read_and_not_the_files(server, url, shards, tmp_path):
    make_manifest(shards, tmp_path / "here.jsonl")
    make_manifest(url, tmp_path / "there.jsonl")
    there, here = open_photos(tmp_path / "there.jsonl"), open_photos(tmp_path / "here.jsonl")
    server.given = 0
    photo = there.records[0]
    assert np.array_equal(there.read(0), here.read(0))
    assert server.given == photo.bytes
    same(there, here)


def test_a_beginning_reads_a_beginning(server, url, tmp_path):
    header = make_manifest(url, tmp_path / "two.jsonl", count=2)
    assert (header["count"], header["of"]) == (2, 13)


def test_what_passes_is_tried_again(server, url, tmp_path, monkeypatch):
    make_manifest(url, tmp_path / "m.jsonl")
    monkeypatch.setattr("dad.data.remote._PAUSE", 0.0)
    photos = open_photos(tmp_path / "m.jsonl")
    server.failures = 3
    photos.read(0)
    server.failures = 4
    with pytest.raises(UserError, match=r"photo .* under http://127\.0\.0\.1.* is not what it was"):
        photos.read(1)


def test_a_server_without_ranges_is_said(server, url, tmp_path):
    make_manifest(url, tmp_path / "m.jsonl")
    server.ranges = False
    with pytest.raises(UserError, match="it knows no ranges"):
        open_photos(tmp_path / "m.jsonl").read(0)


def test_an_exchanged_shard_is_noticed(memory, tmp_path):
    make_manifest(memory, tmp_path / "m.jsonl")
    photos = open_photos(tmp_path / "m.jsonl")
    index = next(number for number, photo in enumerate(photos.records) if photo.file == "sa_000000.tar")
    photos.read(index)
    system = fsspec.filesystem("memory")
    data = bytearray(system.cat_file("/bucket/sa1b/sa_000000.tar"))
    photo = photos.records[index]
    data[photo.offset + photo.bytes // 2] ^= 255
    system.pipe("/bucket/sa1b/sa_000000.tar", bytes(data))
    with pytest.raises(UserError, match="its bytes have another sha256"):
        photos.read(index)


def test_loader_processes_read_from_a_server_too(url, tmp_path):
    make_manifest(url, tmp_path / "m.jsonl")
    photos = open_photos(tmp_path / "m.jsonl")
    photos.read(0)  # this process has a connection of its own before the others begin
    plan = CropPlan(seed=0, min_crop=64, size=32, patches=1)
    stream = CropStream(photos, plan, 0, 6, patches=False)
    alone, others = (list(DataLoader(stream, batch_size=3, num_workers=workers)) for workers in (0, 2))
    for one, two in zip(alone, others, strict=True):
        assert (one["square"] == two["square"]).all()


def test_a_url_that_cannot_be_listed_is_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"memory://nothing.* no photo can be read under memory://nothing|no photo can be read"
    ):
        make_manifest("memory://nothing", tmp_path / "m.jsonl")
    with pytest.raises(UserError, match="cannot be listed|no photo can be read"):
        make_manifest("http://127.0.0.1:9/photos", tmp_path / "m.jsonl")


def test_a_study_of_photos_behind_a_url(memory, tmp_path):
    photos = FolderPhotos(source="folder", root=memory, count=4)
    study = load_study("config/mini.yaml").model_copy(update={"photos": photos, "scaling": (2, 4)})
    assert [finding.severity for finding in check_photos(study)] == ["note"]
    unknown = study.model_copy(update={"photos": photos.model_copy(update={"root": "nowhere://x"})})
    (finding,) = check_photos(unknown)
    assert finding.stops and "fsspec knows no protocol 'nowhere'" in finding.line
    made = Jobs(Layout(study, tmp_path / "results", tmp_path / "reports"))
    assert made.photos(photos) == []
    make_manifest(memory, tmp_path / "m.jsonl", count=4)
    assert photos_as_used(photos, open_photos(tmp_path / "m.jsonl")) == photos


def test_roots_have_the_manners_of_paths():
    root = RemoteRoot("s3://bucket/photos/")
    assert str(root / "a" / "b.TAR") == "s3://bucket/photos/a/b.TAR"
    assert ((root / "b.TAR").name, (root / "b.TAR").suffix, str((root / "b.TAR").parent)) == (
        "b.TAR",
        ".TAR",
        str(root),
    )
    assert root == RemoteRoot("s3://bucket/photos") and root.resolve() is root
