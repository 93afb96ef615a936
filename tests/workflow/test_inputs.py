"""What makes jobs run again, and what does not: contents of what lies outside, never times, places or what does not
matter.

The results are stand-ins whose contents no job has made: Snakefile and Snakemake see nothing but files.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dad.study.copies import note_times, restore_times
from dad.study.layout import Layout
from dad.study.outside import record

ZOO = Path(__file__).parents[2] / "dad" / "models" / "zoo"


def picture(path: Path, seed: int, size=(96, 72)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def pairs(folder: Path, count: int) -> None:
    """A folder of RGB-D pairs with its manifest."""
    lines = ["rgb,gt,kind,scale"]
    for index in range(count):
        picture(folder / f"{index}.png", index)
        depth = np.random.default_rng(index).integers(500, 5000, (72, 96), dtype=np.uint16)
        Image.fromarray(depth).save(folder / f"{index}_gt.png")
        lines.append(f"{index}.png,{index}_gt.png,depth,0.001")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


STUDY = {
    "live_tracking": True,
    "teacher": "teacher",
    "assistant": None,
    "architectures": {},
    "scaling": [],
    "photos": "my photos",
    "samples": "my samples",
    "protocols": ["rules/mine.yaml"],
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 2, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"},
    ],
}
TARGET = "reports/tiny/table1.csv"


def prepare(folder: Path, tiny, **changes) -> None:
    """The user's files and the study."""
    for index in range(6):
        picture(folder / "my photos" / f"{index}.jpg", index)
    pairs(folder / "my samples", 3)
    (folder / "teacher").mkdir()
    shutil.copy(ZOO / "vit-large.safetensors", folder / "teacher" / "model.safetensors")
    (folder / "rules").mkdir()
    rules = (ZOO.parents[1] / "evaluation" / "protocols" / "marigold.yaml").read_text()
    (folder / "rules" / "mine.yaml").write_text(rules.replace("name: marigold", "name: mine"))
    tiny.write_study(folder, **STUDY | changes)


@pytest.fixture(scope="module")
def original(tmp_path_factory, tiny):
    """A folder in which Table 1 counts as finished."""
    folder = tmp_path_factory.mktemp("original")
    prepare(folder, tiny)
    summary = tiny.snakemake(folder, "--summary", TARGET)
    outputs = [
        line.split("\t")[0]
        for line in summary.splitlines()
        if line.startswith(("results/", "reports/")) and "\t" in line
    ]
    assert len(outputs) > 50
    for number, output in enumerate(outputs):
        path = folder / output
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}")
    tiny.snakemake(folder, "--touch", TARGET)
    return folder


@pytest.fixture
def finished(original, tmp_path):
    """A copy of it for each test, Snakemake's own records included."""
    folder = tmp_path / "study"
    shutil.copytree(original, folder)
    return folder


def jobs(tiny, folder: Path, *arguments: str) -> set[str]:
    """The rules whose jobs would run."""
    output = tiny.snakemake(folder, "--dry-run", *(arguments or (TARGET,)))
    rules = set(tiny.planned(output)) - {"total"}
    assert rules or "Nothing to be done" in output
    return rules


SCORING = {"evaluate", "table"}
TRAINING = {"label", "train", "contact_sheet", "evaluate", "table"}


def test_a_finished_study_is_finished(finished, tiny):
    assert jobs(tiny, finished) == set()


def test_what_does_not_change_the_training_retrains_nothing(finished, tiny):
    tiny.write_study(finished, **STUDY | {"description": "other words"})
    assert jobs(tiny, finished) == {"contact_sheet", "table"}
    tiny.write_study(finished, **STUDY | {"live_tracking": False, "tracking_uri": "sqlite:///other.db"})
    assert jobs(tiny, finished) == {"contact_sheet", "table"}
    more = {"dataset": "scenes-outdoor", "count": 2, "seed": 500000, "height": 48, "width": 64, "stands_for": "DIODE"}
    tiny.write_study(finished, **STUDY | {"benchmarks": [*STUDY["benchmarks"], more]})
    assert jobs(tiny, finished) == {"benchmark_scenes", "contact_sheet", "evaluate", "table"}


def test_exchanged_photos_are_trained_on_again(finished, tiny):
    for index in range(3):
        picture(finished / "my photos" / f"{index}.jpg", 100 + index)
    assert jobs(tiny, finished) == {"manifest", *TRAINING}
    # and a second dry run still says so
    assert jobs(tiny, finished) == {"manifest", *TRAINING}


def test_new_times_and_other_files_among_the_photos_change_nothing(finished, tiny):
    for path in (finished / "my photos").iterdir():
        os.utime(path, (2_000_000_000, 2_000_000_000))
    (finished / "my photos" / "notes.txt").write_text("where they are from")
    os.utime(finished / "teacher" / "model.safetensors")
    assert jobs(tiny, finished) == set()


def test_an_edited_manifest_of_samples_scores_again_and_trains_nothing(finished, tiny):
    manifest = finished / "my samples" / "manifest.csv"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    assert jobs(tiny, finished) == {"contact_sheet", *SCORING}


def test_an_edited_protocol_scores_again(finished, tiny):
    with open(finished / "rules" / "mine.yaml", "a") as file:
        file.write("# looked at\n")
    assert jobs(tiny, finished) == SCORING


def test_other_weights_under_the_same_name_label_again(finished, tiny):
    shutil.copy(ZOO / "midas-large.safetensors", finished / "teacher" / "model.safetensors")
    assert jobs(tiny, finished) == TRAINING


