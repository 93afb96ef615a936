"""What is made of a study and read again: own tables, scores, label caches, collapses; folders and single values."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import yaml
from fuzz_pixels import picture
from fuzz_running import Case, Result, refused

from dad.data.manifest import make_manifest, open_photos
from dad.distill.inputs import label_identity
from dad.evaluation import load_protocol
from dad.evaluation.evaluate import COLUMNS
from dad.files import sha256_file, sha256_json, write_csv, write_json
from dad.identity import seal_file, write_sealed_json
from dad.models.checkpoints import weights_identity
from dad.study.base import parse_model
from dad.study.cells import all_cells, study_groups
from dad.study.config import LabelPlan, StudyConfig
from dad.study.layout import Layout

ROOT = Path(__file__).parents[2]
TABLE = {"title": "Own", "grid": {"normalization": ["global", "hybrid"]}}
ROWS = [{"row": {"a": "one"}, "train": {}}, {"row": {"a": "two"}, "train": {"mode": "shared"}}]
BAD_TABLES = {
    "title": (None, [], {}),
    "grid": (
        None,
        [],
        {},
        "x",
        {"normalization": []},
        {"normalization": "global"},
        {"normalization": ["moon"]},
        {"moon": [1]},
    )
    + (
        {"normalization": ["global", "global"]},
        {"loss.feature": [1, 1.0]},
        {"optim.steps": [0]},
        {"optim.steps": [True]},
    )
    + (
        {"crop.size": [57]},
        {"normalization": [None]},
        {"normalization": [{}]},
        {"seed": [1, 2]},
        {"optim.steps": list(range(1, 20_001))},
    ),
    "rows": (5, "x", {}, [5], [{}], [{"row": {}}], [{"row": {"normalization": []}}], [{"row": {"other": "x"}}]),
    "factors": ("x", ["other"], [], ["normalization", "normalization"]),
    "seeds": ([0, 0], [-1], ["x"], 0, [True]),
    "where": ({"moon": 1}, {"normalization": "moon"}, {}, 5),
    "except": ({"normalization": ["global", "hybrid"]}, {"moon": 1}),
    "reference": ({"normalization": "moon"}, {"moon": 1}, 5, "x"),
    "labels": ({"moon": {}}, 5, {"normalization": {"global": "same", "hybrid": "same"}}),
    "levels": ({"moon": {}}, {"normalization": {"global": {"moon": 1}}}),
    "columns": ([{"dataset": "moon", "metric": "abs_rel"}], [{"dataset": "ETH3D", "metric": "moon"}], 5, ["x"]),
    "base": ({"moon": 1}, {"optim.steps": -1}, 5, {"loss.feature": "ax"}),
    "block": (["moon"], 5),
    "curves": ({"along": "normalization", "lines": "normalization", "facets": "normalization"}, {"along": "moon"}, 5),
    "claims": ([{"id": "A b"}], [{"id": "a", "text": "x", "comparisons": []}], 5),
    "unknown": (1,),
}


def _table(table: object, name: str, rng: np.random.Generator) -> list[str]:
    study = yaml.safe_load((ROOT / "config/mini.yaml").read_text()) | {"tables": {name: table}}
    Path("in/s.yaml").write_text(yaml.safe_dump(study))
    return ["check", "--config", "in/s.yaml"]


def _stopped(result: Result) -> None:
    assert result.code == 2, "it was accepted"
    assert len(result.said) == 1 or "stop: " in result.out


def tables() -> Iterator[Case]:
    """Tables of the user's own."""
    for key, values in BAD_TABLES.items():
        for number, value in enumerate(values):
            yield Case("own-table", f"own-table-{key}-{number}", partial(_table, TABLE | {key: value}, "own"), _stopped)
    for number, value in enumerate((None, 5, "x", [], {}, {"title": "x"})):
        yield Case("own-table", f"own-table-whole-{number}", partial(_table, value, "own"), _stopped)
    for number, name in enumerate(
        ("table1", "claims", "index", "fig4", "A", "a b", "a/b", "..", "", "ä", "1a", "a" * 300 + "/")
    ):
        yield Case("own-table", f"own-table-name-{number}", partial(_table, TABLE, name), _stopped)
    for factor in ("cell", "dataset", "metric", "mean", "row", "seed", "best"):
        levels = {factor: {"one": {}, "two": {"mode": "shared"}}}
        table = {"title": "Own", "grid": {factor: ["one", "two"]}, "levels": levels}
        yield Case("own-table", f"own-table-taken-{factor}", partial(_table, table, "own"), _stopped)


