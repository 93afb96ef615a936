"""What `calibrate` and `ordinal` read, and protocols: measured points, annotated pairs, rules."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from fuzz_pixels import EVALUATE, _arrays, pairs
from fuzz_running import Case, Result, refused

ROOT = Path(__file__).parents[2]
CALIBRATE = ["calibrate", "--points", "in/p.csv", "--map", "in/m.npy", "--kind", "disparity", "--out", "out/metres.npy"]
HEAD = "x,y,metres\n"
POINTS = HEAD + "2,3,2.5\n40,30,9\n60,5,7.5\n"


def disparity() -> np.ndarray:
    """A map (48,64) that falls to the right and downwards."""
    rows, columns = np.indices((48, 64))
    return (1 / (1 + rows / 10 + columns / 10)).astype(np.float32)


def _points(data: bytes, rng: np.random.Generator) -> list[str]:
    Path("in/p.csv").write_bytes(data)
    np.save("in/m.npy", disparity())
    return CALIBRATE


BAD_POINTS = {
    "empty": "",
    "blank": "\n\n",
    "header": HEAD,
    "one": HEAD + "2,3,2.5\n",
    "no-header": "2,3,2.5\n40,30,9\n",
    "no-column": "x,y\n2,3\n",
    "case": POINTS.replace("metres", "Metres"),
    "twice": "x,x,y,metres\n2,5,3,2.5\n40,5,30,9\n",
    "semicolons": POINTS.replace(",", ";"),
    "tabs": POINTS.replace(",", "\t"),
    "comma": POINTS.replace("2.5", "2,5"),
    "quotes": POINTS.replace("2.5", '"2,5"'),
    "unit": POINTS.replace("2.5", "2.5 m"),
    "short": POINTS + "7,8\n",
    "pixel": POINTS + "2.2,3.1,2.5\n",
    "left": POINTS + "-1,3,2.5\n",
    "below": POINTS + "2,48,2.5\n",
    "far-out": POINTS + "1e300,3,2.5\n",
    "around": HEAD + "2,3,9\n40,30,2.5\n60,5,3\n",
    "flat": HEAD + "2,3,2.5\n3,2,9\n",
    "nul": POINTS + "\0",
    "field": POINTS + '"' + "9" * 200_000 + '",1,1\n',
    "open-quote": POINTS + '"7,8,9\n',
    **{f"x-{value or 'empty'}": f"{POINTS}{value},3,2.5\n" for value in ("", "nan", "inf", "x", "0x2", "1e999", "１x")},
    **{
        f"metres-{value or 'empty'}": f"{POINTS}5,5,{value}\n"
        for value in ("", "0", "-1", "nan", "inf", "-inf", "1e999", "true")
    },
}


def points() -> Iterator[Case]:
    """Measured points, and the maps they belong to."""
    for name, text in BAD_POINTS.items():
        yield Case("points", f"points-{name}", partial(_points, text.encode()), refused("in/p.csv"))
    for encoding in ("utf-16", "utf-16-le", "utf-32", "latin-1"):
        yield Case(
            "points", f"points-{encoding}", partial(_points, ("é," + POINTS).encode(encoding)), refused("in/p.csv")
        )
    same = {
        "bom": POINTS.encode("utf-8-sig"),
        "crlf": POINTS.replace("\n", "\r\n").encode(),
        "cr": POINTS.replace("\n", "\r").encode(),
        "spaces": POINTS.replace(",", " , ").encode(),
        "blank": POINTS.replace("\n", "\n\n").encode(),
        "more": b"name,x,y,metres\na,2,3,2.5\nb,40,30,9\n",
    }
    for name, data in same.items():
        yield Case("points", f"points-same-{name}", partial(_points, data), _calibrated)
    for name, data in _arrays().items():
        # one with a hole elsewhere, and one of another size, is a map
        if not name.startswith("hole") and name not in ("shape-64x48", "shape-48x63"):
            yield Case("points", f"points-map-{name}", partial(_map, data), refused())
    for name, make in {"fifo": os.mkfifo, "folder": os.mkdir, "zero": partial(os.symlink, "/dev/zero")}.items():
        for place in ("in/p.csv", "in/m.npy"):
            yield Case(
                "points", f"points-{name}-{Path(place).suffix[1:]}", partial(_placed, make, place), refused(place)
            )


def _map(data: bytes, rng: np.random.Generator) -> list[str]:
    Path("in/p.csv").write_text(POINTS)
    Path("in/m.npy").write_bytes(data)
    return CALIBRATE


def _placed(make: Callable[[str], None], place: str, rng: np.random.Generator) -> list[str]:
    _points(POINTS.encode(), rng)
    Path(place).unlink()
    make(place)
    return CALIBRATE


def _calibrated(result: Result) -> None:
    assert result.code == 0
    assert np.load("out/metres.npy").shape == (48, 64)


ORDINAL = [
    "ordinal",
    "--predictions",
    "in/maps",
    "--kind",
    "disparity",
    "--annotations",
    "in/a.json",
    "--root",
    "in/set",
]
PAIR = {"point1": [3, 4], "point2": [30, 50], "closer_point": "point1"}


def _ordinal(text: str | bytes, rng: np.random.Generator) -> list[str]:
    pairs()
    Path("in/a.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return [*ORDINAL, "--out", "out/o.csv"]


def _annotated(**changes: object) -> str:
    return json.dumps({"0.png": [PAIR | changes]})


BAD_PAIRS = {
    **{
        f"json-{number}": text
        for number, text in enumerate(("", "{", "[]", "{}", "5", "null", '"x"', "[" * 100_000, "nan"))
    },
    **{f"list-{number}": json.dumps({"0.png": value}) for number, value in enumerate((None, 5, "x", {}, PAIR))},
    **{f"entry-{number}": json.dumps({"0.png": [value]}) for number, value in enumerate((None, 5, "x", [], {}))},
    **{
        f"point-{number}": _annotated(point1=value)
        for number, value in enumerate(
            (None, 5, "x", [], [1], [1, 2, 3], [True, 1], ["1", 1], [1.5, 2], [None, 1], [float("nan"), 1])
        )
    },
    **{
        f"closer-{number}": _annotated(closer_point=value)
        for number, value in enumerate((None, "", "point3", 1, ["point1"]))
    },
    "twice": f'{{"0.png": [{json.dumps(PAIR)}], "0.png": [{json.dumps(PAIR)}]}}',
    "outside": _annotated(point2=[48, 0]),
    "negative": _annotated(point2=[-1, 0]),
    "huge": _annotated(point2=[10**30, 0]),
    "gone": json.dumps({"9.png": [PAIR]}),
    "folder": json.dumps({".": [PAIR]}),
    "no-image": json.dumps({"d.png": [PAIR]}),
    "utf-16": _annotated().encode("utf-16"),
    "nul": _annotated() + "\0",
}


def ordinal() -> Iterator[Case]:
    """Annotated pairs."""
    for name, text in BAD_PAIRS.items():
        yield Case("pairs", f"pairs-{name}", partial(_ordinal, text), refused())
    yield Case("pairs", "pairs-fifo", _ordinal_fifo, refused())
    for name, text in (
        ("bom", b"\xef\xbb\xbf" + _annotated().encode()),
        ("empty", json.dumps({"0.png": [PAIR], "1.png": []})),
    ):
        yield Case("pairs", f"pairs-same-{name}", partial(_ordinal, text), _ordered)


def _ordinal_fifo(rng: np.random.Generator) -> list[str]:
    words = _ordinal(json.dumps({"pipe.png": [PAIR]}), rng)
    os.mkfifo("in/set/pipe.png")
    return words


def _ordered(result: Result) -> None:
    assert result.code == 0
    assert "(1 pairs" in result.out


PROTOCOL = yaml.safe_load((ROOT / "dad/evaluation/protocols/marigold.yaml").read_text()) | {"name": "mine"}


def _protocol(text: str | bytes, rng: np.random.Generator) -> list[str]:
    pairs()
    Path("in/p.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return [*EVALUATE, "--protocol", "in/p.yaml", "--out", "out/scores.csv"]


def _with(document: dict, key: str, value: object) -> str:
    changed = json.loads(json.dumps(document))
    *above, last = key.split(".")
    place = changed
    for part in above:
        place = place.setdefault(part, {})
    place[last] = value
    return yaml.safe_dump(changed)


BAD_RULES = {
    "name": ("", "A b", 5, None, [], True),
    "version": (0, -1, 1.5, "x", None, True, []),
    "fixed": (None, 5, "x", []),
    "adjustable": (5, "x", [1]),
    "unknown": (1,),
    "fixed.clip": ("always", True, None, 5),
    "fixed.minimum": (-1, "x", True, float("nan"), float("inf"), []),
    "fixed.alignments": ({}, [], None, "disparity", {"metric": {}}),
    "fixed.alignments.disparity.solver": ("magic", None, 5),
    "fixed.alignments.disparity.floor": (0, -1, "x", True, float("inf")),
    "fixed.caps": ({"default": 0}, {"default": -1}, {"default": float("nan")}, [], "x"),
    "fixed.resolution": ("prediction", None),
}


def protocols() -> Iterator[Case]:
    """Protocols of one's own."""
    for key, values in BAD_RULES.items():
        for number, value in enumerate(values):
            yield Case(
                "protocol",
                f"protocol-{key}-{number}",
                partial(_protocol, _with(PROTOCOL, key, value)),
                refused("in/p.yaml"),
            )
    text = yaml.safe_dump(PROTOCOL)
    bad = {
        "empty": "",
        "list": "[1]",
        "twice": text + "name: other\n",
        "deep": "a: " + "[" * 5000,
        "tab": text + "\tx: 1\n",
        "tag": "!!python/object/apply:os.system [touch out]\n",
        "utf-16": text.encode("utf-16"),
        "nul": text + "\0",
    }
    for name, data in bad.items():
        yield Case("protocol", f"protocol-{name}", partial(_protocol, data), refused("in/p.yaml"))
    for name, data in (("bom", text.encode("utf-8-sig")), ("crlf", text.replace("\n", "\r\n").encode())):
        yield Case("protocol", f"protocol-same-{name}", partial(_protocol, data), _scored)


def _scored(result: Result) -> None:
    assert result.code == 0
    assert "mine@1" in Path("out/scores.csv").read_text()


def cases() -> Iterator[Case]:
    """All of this file's."""
    for part in (points, ordinal, protocols):
        yield from part()
