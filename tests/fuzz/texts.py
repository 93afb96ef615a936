"""Broken texts: studies, cameras, lists, manifests, headers, in every encoding, cut, nested, with impossible values."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from fuzz_pixels import EVALUATE, pairs, picture, rows
from fuzz_running import Case, Result, either, refused
from PIL import Image

from dad.data.manifest import make_manifest
from dad.study.cells import all_cells, load_study

ROOT = Path(__file__).parents[2]
CELL = next(iter(all_cells(load_study(str(ROOT / "config/mini.yaml")))))
STUDY = (ROOT / "config/mini.yaml").read_text().replace("description: ", "description: Räume, ")


def _accepted(result: Result) -> None:
    assert result.code == 0
    assert json.loads(result.out)


def _matrix(data: bytes | str, name: str, rng: np.random.Generator) -> list[str]:
    Path("in", name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return ["matrix", "--config", f"in/{name}", "--format", "json"]


def _check(text: str, rng: np.random.Generator) -> list[str]:
    Path("in/s.yaml").write_text(text)
    return ["check", "--config", "in/s.yaml"]


def _stopped(result: Result) -> None:
    """Before anything is spent, `dad check` says what stops the study; a key or type is one line from every verb."""
    assert result.code == 2, "it was accepted"
    assert len(result.said) == 1 or "stop: " in result.out


ODD_BYTES = {
    "latin-1": STUDY.encode("latin-1"),
    "utf-16": STUDY.encode("utf-16"),
    "utf-16-le": STUDY.encode("utf-16-le"),
    "utf-32": STUDY.encode("utf-32"),
    "nul": STUDY.encode() + b"\0",
    "empty": b"",
    "list": b"[1, 2]",
    "scalar": b"5",
    "null": b"null",
    "tab": b"name:\n\t- a",
    "anchors": b"a: &a [1]\nb: [" + b"*a," * 10 + b"]\n",
    "bomb": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 9)) for i in range(9)),
    "deep-json": b'{"a": ' + b"[" * 100_000,
    "deep-yaml": b"a: " + b"[" * 20_000,
    "deep-flow": b"a: " + b"{b: " * 5_000,
    "tag": b"!!python/object/apply:os.system [touch out]\n",
    "twice": STUDY.encode() + b"\nname: other\n",
    "binary": picture(),
    "large": b"# " + b"x" * (70 * 2**20),
}
SAME_BYTES = {
    "bom": STUDY.encode("utf-8-sig"),
    "crlf": STUDY.replace("\n", "\r\n").encode(),
    "cr": STUDY.replace("\n", "\r").encode(),
    "json": json.dumps(yaml.safe_load((ROOT / "config/mini.yaml").read_text())).encode(),
}
HOSTILE = {
    "optim.steps": (True, -1, 0, 2.5, "x", None, [], {}, float("inf"), float("nan"), 10**400),
    "optim.batch": (True, -1, 0, 2.5, "x", None, [1], {}, float("nan")),
    "optim.weight_decay": (-1, "x", float("inf"), float("nan"), [], {}, True),
    "optim.clip": (-1, "x", float("inf"), float("nan"), [], {}, True),
    "crop.size": (0, -56, 57, True, "x", None, 1.5),
    "crop.patches": (0, -1, True, "x", None, 1.5),
    "crop.flip": ("maybe", 3, [], {}),
    "seeds": ([], [0, 0], [-1], ["x"], [True], [None], 0, "0", {}, [1.5]),
    "protocols": ([], ["moon"], ["marigold", "marigold"], "marigold, moon", [1], [None], {}),
    "teacher": ("", 5, None, [], {}, True),
    "student.init": ("moon", 5, None, [], {}),
    "labels.mode": ("moon", 5, [], {}),
    "photos.count": (0, -1, True, "x", None, 1.5, []),
    "photos.kinds": ([], ["moon"], ["indoor", "indoor"], "x", [1], {}),
    "name": ("", "a/b", "..", "a b\n", None, [], {}, "x" * 300),
    "unknown": (1,),
    "optim.unknown": (1,),
}


def _changed(key: str, value: object) -> str:
    study = yaml.safe_load((ROOT / "config/mini.yaml").read_text())
    *parents, last = key.split(".")
    place = study
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return yaml.safe_dump(study, allow_unicode=True)


def studies() -> Iterator[Case]:
    """Configuration files."""
    for name, data in ODD_BYTES.items():
        yield Case("study", f"study-{name}", partial(_matrix, data, "s.yaml"), refused())
    for name, data in SAME_BYTES.items():
        yield Case("study", f"study-same-{name}", partial(_matrix, data, "s.yaml"), _accepted)
    for key, values in HOSTILE.items():
        for number, value in enumerate(values):
            yield Case("study", f"study-{key}-{number}", partial(_check, _changed(key, value)), _stopped)
    lines = STUDY.splitlines(keepends=True)
    for number in range(60):
        yield Case("study", f"study-cut-{number}", partial(_cut_study, lines, number), either(refused(), _accepted))
    for number in range(40):
        yield Case("json", f"json-study-cut-{number}", partial(_cut_json, "study"), refused())


def _cut_study(lines: list[str], number: int, rng: np.random.Generator) -> list[str]:
    text = (
        STUDY[: int(rng.integers(1, len(STUDY)))]
        if number % 2
        else "".join(np.delete(lines, int(rng.integers(0, len(lines)))))
    )
    return _matrix(text, "s.yaml", rng)


def _cut_json(what: str, rng: np.random.Generator) -> list[str]:
    text = SAME_BYTES["json"].decode()
    cut = text[: int(rng.integers(1, len(text) - 1))]
    return ["matrix", "--config", cut] if len(cut) < 4000 else _matrix(cut, "s.json", rng)


CAMERAS = (
    *(
        "",
        "{",
        "[]",
        "5",
        "null",
        '"x"',
        "[1, 2, 3, 4]",
        '{"fx": 1}',
        '{"fx": 1, "fy": 1, "cx": 1}',
        "{'fx': 1}",
        "fx: 1",
    ),
    *(
        json.dumps({"fx": 9, "fy": 9, "cx": 9, "cy": 9} | {key: value})
        for key in ("fx", "cy")
        for value in (None, "x", "9", True, [], {}, float("nan"), float("inf"), float("-inf"))
    ),
    *(json.dumps({"fx": value, "fy": 9, "cx": 9, "cy": 9}) for value in (0, -1, 1e-300, 1e300)),
    '{"a": ' * 20_000,
    "[" * 100_000,
)


def _camera(data: bytes, rng: np.random.Generator) -> list[str]:
    Path("in/a.png").write_bytes(picture())
    Path("in/c.json").write_bytes(data)
    return ["predict", "in/a.png", "--model", "zoo/vit-small", "--out", "out", "--points", "--camera", "in/c.json"]


def cameras() -> Iterator[Case]:
    """Camera files."""
    for number, text in enumerate(CAMERAS):
        yield Case("json", f"json-camera-{number}", partial(_camera, text.encode()), refused("c.json"))
    good = '{"fx": 9, "fy": 9, "cx": 9, "cy": 9, "é": 1}'
    for encoding in ("utf-16", "utf-32", "latin-1", "utf-16-le"):
        yield Case("json", f"json-camera-{encoding}", partial(_camera, good.encode(encoding)), refused("c.json"))
    for name, data in (("bom", good.encode("utf-8-sig")), ("crlf", good.replace(",", ",\r\n").encode())):
        yield Case("json", f"json-camera-same-{name}", partial(_camera, data), _points)


def _points(result: Result) -> None:
    assert result.code == 0
    assert Path("out/a.ply").stat().st_size > 64 * 48 * 15


HEADERS = (
    *("", "{", "[]", "5", "null", "[" * 100_000, '{"kind": "indoor"}', '{"kind": "moon", "count": 1, "seed": 0}'),
    *(
        json.dumps({"kind": "indoor", "count": value, "seed": 0})
        for value in (None, "x", "1", True, 2.5, [], {}, 0, -1, 2, 10**12, 10**30, float("nan"))
    ),
    *(json.dumps({"kind": "indoor", "count": 1, "seed": value}) for value in (None, "x", True, 2.5, [])),
    *(json.dumps({"kind": value, "count": 1, "seed": 0}) for value in (None, 5, [], "outdoor", "")),
)


def _scenes(data: bytes, rng: np.random.Generator) -> list[str]:
    for folder in ("rgb", "depth"):
        Path("in/scenes", folder).mkdir(parents=True)
    Path("in/scenes/rgb/000000.png").write_bytes(picture())
    np.save("in/scenes/depth/000000.npy", np.ones((48, 64), np.float32) + np.arange(64, dtype=np.float32))
    Path("in/scenes/scenes.json").write_bytes(data)
    command = ["evaluate", "--model", "zoo/vit-small", "--dataset", "scenes-indoor", "--root", "in/scenes"]
    return [*command, "--out", "out/scores.csv"]


def headers() -> Iterator[Case]:
    """Headers of rendered scenes."""
    for number, text in enumerate(HEADERS):
        yield Case("json", f"json-header-{number}", partial(_scenes, text.encode()), refused())


FIRST = "rgb,gt,kind,scale\n"
LINE = "0.png,d.png,depth,0.001\n"
TABLES = {
    "empty": "",
    "header-only": FIRST,
    "no-gt": "rgb,kind,scale\n0.png,depth,1\n",
    "semicolons": "rgb;gt;kind;scale\n0.png;d.png;depth;1\n",
    "tabs": "rgb\tgt\tkind\tscale\n0.png\td.png\tdepth\t1\n",
    "twice": FIRST + LINE + LINE,
    "twice-spelled": FIRST + LINE + "./" + LINE,
    "column-twice": "rgb,rgb,gt,kind,scale\n0.png,1.png,d.png,depth,1\n",
    "short": FIRST + "0.png,d.png\n",
    "quote": FIRST + '"0.png,d.png,depth,0.001\n',
    "field": FIRST + "0" * 200_000 + LINE,
    "gone": FIRST + "gone.png,d.png,depth,1\n",
    "gone-gt": FIRST + "0.png,gone.png,depth,1\n",
    "folder": FIRST + ".,d.png,depth,1\n",
    "long": FIRST + LINE.replace(",0.001", ",0.001,more"),
    "comma": FIRST + LINE.replace(",0.001", ",1,5"),
    "swapped": FIRST + "d.png,0.png,depth,1\n",
    "nul": FIRST + LINE + "\0",
    **{
        f"scale-{number}": f"{FIRST}0.png,d.png,depth,{value}\n"
        for number, value in enumerate(("0", "-1", "nan", "inf", "-inf", "x", "", "1e999", "0,1", "1 m"))
    },
    **{
        f"kind-{number}": f"{FIRST}0.png,d.png,{value},1\n"
        for number, value in enumerate(("", "Depth", "metres", "disp", "5"))
    },
    **{f"unit-{value}": f"rgb,gt,kind,scale,unit\n0.png,d.png,depth,1,{value}\n" for value in ("mm", "ft", "5")},
    **{
        f"camera-{number}": f"rgb,gt,kind,scale,camera\n0.png,d.png,depth,1,{value}\n"
        for number, value in enumerate(("1 2 3", "1 2 3 4 5", "0 1 1 1", "nan 1 1 1", "gone.json", "d.png", "."))
    },
    **{
        f"mask-{value}": f"rgb,gt,kind,scale,mask\n0.png,d.png,depth,1,{value}\n"
        for value in ("gone.png", "d.png", "0.png", ".")
    },
}


def _samples(data: bytes, rng: np.random.Generator) -> list[str]:
    pairs()
    Path("in/set/manifest.csv").write_bytes(data)
    return [*EVALUATE, "--out", "out/scores.csv"]


def _two(result: Result) -> None:
    assert result.code == 0
    assert [(row["image"], row["status"]) for row in rows()] == [("0.png", "ok"), ("1.png", "ok")]


def tables() -> Iterator[Case]:
    """Manifests of samples."""
    for name, text in TABLES.items():
        yield Case("csv", f"csv-{name}", partial(_samples, text.encode()), refused())
    good = FIRST + LINE + LINE.replace("0.png", "1.png")
    for encoding in ("utf-16", "utf-16-le", "utf-32", "latin-1"):
        yield Case("csv", f"csv-{encoding}", partial(_samples, ("é," + good).encode(encoding)), refused())
    same = {
        "bom": good.encode("utf-8-sig"),
        "crlf": good.replace("\n", "\r\n").encode(),
        "cr": good.replace("\n", "\r").encode(),
        "no-end": good.rstrip("\n").encode(),
        "blank": good.replace("\n", "\n\n").encode(),
        "quoted": (
            "\n".join(",".join(f'"{word}"' for word in line.split(",")) for line in good.splitlines()) + "\n"
        ).encode(),
        "long": good.replace(",0.001", ",0.001,,").encode(),
        "extra": good.replace("scale\n", "scale,note\n").replace("0.001\n", "0.001,照片\n").encode(),
    }
    for name, data in same.items():
        yield Case("csv", f"csv-same-{name}", partial(_samples, data), _two)


def _list(text: str, encoding: str, rng: np.random.Generator) -> list[str]:
    for folder in ("color", "depth"):
        Path("in/sc/scene0000_00", folder).mkdir(parents=True)
    for number in (0, 1):
        Path(f"in/sc/scene0000_00/color/{number}.png").write_bytes(picture(number))
        depth = (1000 + 20 * np.arange(64)[None].repeat(48, 0)).astype(np.uint16)
        Image.fromarray(depth).save(f"in/sc/scene0000_00/depth/{number}.png")
    Path("in/list.txt").write_bytes(text.encode(encoding))
    command = [
        "evaluate",
        "--model",
        "zoo/vit-small",
        "--dataset",
        "scannet",
        "--root",
        "in/sc",
        "--list",
        "in/list.txt",
    ]
    return [*command, "--out", "out/scores.csv"]


def _states(*states: str) -> Callable[[Result], None]:
    def expect(result: Result) -> None:
        assert tuple(row["status"] for row in rows()) == states
        assert result.code == (2 if "failed" in states else 0)

    return expect


def lists() -> Iterator[Case]:
    """Lists of a published benchmark."""
    one, two = (f"scene0000_00/color/{number}.png scene0000_00/depth/{number}.png" for number in (0, 1))
    for name, end in (("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r"), ("blank", "\n\n \n"), ("spaces", "  \n")):
        for encoding in ("utf-8", "utf-8-sig"):
            yield Case(
                "list", f"list-{name}-{encoding}", partial(_list, one + end + two + end, encoding), _states("ok", "ok")
            )
    bad = {
        "gone": two.replace("1", "7"),
        "one-column": two.split()[0],
        "twice": one,
        "swapped": " ".join(two.split()[::-1]),
        "short": "a.png b.png",
        "rgb-only": "scene0000_00/color/1.png scene0000_00/depth/9.png",
        "dots": "../../x/y ../z/q",
        "comment": "# of these",
        "absolute": "/scene0000_00/color/9.png /etc/passwd",
        "folder": "scene0000_00/color scene0000_00/depth",
    }
    for name, line in bad.items():
        for order in ((one, line), (line, one))[: 1 if name == "twice" else 2]:
            states = ("ok", "failed") if order[0] == one else ("failed", "ok")
            yield Case(
                "list", f"list-{name}-{order[0] == one}", partial(_list, "\n".join(order), "utf-8"), _states(*states)
            )
    for encoding in ("utf-16", "utf-32", "utf-16-le", "latin-1"):
        yield Case("list", f"list-{encoding}", partial(_list, f"{one}\n{two}\né", encoding), refused("list.txt"))
    for name, text in (
        ("empty", ""),
        ("blank", "\n\n"),
        ("nul", one + "\0"),
        ("all-gone", one.replace("0.png", "5.png")),
        ("binary", "\x01\x02"),
    ):
        yield Case("list", f"list-none-{name}", partial(_list, text, "utf-8"), refused())


def _edited_manifest(number: int, rng: np.random.Generator) -> list[str]:
    Path("in/p").mkdir()
    for name in range(3):
        Path(f"in/p/{name}.png").write_bytes(picture(name))
    make_manifest("in/p", "in/m.jsonl", progress=False)
    data = Path("in/m.jsonl").read_bytes()
    if number % 4 == 0:
        spoiled = data[: int(rng.integers(0, len(data) - 1))]
    elif number % 4 == 1:
        lines = data.splitlines(keepends=True)
        spoiled = b"".join(line for i, line in enumerate(lines) if i != 1 + number // 4 % 3)
    elif number % 4 == 2:
        place = data.index(b'"sha256": "') + 11 + int(rng.integers(0, 64))
        spoiled = data[:place] + (b"0" if data[place : place + 1] != b"0" else b"1") + data[place + 1 :]
    else:
        spoiled = (b"[" * 50_000, data.decode().encode("utf-16"), b"", b"null\n", b"{}\n", data + b"{", data + data)[
            number // 4 % 7
        ]
    Path("in/m.jsonl").write_bytes(spoiled)
    return [
        "label",
        "--cell",
        CELL,
        "--config",
        str(ROOT / "config/mini.yaml"),
        "--manifest",
        "in/m.jsonl",
        "--out",
        "out",
    ]


def cases() -> Iterator[Case]:
    """All of this file's."""
    for part in (studies, cameras, headers, tables, lists):
        yield from part()
    for number in range(40):
        yield Case("manifest", f"manifest-{number}", partial(_edited_manifest, number), refused("in/m.jsonl"))
