"""Every string that a user can write reaches the programs as it stands: nothing in it is run, expanded or cut."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

PACKAGE = Path(__file__).parents[2] / "dad"
EVIL = "a b $(touch PWNED) `touch PWNED`; touch PWNED & {x} 'q' \"d\" *?#,=:"
"""For texts and, without the characters that paths of a study cannot have, for names of files."""
NAME = EVIL.replace("/", "")


def picture(path, seed, size=(96, 72)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, tiny):
    """A study with such a value in every string, in a folder of such a name."""
    folder = tmp_path_factory.mktemp("hostile") / "in {x} $(touch PWNED)"
    folder.mkdir()
    for index in range(4):
        picture(folder / f"photos {NAME}" / f"{NAME} {index}.png", index)
    samples, teacher, rules = (folder / f"{what} {NAME}" for what in ("samples", "teacher", "rules"))
    samples.mkdir()
    picture(samples / "good.png", 1)
    picture(samples / "bad.png", 2)
    Image.fromarray(np.random.default_rng(3).integers(500, 5000, (72, 96), dtype=np.uint16)).save(
        samples / "good_gt.png"
    )
    (samples / "bad_gt.png").write_bytes((samples / "good_gt.png").read_bytes()[:2000])
    (samples / "manifest.csv").write_text(
        "rgb,gt,kind,scale\ngood.png,good_gt.png,depth,0.001\nbad.png,bad_gt.png,depth,0.001\n"
    )
    teacher.mkdir()
    shutil.copy(PACKAGE / "models" / "zoo" / "vit-large.safetensors", teacher / "model.safetensors")
    rules.mkdir()
    marigold = (PACKAGE / "evaluation" / "protocols" / "marigold.yaml").read_text()
    (rules / f"{NAME}.yaml").write_text(marigold.replace("name: marigold", "name: mine"))
    tiny.write_study(
        folder,
        description=EVIL,
        teacher=teacher.name,
        assistant=None,
        architectures={},
        estimators={},
        scaling=[],
        photos=f"photos {NAME}",
        protocols=["marigold", f"{rules.name}/{NAME}.yaml"],
        tracking_uri=f"sqlite:///runs {NAME.replace('?', '').replace('#', '')}/m.db",
        rates={"device": EVIL, "train": {"default": 1, EVIL: 2}, "label": {"default": 1}},
        benchmarks=[{"dataset": "samples", "root": samples.name, "stands_for": "ETH3D"}],
    )
    return folder


def outputs(tiny, folder, target):
    """Every file that the jobs of a target make."""
    lines = tiny.snakemake(folder, "--summary", target).splitlines()
    return [line.split("\t")[0] for line in lines if line.startswith(("results/", "reports/")) and "\t" in line]


def test_nothing_in_a_string_is_run_and_all_of_it_arrives(hostile, tiny):
    everything = outputs(tiny, hostile, "results/tiny/tracked")
    labels = next(name for name in everything if name.endswith("/square/index.json"))
    scores = next(name for name in everything if "/ablation/model-" in name and name.endswith(".csv"))
    tiny.snakemake(hostile, labels, scores)
    assert json.loads((hostile / "results" / "tiny" / "study.json").read_text())["description"] == EVIL
    assert (hostile / labels).stat().st_size > 100
    # the damaged pair is named and counted, and the other scored, under both protocols
    table = pd.read_csv(hostile / scores)
    assert set(table["protocol"]) == {"marigold@1", "mine@1"}
    assert table.groupby("protocol")["abs_rel"].agg(lambda column: column.notna().sum()).tolist() == [1, 1]
    assert len(table) == 4
    summary = json.loads((hostile / scores).with_suffix(".json").read_text())
    assert [result["failed"] for result in summary["results"]] == [1, 1]
    assert not list(hostile.parent.rglob("PWNED"))


def test_mlflows_database_is_where_the_study_says(hostile, tiny):
    """With stand-ins for all results: what tracking makes of them does not matter here."""
    for name in outputs(tiny, hostile, "results/tiny/tracked"):
        (hostile / name).parent.mkdir(parents=True, exist_ok=True)
        if not (hostile / name).exists():
            (hostile / name).write_text("x")
    tiny.snakemake(hostile, "--touch", "results/tiny/tracked")
    (hostile / "results" / "tiny" / "tracked").unlink()
    printed = tiny.snakemake(hostile, "results/tiny/tracked")
    assert "MLflow was not updated" not in printed
    uri = json.loads((hostile / "study.yaml").read_text())["tracking_uri"]
    with sqlite3.connect(hostile / uri.removeprefix("sqlite:///")) as connection:
        assert connection.execute("SELECT name FROM experiments").fetchall()
    assert not list(hostile.parent.rglob("PWNED"))


@pytest.mark.parametrize(
    "name", ["scenes-indoor-$(touch PWNED)", "scenes-indoor-{x}", "scenes-indoor-../../up", "scenes-indoor- b"]
)
def test_a_data_sets_name_is_that_of_a_folder(tmp_path, tiny, name):
    benchmarks = [tiny.TINY["benchmarks"][0] | {"dataset": name}]
    tiny.write_study(tmp_path, benchmarks=benchmarks)
    printed = tiny.snakemake(tmp_path, "--dry-run", check=False)
    assert "benchmarks.0.dataset" in printed
    assert not (tmp_path / "results").exists()


def test_a_protocols_path_may_hold_commas_and_names_may_stand_together():
    from dad.cli.evaluate import _protocols

    assert _protocols(["marigold,moge", "disparity"]) == ["marigold", "moge", "disparity"]
    assert _protocols([str(PACKAGE / "evaluation" / "protocols" / "marigold.yaml")])[0].endswith("marigold.yaml")
