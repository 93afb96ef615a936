"""Names, folders, collisions of inputs and outputs, and options that cannot be."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from fuzz_pixels import EVALUATE, pairs, picture
from fuzz_running import Case, Result, refused

PREDICT = ["--model", "zoo/vit-small", "--out", "out", "--device", "cpu"]
NAMES = (
    *(
        "é",
        "e\u0301",
        "照片",
        "مرحبا",
        "\U0001f600",
        "a b",
        " lead",
        "trail ",
        "a'b",
        'a"b',
        "a;b",
        "$(touch out)",
        "`x`",
        "a|b",
        "a&b",
    ),
    *(
        "a\nb",
        "a\tb",
        "%s",
        "{x}",
        "[x]",
        "*",
        "?",
        "#",
        "a=b",
        "a,b",
        "a:b",
        "~",
        "!",
        "\\",
        "a\\b",
        "CON",
        "NUL",
        "-x",
        "--out",
    ),
    *(
        "a.b.c",
        "a.png",
        "x" * 230,
        "x" * 241,
        "x" * 244,
        "é" * 110,
        "_colour",
        "a_colour",
        "0",
        "None",
        "true",
        "\x7f",
        "\u202e",
        "\ufeff",
    ),
)


def _named(name: str, verb: str, rng: np.random.Generator) -> list[str]:
    Path("in/p").mkdir()
    Path(f"in/p/{name}.png").write_bytes(picture(1))
    Path("in/p/zz.png").write_bytes(picture(2))
    if verb == "manifest":
        return ["data", "manifest", "in/p", "--out", "out/m.jsonl"]
    return ["predict", "in/p", *PREDICT]


def _all_there(name: str, verb: str) -> Callable[[Result], None]:
    def expect(result: Result) -> None:
        assert result.code == 0
        if verb == "manifest":
            assert result.out.startswith("2 photos")
            return
        assert Path("out/zz.npy").is_file()
        assert np.load(f"out/{name}.npy").shape == (48, 64)
        assert Path(f"out/{name}_colour.png").is_file()

    return expect


def names() -> Iterator[Case]:
    """Photos with every kind of name keep it."""
    for number, name in enumerate(NAMES):
        for verb in ("predict", "manifest"):
            yield Case("name", f"name-{number}-{verb}", partial(_named, name, verb), _all_there(name, verb))
    for length in (245, 246, 250, 251):
        yield Case("name", f"name-long-{length}", partial(_named, "x" * length, "predict"), _too_long)


def _too_long(result: Result) -> None:
    assert result.code == 0
    assert "its name is too long" in result.err
    assert Path("out/zz.npy").is_file()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


def _hidden(path: Path, name: str) -> None:
    (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
    (path.parent / name).write_bytes(b"no image")


def _folder(path: Path) -> None:
    path.mkdir()


THINGS: dict[str, tuple[Callable[[Path], None], bool]] = {
    "fifo": (_pipe, True),
    "loop": (_loop, True),
    "lost": (partial(_link, target="nowhere"), True),
    "device": (partial(_link, target="/dev/zero"), True),
    "to-fifo": (lambda path: (os.mkfifo(path.parent / "pipe"), path.symlink_to("pipe")), True),
    "up": (lambda path: (path.parent / "up").symlink_to(".."), False),
    "self": (lambda path: (path.parent / "self").symlink_to("."), False),
    "folder": (_folder, False),
    **{
        f"hidden-{number}": (partial(_hidden, name=name), False)
        for number, name in enumerate(
            (".a.png", "._a.png", ".a/b.png", "__MACOSX/a.png", "Thumbs.db", "@eaDir/a.png", ".DS_Store", "desktop.ini")
        )
    },
}
SEARCHES = {
    "predict": ["predict", "in/p", *PREDICT],
    "manifest": ["data", "manifest", "in/p", "--out", "out/m.jsonl"],
    "check": ["data", "check", "photos", "in/p"],
}


def _with(make: Callable[[Path], None], verb: str, rng: np.random.Generator) -> list[str]:
    Path("in/p").mkdir()
    Path("in/p/sound.png").write_bytes(picture(1))
    make(Path("in/p/odd.png"))
    return SEARCHES[verb]


def _found(verb: str, named: bool) -> Callable[[Result], None]:
    def expect(result: Result) -> None:
        assert result.code == 0
        assert ("odd.png" in result.out + result.err) == named, (
            "a file that cannot be read is named, and others are not"
        )
        if verb == "predict":
            assert [path.name for path in Path("out").rglob("*.npy")] == ["sound.npy"]
        else:
            assert (
                "1 photos" in result.out
                if verb == "manifest"
                else "photos: 1" in result.out or "photos: 2" in result.out
            )

    return expect


def folders() -> Iterator[Case]:
    """What lies in folders beside photos."""
    for name, (make, named) in THINGS.items():
        for verb in SEARCHES:
            yield Case("folder", f"folder-{name}-{verb}", partial(_with, make, verb), _found(verb, named))


def _photos(rng: np.random.Generator) -> None:
    Path("in/p/sub").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "sub/c.png"):
        Path("in/p", name).write_bytes(picture(1, "JPEG" if name.endswith("jpg") else "PNG"))
    Path("in/link").symlink_to("p")
    Path("in/file").write_text("x")


OVER = ("in/p", "in/p/", "./in/p", "in/p/../p", "in/p/sub/..", "in/link", "in/link/../p")
BLOCKED = (
    "in/file",
    "in/file/x",
    "in/p/a.png",
    "in/p/a.png/x",
    "in/p/sub/c.png/x/y",
    "/dev/null",
    "/dev/null/x",
    "/proc/x",
    "x" * 300,
)


def _after(prepare: Callable[[np.random.Generator], None], words: list[str], rng: np.random.Generator) -> list[str]:
    prepare(rng)
    return words


def _pairs(rng: np.random.Generator) -> None:
    pairs()
    Path("in/list.csv").symlink_to("set/manifest.csv")
    os.link("in/set/manifest.csv", "in/hard.csv")


def collisions() -> Iterator[Case]:
    """Outputs that are, replace or join inputs or each other, and that cannot be made."""
    given = ("in/p", "in/p/a.png", "in/link", "in/link/a.png", "in/p/sub/../a.png")
    for number, (source, out) in enumerate((source, out) for source in given for out in OVER):
        words = ["predict", source, "--model", "zoo/vit-small", "--out", out]
        yield Case("collision", f"collision-predict-{number}", partial(_after, _photos, words), refused())
    for number, out in enumerate(BLOCKED):
        for verb, words in {
            "predict": ["predict", "in/p", "--model", "zoo/vit-small", "--out", out],
            "scenes": ["data", "scenes", "--kind", "indoor", "--count", "1", "--seed", "0", "--out", out],
            "manifest": ["data", "manifest", "in/p", "--out", f"{out}/m" if "/dev/null" in out else out],
        }.items():
            if not (verb == "manifest" and out == "in/file"):  # which replaces a file that was named for it
                yield Case(
                    "collision", f"collision-{verb}-blocked-{number}", partial(_after, _photos, words), refused()
                )
    pairs_of = {
        "out": (
            "in/set/manifest.csv",
            "in/set/0.png",
            "in/set/d.png",
            "in/maps/0.npy",
            "in/list.csv",
            "in/hard.csv",
            "in/set",
            "in/set/x.png",
        ),
        "summary": (
            "out/scores.csv",
            "out/SCORES.csv",
            "out/x/../scores.csv",
            "in/set/manifest.csv",
            "in/hard.csv",
            "in/maps/1.npy",
        ),
        "previews": ("in/set", "in/set/x", "in/maps", "in/maps/x", "out/scores.csv", "in/hard.csv", "in/set/0.png/x"),
    }
    for option, places in pairs_of.items():
        for number, place in enumerate(places):
            words = [*EVALUATE, *([] if option == "out" else ["--out", "out/scores.csv"]), f"--{option}", place]
            yield Case("collision", f"collision-evaluate-{option}-{number}", partial(_after, _pairs, words), refused())


ODD_NUMBERS = ("0", "-1", "x", "", "1.5", "nan", "inf", "1e3", "９９x", "0x10", "9" * 5000, " ", "1 2")
SCENES = {"--kind": "indoor", "--count": "1", "--seed": "0", "--height": "24", "--width": "32", "--out": "out"}


def _words(verb: list[str], values: dict[str, str]) -> list[str]:
    return [*verb, *(word for key, value in values.items() for word in (key, value))]


def options() -> Iterator[Case]:
    """Values of options that mean nothing."""
    for option in ("--count", "--height", "--width", "--samples", "--workers"):
        for number, value in enumerate(ODD_NUMBERS):
            words = _words(["data", "scenes"], SCENES | {option: value})
            yield Case("option", f"option-scenes{option}-{number}", partial(_after, _photos, words), refused())
    for option, value in (
        ("--count", "9" * 15),
        ("--height", "9" * 9),
        ("--width", "9" * 9),
        ("--kind", "moon"),
        ("--style", "x"),
        ("--seed", "x"),
    ):
        words = _words(["data", "scenes"], SCENES | {option: value})
        yield Case("option", f"option-scenes{option}-large", partial(_after, _photos, words), refused())
    for option in ("--batch", "--size", "--near", "--far"):
        for number, value in enumerate(ODD_NUMBERS):
            if (option, value) in (("--far", "1e3"), ("--near", "0x10")) or value == "1.5":
                continue
            words = _words(["predict", "in/p", "--points"], {"--model": "zoo/vit-small", "--out": "out", option: value})
            yield Case("option", f"option-predict{option}-{number}", partial(_after, _photos, words), _option_refused)
    for number, value in enumerate(
        ("gpu", "cuda:99", "cpu:3", "", " ", "meta", "x:y", "cuda:x", "cuda:-1", "auto0", "xla", "cpu:")
    ):
        words = ["predict", "in/p", "--model", "zoo/vit-small", "--out", "out", "--device", value]
        yield Case("option", f"option-device-{number}", partial(_after, _photos, words), refused())
    for number, value in enumerate(
        ("", "moon", "zoo/moon", "in/file", "in/p", "in/p/a.png", "zoo/", "/", ".", "in", "zoo/../x")
    ):
        words = ["predict", "in/p", "--model", value, "--out", "out"]
        yield Case("option", f"option-model-{number}", partial(_after, _photos, words), refused())
    for number, more in enumerate(_evaluations()):
        yield Case(
            "option",
            f"option-evaluate-{number}",
            partial(_after, _pairs, [*EVALUATE, "--out", "out/scores.csv", *more]),
            refused(),
        )
    for number, value in enumerate(("moon", "p:x", "sub:9", "sub:-1", "sub:", "..:x", "a.png", "sub:1.5")):
        if value != "sub:":
            words = ["data", "manifest", "in/p", "--out", "out/m.jsonl", "--only", value]
            yield Case("option", f"option-only-{number}", partial(_after, _photos, words), refused())
    for number, words in enumerate(
        ((), ("moon",), ("predict",), ("data",), ("data", "moon"), ("predict", "in/p"), ("matrix", "--moon"))
    ):
        yield Case("option", f"option-usage-{number}", partial(_after, _photos, list(words)), _usage)


def _evaluations() -> Iterator[list[str]]:
    for value in (
        "",
        "moon",
        ",",
        "marigold,",
        "marigold,marigold",
        "all,marigold",
        "moon,marigold",
        "in/list.csv",
        "in",
        "\0",
    ):
        yield ["--protocol", value]
    for value in ("eigen", "moon", ""):
        yield ["--crop", value]
    yield from (
        ["--list", "in/list.csv"],
        ["--dataset", "samples"],
        ["--kind", "x"],
        ["--previews-count", "3"],
        ["--previews-count", "0"],
    )
    yield from (
        ["--model", "zoo/vit-small"],
        ["--failures", "x"],
        ["--dataset", "moon", "--root", "in"],
        ["--root", "in/set"],
    )


def _option_refused(result: Result) -> None:
    """Refused at once; or, where only the model can tell, image by image, with nothing predicted."""
    assert result.code == 2
    assert not list(Path("out").rglob("*.npy"))
    assert len(result.said) == 1


def _usage(result: Result) -> None:
    """Wrong usage is one line; `dad` alone helps."""
    assert result.code == 2 or "usage" in result.out
    assert len(result.err.splitlines()) <= 1


def cases() -> Iterator[Case]:
    """All of this file's."""
    yield from names()
    yield from folders()
    yield from collisions()
    yield from options()