@pytest.mark.parametrize("records", ["with Snakemake's records", "without"])
def test_a_copy_without_times_is_finished_and_still_notices_changes(original, tmp_path, tiny, records):
    folder = tmp_path / "elsewhere" / "copy"
    ignore = None if records.startswith("with ") else shutil.ignore_patterns(".snakemake")
    shutil.copytree(original, folder, copy_function=shutil.copyfile, ignore=ignore)
    # as an archive or a checkout leaves them: in any order
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, place in enumerate(np.random.default_rng(0).permutation(len(files))):
        os.utime(files[place], (1_700_000_000 + number, 1_700_000_000 + number))
    assert jobs(tiny, folder) == set()
    picture(folder / "my photos" / "0.jpg", 7)
    assert jobs(tiny, folder) == {"manifest", *TRAINING}


def test_reports_of_two_studies_do_not_meet(finished, tiny):
    tiny.write_study(finished, **STUDY | {"name": "other"})
    output = tiny.snakemake(finished, "--dry-run", "reports/other/table1.csv")
    assert tiny.planned(output)["train"] == 8
    refused = tiny.snakemake(finished, "--dry-run", TARGET, check=False)
    assert "MissingRuleException" in refused


class TestRecord:
    """`record` by itself."""

    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("a.jpg", "deep/b.jpg"):
            (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name).write_bytes(name.encode())
        return tmp_path / "data"

    def made(self, tmp_path, folder):
        path = record(tmp_path / "record.json", {"data": folder})
        return path.stat().st_mtime_ns, json.loads(path.read_text())["files"]

    def test_it_is_as_old_as_what_it_describes(self, tmp_path, folder):
        for file in folder.rglob("*.jpg"):
            os.utime(file, (1_600_000_000, 1_600_000_000))
        changed, files = self.made(tmp_path, folder)
        assert changed == 1_600_000_000 * 10**9
        assert sorted(files) == ["data/a.jpg", "data/deep/b.jpg"]

    def test_what_ships_with_the_package_is_older_than_every_result(self, tmp_path):
        path = record(tmp_path / "record.json", {"model": ZOO / "vit-small.safetensors"})
        assert int(path.stat().st_mtime) == 0

    @pytest.mark.parametrize("change", ["content", "name", "more", "fewer"])
    def test_changes_make_it_new(self, tmp_path, folder, change):
        before, _ = self.made(tmp_path, folder)
        if change == "content":
            (folder / "a.jpg").write_bytes(b"A.jpg")
        elif change == "name":
            (folder / "a.jpg").rename(folder / "c.jpg")
        elif change == "more":
            (folder / "c.jpg").write_bytes(b"c")
        else:
            (folder / "a.jpg").unlink()
        after, _ = self.made(tmp_path, folder)
        assert after > before

    def test_a_file_exchanged_for_one_of_its_size_and_set_to_its_time_is_found(self, tmp_path, folder):
        before, _ = self.made(tmp_path, folder)
        fact = (folder / "a.jpg").stat()
        (folder / "a.jpg").write_bytes(b"b.jpg")
        os.utime(folder / "a.jpg", ns=(fact.st_atime_ns, fact.st_mtime_ns))
        assert self.made(tmp_path, folder)[0] > before

    def test_hidden_files_do_not_count(self, tmp_path, folder):
        before = self.made(tmp_path, folder)
        (folder / ".DS_Store").write_bytes(b"x")
        (folder / "deep" / "._b.jpg").write_bytes(b"x")
        assert self.made(tmp_path, folder) == before

    def test_beyond_a_size_times_decide(self, tmp_path, folder, monkeypatch):
        monkeypatch.setattr("dad.study.outside.HASHED_BYTES", 3)
        before, files = self.made(tmp_path, folder)
        assert {checksum for _, _, checksum, _ in files.values()} == {None}
        os.utime(folder / "a.jpg", (1_600_000_000, 1_600_000_000))
        assert self.made(tmp_path, folder)[0] > before

    def test_a_damaged_record_is_made_anew(self, tmp_path, folder):
        self.made(tmp_path, folder)
        (tmp_path / "record.json").write_text("{")
        assert sorted(self.made(tmp_path, folder)[1]) == ["data/a.jpg", "data/deep/b.jpg"]


def test_a_file_that_changed_in_the_copy_keeps_its_own_time(tmp_path):
    from dad.study.cells import load_study

    layout = Layout(
        load_study(str(ZOO.parents[2] / "config" / "mini.yaml")), tmp_path / "results", tmp_path / "reports"
    )
    for name in ("study.json", "runs/a/config.json", "scores/ablation/a.csv"):
        (layout.root / name).parent.mkdir(parents=True, exist_ok=True)
        (layout.root / name).write_text(name)
    note_times(layout)
    noted = {path: path.stat().st_mtime_ns for path in layout.timed_files()}
    assert len(noted) == 3
    assert restore_times(layout) == 0  # no copy
    for path in (*noted, layout.root / "times.json"):
        os.utime(path, (2_000_000_000, 2_000_000_000))
    (layout.root / "study.json").write_text("edited")
    edited = (layout.root / "study.json").stat().st_mtime_ns
    assert restore_times(layout) == 2
    assert {path: path.stat().st_mtime_ns for path in noted} == noted | {layout.root / "study.json": edited}
    assert restore_times(layout) == 0