STUDY = {
    "name": "tiny",
    "description": "made-up scores",
    "seeds": [0],
    "teacher": "zoo/vit-large",
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "photos": {"source": "scenes", "kinds": ["indoor"], "count": 12, "seed": 1, "height": 72, "width": 96},
    "crop": {"size": 48, "min_crop": 64, "patches": 2},
    "optim": {"steps": 10, "batch": 2, "encoder_rate": 1e-4, "head_rate": 1e-3},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 3, "seed": 9, "height": 48, "width": 64, "stands_for": "ETH3D"}
    ],
    "tables": {"one": {"title": "One student.", "grid": {"normalization": ["hybrid"]}}},
}
Lines = list[dict[str, object]]


def _scores(change: Callable[[Path, Lines], object], sealed: bool, rng: np.random.Generator) -> list[str]:
    """A student's scores, changed before (`sealed`) or after their summary is written."""
    study = StudyConfig.model_validate(STUDY)
    Path("in/s.yaml").write_text(json.dumps(STUDY))
    (name,) = all_cells(study, ["one"])
    path, rules = Layout(study, "in/results").scores(study_groups(study, "one")[0], name), load_protocol("marigold")
    head = {"model": name, "dataset": "scenes-indoor", "protocol": rules.id, "protocol_hash": rules.hash, "n": 3072}
    numbers = {"abs_rel": 0.1, "delta1": 0.9, "status": "ok", "message": ""}
    lines = [dict.fromkeys(COLUMNS, 0.0) | head | numbers | {"image": f"{i}.png", "scene": str(i)} for i in range(3)]
    write_csv(path, lines, COLUMNS)
    if sealed:
        change(path, lines)
    if path.is_file():
        about = {"model": name, "results": [], "failures": [], "files": {path.name: sha256_file(path)}}
        write_sealed_json(path.with_suffix(".json"), about)
    if not sealed:
        change(path, lines)
    return ["table", "one", "--config", "in/s.yaml", "--results", "in/results", "--out", "out"]


def _set(key: str, value: object) -> Callable[[Path, Lines], object]:
    return lambda path, lines: write_csv(path, [lines[0] | {key: value}, *lines[1:]], COLUMNS)


def _without(key: str) -> Callable[[Path, Lines], object]:
    kept = [column for column in COLUMNS if column != key]
    return lambda path, lines: write_csv(path, [{column: line[column] for column in kept} for line in lines], kept)


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, Lines], object]:
    return lambda path, lines: path.write_bytes(change(path.read_bytes()))


def _edit(path: Path, then: str, now: str) -> None:
    assert then in path.read_text()
    path.write_text(path.read_text().replace(then, now))


BAD_SCORES: dict[str, Callable[[Path, Lines], object]] = {
    "gone": lambda path, lines: path.unlink(),
    "folder": lambda path, lines: (path.unlink(), path.mkdir()),
    "fifo": lambda path, lines: (path.unlink(), os.mkfifo(path)),
    "empty": _bytes(lambda data: b""),
    "header": _bytes(lambda data: data.splitlines(keepends=True)[0]),
    "binary": _bytes(lambda data: picture()),
    "utf-16": _bytes(lambda data: data.decode().encode("utf-16")),
    "twice": lambda path, lines: write_csv(path, [*lines, lines[0]], COLUMNS),
    **{f"without-{key}": _without(key) for key in ("model", "dataset", "protocol", "image", "n", "abs_rel", "scene")},
    **{f"{key}-other": _set(key, "other") for key in ("model", "abs_rel", "n")},
    **{f"abs_rel-{value}": _set("abs_rel", value) for value in ("inf", "-inf", "-0.1", "1e999")},
    **{f"n-{value}": _set("n", value) for value in ("-5", "1.5", "", "nan")},
    "protocol_hash-other": _set("protocol_hash", "00000000"),
    "dataset-other": lambda path, lines: write_csv(path, [line | {"dataset": "other"} for line in lines], COLUMNS),
    "protocol-other": lambda path, lines: write_csv(path, [line | {"protocol": "other@1"} for line in lines], COLUMNS),
}
BAD_SUMMARIES: dict[str, Callable[[Path, Lines], object]] = {
    "changed": _set("abs_rel", 0.2),
    "cut": _bytes(lambda data: data[:-200]),
    "grown": _bytes(lambda data: data + b"\n"),
    "flipped": _bytes(lambda data: data.replace(b"0.9", b"0.8", 1)),
    "gone": lambda path, lines: path.with_suffix(".json").unlink(),
    "folder": lambda path, lines: (path.with_suffix(".json").unlink(), path.with_suffix(".json").mkdir()),
    "fifo": lambda path, lines: (path.with_suffix(".json").unlink(), os.mkfifo(path.with_suffix(".json"))),
    "empty": lambda path, lines: path.with_suffix(".json").write_text(""),
    "list": lambda path, lines: path.with_suffix(".json").write_text("[]"),
    "edited": lambda path, lines: _edit(path.with_suffix(".json"), '"failures": []', '"failures": [1]'),
}


