"""Small photo folders and shards, made on the spot."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _pixels(seed, width=40, height=30):
    """Smooth random colours (so that JPEG keeps them) as uint8 (height,width,3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _encoded(array, kind="PNG", **options):
    """An image file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def _write_shard(path, members):
    """A plain tar of {name: bytes}, each photo with the .json beside it that SA-1B has."""
    with tarfile.open(path, "w") as shard:
        for name, data in members.items():
            for member, content in ((name, data), (Path(name).with_suffix(".json").as_posix(), b"{}")):
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                shard.addfile(entry, io.BytesIO(content))


@pytest.fixture(scope="session")
def pixels():
    return _pixels


@pytest.fixture(scope="session")
def encoded():
    return _encoded


@pytest.fixture(scope="session")
def write_shard():
    return _write_shard


@pytest.fixture
def make_folder(tmp_path):
    """make_folder({name: bytes}, "folder") writes the files and returns the folder."""

    def make(files, folder="photos"):
        for name, data in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path / folder

    return make


@pytest.fixture
def photo_files():
    """Twelve small photos of several sizes as {name: bytes}."""
    return {f"sub{i % 3}/photo_{i:02d}.jpg": _encoded(_pixels(i, 40 + i, 30 + 2 * i), "JPEG") for i in range(12)}
