"""Broken images, arrays and tars: every image is predicted or scored, or it is named; nothing else."""

import csv
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from fuzz_running import Case, Result, either, refused
from PIL import Image

SIZE = (64, 48)
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}


def picture(seed: int = 0, kind: str = "PNG", size: tuple[int, int] = SIZE) -> bytes:
    """An image file's bytes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(buffer, kind)
    return buffer.getvalue()


def damaged(data: bytes, how: str, rng: np.random.Generator) -> bytes:
    """The bytes with one of the damages that files come with."""
    spoiled = bytearray(data)
    if how == "cut":
        return data[: int(rng.integers(0, len(data)))]
    if how == "flip":
        for place in rng.integers(0, len(data), 3):
            spoiled[place] ^= 1 << int(rng.integers(0, 8))
    if how == "head":
        spoiled[int(rng.integers(0, 32))] = int(rng.integers(0, 256))
    if how == "zeros":
        start = int(rng.integers(0, len(data) - 16))
        spoiled[start : start + len(data) // 4] = bytes(len(spoiled[start : start + len(data) // 4]))
    if how == "noise":
        return rng.bytes(len(data))
    if how == "grown":
        return data + rng.bytes(200)
    return bytes(spoiled)


DAMAGES = ("cut", "flip", "head", "zeros", "noise", "grown")


def _predict(make: Callable[[np.random.Generator], bytes], suffix: str, rng: np.random.Generator) -> list[str]:
    Path("in/sound.png").write_bytes(picture(1))
    Path(f"in/spoiled.{suffix}").write_bytes(make(rng))
    return ["predict", "in", "--model", "zoo/vit-small", "--out", "out", "--device", "cpu"]


def _sound_and(suffix: str) -> Callable[[Result], None]:
    """The sound image is predicted; the other one is, too, at its own size, or is named."""

    def expect(result: Result) -> None:
        assert result.code == 0
        assert np.load("out/sound.npy").shape == SIZE[::-1]
        made, named = Path("out/spoiled.npy").is_file(), f"spoiled.{suffix}: " in result.err
        assert made != named, "neither predicted nor named, or both"
        if made:
            values = np.load("out/spoiled.npy")
            with Image.open(f"in/spoiled.{suffix}") as image:
                assert values.shape in (image.size, image.size[::-1])
            assert np.isfinite(values).all()
            assert Image.open("out/spoiled_colour.png").size == values.shape[::-1]

    return expect


def images() -> Iterator[Case]:
    """Image files with every damage, in every format, and extreme sizes."""
    for suffix, kind in FORMATS.items():
        for how in DAMAGES:
            for number in range(8):
                make = partial(_spoiled_picture, kind, how)
                yield Case(
                    "image", f"image-{suffix}-{how}-{number}", partial(_predict, make, suffix), _sound_and(suffix)
                )
    for size in ((1, 1), (3000, 1), (1, 3000), (2, 500), (7, 900), (900, 7), (1, 2), (33, 1)):
        for suffix in ("png", "jpg"):
            make = partial(_of_size, FORMATS[suffix], size)
            yield Case(
                "image", f"image-size-{size[0]}x{size[1]}-{suffix}", partial(_predict, make, suffix), _sound_and(suffix)
            )
    for suffix in ("heic", "gif", "avif", "svg", "tar"):
        yield Case(
            "image", f"image-other-{suffix}", partial(_predict, lambda rng: picture(2), suffix), _sound_and(suffix)
        )


def _spoiled_picture(kind: str, how: str, rng: np.random.Generator) -> bytes:
    return damaged(picture(2, kind), how, rng)


def _of_size(kind: str, size: tuple[int, int], rng: np.random.Generator) -> bytes:
    return picture(2, kind, size)


def _npy(values: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _arrays() -> dict[str, bytes]:
    shape = SIZE[::-1]
    good = np.random.default_rng(0).random(shape).astype(np.float32) + 0.5
    holed = {
        name: np.where(np.arange(good.size).reshape(shape) == 5, value, good.astype(np.float64))
        for name, value in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("overflow", np.float64(1e300)))
    }
    return {
        **{f"hole-{name}": _npy(values) for name, values in holed.items()},
        **{
            f"shape-{'x'.join(map(str, wrong)) or '0'}": _npy(np.ones(wrong, np.float32))
            for wrong in ((), (0,), (48,), (64, 48), (1, 48, 64), (48, 64, 1), (48, 63), (0, 64), (48, 0), (3, 48, 64))
        },
        **{f"type-{name}": _npy(good.astype(name)) for name in ("complex64", "bool", "U5", "S5")},
        "type-dates": _npy(np.zeros(shape, "datetime64[s]")),
        "type-record": _npy(np.zeros(shape, [("a", "f4")])),
        "pickle": _npy(np.array([{"a": 1}], dtype=object), allow_pickle=True),
        "zip": (lambda buffer: (np.savez(buffer, good), buffer.getvalue())[1])(io.BytesIO()),
        "empty": b"",
        "text": b"1 2 3",
        "huge": _header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000000), }\n"),
        "negative": _header("{'descr': '<f4', 'fortran_order': False, 'shape': (-48, 64), }\n"),
        "code": _header("__import__('os').system('touch out')\n"),
        "deep": _header("(" * 5000 + "\n"),
    }


GOOD_ARRAYS = ("float16", "float64", ">f4", "int32", "uint8")


def pairs(count: int = 2) -> None:
    """RGB-D pairs in in/set and maps of them in in/maps."""
    Path("in/set").mkdir()
    Path("in/maps").mkdir()
    truth = (1000 + 20 * np.arange(SIZE[0])[None].repeat(SIZE[1], 0) + np.arange(SIZE[1])[:, None]).astype(np.uint16)
    Image.fromarray(truth).save("in/set/d.png")
    for number in range(count):
        Path(f"in/set/{number}.png").write_bytes(picture(number))
        np.save(f"in/maps/{number}.npy", (1000 / truth.astype(np.float32)).astype(np.float32))
    rows = [f"{number}.png,d.png,depth,0.001\n" for number in range(count)]
    Path("in/set/manifest.csv").write_text("rgb,gt,kind,scale\n" + "".join(rows))


EVALUATE = ["evaluate", "--predictions", "in/maps", "--kind", "disparity", "--dataset", "samples", "--root", "in/set"]


def _evaluate(data: bytes, name: str, more: list[str], rng: np.random.Generator) -> list[str]:
    pairs()
    Path(name).write_bytes(data)
    return [*EVALUATE, "--out", "out/scores.csv", "--summary", "out/scores.json", *more]


def rows() -> list[dict[str, str]]:
    """What was scored."""
    with open("out/scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def _scored(states: tuple[str, ...], code: int) -> Callable[[Result], None]:
    def expect(result: Result) -> None:
        assert result.code == code
        assert tuple(row["status"] for row in rows()) == states
        for row in rows():
            if row["status"] == "ok":
                assert 0 <= float(row["abs_rel"]) < 1
            else:
                assert (row["n"], row["abs_rel"]) == ("0", "")
                assert row["message"]
        json.loads(Path("out/scores.json").read_text(), parse_constant=_no_json)

    return expect


def _no_json(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def _named_or_scored(result: Result) -> None:
    """What random damage leaves is scored or named; the sound one is scored."""
    assert rows()[0]["status"] == "ok"
    assert (rows()[1]["status"] == "ok") == (result.code == 0)
    assert rows()[1]["status"] == "ok" or "1." in result.err


def arrays() -> Iterator[Case]:
    """Predictions that are none, with failures refused and allowed."""
    for name, data in _arrays().items():
        for more, code in (([], 2), (["--failures", "allow"], 0)):
            prepare = partial(_evaluate, data, "in/maps/1.npy", more)
            yield Case("array", f"array-{name}-{code}", prepare, _scored(("ok", "failed"), code))
    good = 0.5 + np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[::-1])[::-1, ::-1] / 100
    for name in GOOD_ARRAYS:
        prepare = partial(_evaluate, _npy(good.astype(name)), "in/maps/1.npy", [])
        yield Case("array", f"array-good-{name}", prepare, _scored(("ok", "ok"), 0))
    for place, data in (("in/maps/1.npy", _npy(good.astype(np.float32))), ("in/set/1.png", picture(1))):
        for how in DAMAGES:
            for number in range(10):
                prepare = partial(_evaluate_damaged, data, place, how)
                yield Case(
                    "array",
                    f"array-{Path(place).suffix[1:]}-{how}-{number}",
                    prepare,
                    either(_named_or_scored, refused("line 3")),
                )


def _evaluate_damaged(data: bytes, place: str, how: str, rng: np.random.Generator) -> list[str]:
    return _evaluate(damaged(data, how, rng), place, [], rng)


def _tar(how: str, rng: np.random.Generator) -> list[str]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(4):
            entry = tarfile.TarInfo(f"sa_{number}.png")
            entry.size = len(picture(number))
            archive.addfile(entry, io.BytesIO(picture(number)))
    data = buffer.getvalue()
    # zeros up to the end would be an end; the padding behind it is left as it is
    used = len(data) - len(data) % 512 - 10240 if how == "zeros" else len(data)
    Path("in/sa_0.tar").write_bytes(damaged(data[: max(used, 4096)], how, rng) + data[max(used, 4096) :])
    Path("in/loose.png").write_bytes(picture(9))
    return ["data", "manifest", "in", "--out", "out/photos.jsonl"]


def _listed(result: Result) -> None:
    """What is in the manifest has the bytes that it says; what is not has a name in the output, if any was lost."""
    header, *photos = map(json.loads, Path("out/photos.jsonl").read_text().splitlines())
    assert (result.code, header["count"]) == (0, len(photos))
    for photo in photos:
        data = Path("in", photo["file"]).read_bytes()[photo["offset"] :][: photo["bytes"]]
        assert hashlib.sha256(data).hexdigest() == photo["sha256"]
    assert len(photos) == 5 or header["unreadable"], "photos were lost without a word"
    assert all(f"unreadable: {name}" in result.out for name in header["unreadable"])


def tars() -> Iterator[Case]:
    """Shards with every damage."""
    for how in DAMAGES:
        for number in range(16):
            yield Case("tar", f"tar-{how}-{number}", partial(_tar, how), _listed)


def cases() -> Iterator[Case]:
    """All of this file's."""
    yield from images()
    yield from arrays()
    yield from tars()