def scores() -> Iterator[Case]:
    """Score files and their summaries, as tables read them."""
    for name, change in BAD_SCORES.items():
        yield Case("score", f"score-{name}", partial(_scores, change, True), refused())
    for name, change in BAD_SUMMARIES.items():
        yield Case(
            "score",
            f"score-summary-{name}",
            partial(_scores, change, False),
            refused("again" if name == "gone" else ""),
        )


PLAN = {
    **{"teacher": "zoo/vit-small", "photos": {"source": "folder", "root": "in/p"}, "context": "square"},
    "crop": {"size": 48, "min_crop": 48, "patches": 2, "flip": True},
    **{"dtype": "float16", "seed": 0, "samples": 4, "batch": 2},
}
EXPORT = ["data", "labels", "--labels", "in/labels", "--manifest", "in/m.jsonl", "--out", "out/set"]


def _labels(change: Callable[[], object], more: list[str], rng: np.random.Generator) -> list[str]:
    """A finished label cache of maps that nobody predicted, changed."""
    import torch

    from dad.distill.labels import _write_shard

    Path("in/p").mkdir()
    for name in range(3):
        Path(f"in/p/{name}.png").write_bytes(picture(name))
    make_manifest("in/p", "in/m.jsonl", progress=False)
    plan, photos = parse_model(LabelPlan, PLAN, source="fuzz"), open_photos(Path("in/m.jsonl"))
    identity = label_identity(plan, photos, weights=weights_identity(plan.teacher))
    about = {"identity": sha256_json([identity, "square"]), "start": 0, "stop": 4}
    maps = torch.arange(4 * 48 * 48, dtype=torch.float32).reshape(4, 1, 48, 48).div(1e4).half()
    Path("in/labels").mkdir()
    _write_shard(Path("in/labels/shard-00000000.safetensors"), maps, about)
    described = plan.model_dump(mode="json")
    write_json("in/labels/plan.json", {"plan": described, "identity": identity})
    shards = [{"file": "shard-00000000.safetensors", "start": 0, "stop": 4}]
    shards[0]["sha256"] = sha256_file("in/labels/shard-00000000.safetensors")
    index = {"plan": described, "identity": identity, "view": "square", "kind": "disparity", "photos": photos.digest()}
    write_sealed_json("in/labels/index.json", index | {"shards": shards})
    change()
    return [*EXPORT, *more]


def _flip(path: str, place: float) -> None:
    data = bytearray(Path(path).read_bytes())
    data[int(place * (len(data) - 1))] ^= 4
    Path(path).write_bytes(data)


def _cut(path: str) -> None:
    Path(path).write_bytes(Path(path).read_bytes()[:-7])


def _instead(path: str, make: Callable[[str], object]) -> None:
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
    make(path)


SHARD, INDEX, MANIFEST = "in/labels/shard-00000000.safetensors", "in/labels/index.json", "in/m.jsonl"


def labels() -> Iterator[Case]:
    """Label caches that are exported."""
    changes: dict[str, Callable[[], object]] = {
        **{
            f"shard-flip-{place}": partial(_flip, SHARD, place) for place in (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
        },
        **{f"index-flip-{place}": partial(_flip, INDEX, place) for place in (0.05, 0.2, 0.4, 0.6, 0.8)},
        **{f"cut-{Path(path).suffix[1:]}": partial(_cut, path) for path in (SHARD, INDEX, MANIFEST)},
        **{f"gone-{Path(path).suffix[1:]}": partial(os.unlink, path) for path in (SHARD, INDEX, MANIFEST)},
        **{f"fifo-{Path(path).suffix[1:]}": partial(_instead, path, os.mkfifo) for path in (SHARD, INDEX, MANIFEST)},
        **{f"folder-{Path(path).suffix[1:]}": partial(_instead, path, os.mkdir) for path in (SHARD, INDEX)},
        "photo": lambda: Path("in/p/1.png").write_bytes(picture(7)),
        "photo-gone": lambda: Path("in/p/1.png").unlink(),
        "other-photos": lambda: (
            Path("in/p/1.png").write_bytes(picture(7)),
            Path(MANIFEST).unlink(),
            make_manifest("in/p", MANIFEST, progress=False),
        ),
        "list": lambda: Path(INDEX).write_text("[]"),
        "sealed-other": lambda: write_sealed_json(INDEX, {"files": {}}),
        "file": partial(_instead, "in/labels", lambda path: Path(path).write_text("x")),
    }
    yield Case("labels", "labels-same", partial(_labels, lambda: None, []), _exported)
    for name, change in changes.items():
        yield Case("labels", f"labels-{name}", partial(_labels, change, []), refused())
    for number, more in enumerate(
        (
            *(["--val", value] for value in ("1", "-0.1", "nan", "inf", "x", "")),
            *(["--near", value] for value in ("0", "-1", "nan", "11", "inf")),
            *(["--far", value] for value in ("1", "nan", "inf", "0")),
            *(["--count", value] for value in ("0", "-1", "x", "nan")),
            *(
                ["--depth", "png", "--far", "66"],
                ["--depth", "jpg"],
                ["--out", "in"],
                ["--out", "in/labels"],
                ["--out", "in/m.jsonl"],
            ),
        )
    ):
        yield Case("labels", f"labels-option-{number}", partial(_labels, lambda: None, more), refused())


def _exported(result: Result) -> None:
    assert result.code == 0
    assert len(list(Path("out/set/images").rglob("*.png"))) == 4


def _file(path: str, data: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)


def _sealed(value: object) -> None:
    import torch

    torch.save(value, "in/c.pt")
    seal_file(Path("in/c.pt"))


def _after(prepare: Callable[[], object], words: list[str], rng: np.random.Generator) -> list[str]:
    prepare()
    return words


def others() -> Iterator[Case]:
    """Collapses that are seen again, folders of studies, single values by --set."""
    again = ["train", "--replay", "in/c.pt"]
    kept: dict[str, Callable[[], object]] = {
        "gone": lambda: None,
        "empty": partial(_file, "in/c.pt", b""),
        "text": partial(_file, "in/c.pt", b"x" * 300),
        "folder": lambda: Path("in/c.pt").mkdir(),
        "fifo": lambda: os.mkfifo("in/c.pt"),
        "list": lambda: _sealed([1]),
        "checkpoint": lambda: _sealed({"model": {}, "step": 3}),
        "no-torch": lambda: (_file("in/c.pt", b"x" * 300), seal_file(Path("in/c.pt"))),
        "types": lambda: _sealed(dict.fromkeys(("message", "step", "photos", "cell", "places", "checkpoint"), 5)),
        "cell": lambda: _sealed({"message": "", "step": 1, "photos": [], "cell": {}, "places": {}, "checkpoint": None}),
    }
    for name, prepare in kept.items():
        yield Case("other", f"other-replay-{name}", partial(_after, prepare, again), refused("in/c.pt"))
    for number, more in enumerate((["--cell", "x"], ["--out", "out"], ["--labels", "in"], ["--set", "optim.steps=3"])):
        words = [*again, *more]
        yield Case(
            "other", f"other-replay-option-{number}", partial(_after, partial(_sealed, {}), words), refused("--replay")
        )
    places: dict[str, tuple[Callable[[], object], str]] = {
        "file": (partial(_file, "in/f", b""), "in/f"),
        "below": (partial(_file, "in/f", b""), "in/f/x"),
        "foreign": (partial(_file, "in/d/Snakefile", b"mine"), "in/d"),
        "config": (partial(_file, "in/d/config", b"mine"), "in/d"),
        "fifo": (lambda: (Path("in/d").mkdir(), os.mkfifo("in/d/Snakefile")), "in/d"),
        "link": (lambda: (Path("in/d").mkdir(), Path("in/d/Snakefile").symlink_to("nowhere")), "in/d"),
        "long": (lambda: None, "in/" + "x" * 300),
    }
    for name, (prepare, place) in places.items():
        yield Case("other", f"other-init-{name}", partial(_after, prepare, ["init", place]), refused())
    settings = (
        *("", "=", "x", "=1", "moon=1", "optim.moon=1", "optim.steps=x", "optim.steps=", "optim.steps=true", "optim=5"),
        *("seeds.9=1", "seeds.²=1", "seeds.x=1", "seeds.0=0.5", "seeds=[0, 0]", "name=a/b", "name=", "optim.steps.x=1"),
        *("photos.count=-1", "optim.steps=[", "optim.steps={", "optim.clip=.nan", "optim.clip=.inf", "optim..steps=1"),
        *("benchmarks=[]", "crop.size=" + "9" * 5000),
    )
    for number, setting in enumerate(settings):
        words = ["matrix", "--config", str(ROOT / "config/mini.yaml"), "--set", setting]
        yield Case("other", f"other-set-{number}", partial(_after, lambda: None, words), refused())


def cases() -> Iterator[Case]:
    """All of this file's."""
    for part in (tables, scores, labels, others):
        yield from part()
