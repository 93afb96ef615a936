"""`dad.load`, `dad.predict`, `dad.evaluate`, `dad.train` as functions."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import dad
from dad.errors import UserError
from dad.evaluation.to_files import evaluate_to_files


def test_importing_the_package_is_cheap_and_its_names_are_functions():
    code = "import dad, sys; print('torch' in sys.modules); from dad import predict, evaluate, train, load; "
    code += "import dad.cli.predict; print(callable(dad.predict))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]
    assert {"load", "predict", "evaluate", "train"} <= set(dir(dad))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dad.nothing  # noqa: B018


def test_predict_gives_maps_and_writes_files(scene_folders, tmp_path):
    images = sorted((scene_folders["indoor"] / "rgb").glob("*.png"))[:2]
    estimator = dad.load("zoo/vit-small")
    one = dad.predict(images[0], "zoo/vit-small")
    assert (one.shape, one.dtype) == ((72, 96), np.float32)
    both = dad.predict([str(images[0]), Image.open(images[1])], estimator)
    np.testing.assert_array_equal(both[0], one)
    assert len(both) == 2
    dad.predict(images, estimator, tmp_path / "maps")
    np.testing.assert_allclose(np.load(tmp_path / "maps" / f"{images[0].stem}.npy"), one, rtol=0, atol=1e-5)
    with pytest.raises(UserError, match="give the paths of its images"):
        dad.predict(scene_folders["indoor"], estimator)
    with pytest.raises(UserError, match="out is for images that are paths"):
        dad.predict(np.zeros((32, 32, 3), np.uint8), estimator, tmp_path / "other")
    with pytest.raises(UserError, match="an estimator was made with its own"):
        dad.predict(images[0], estimator, short_side=64)


def test_evaluate_gives_the_verb_s_numbers(scene_folders, tmp_path):
    root = scene_folders["outdoor"]
    scores = dad.evaluate(
        "zoo/vit-small", {"scenes-outdoor": root}, protocols=["marigold", "moge"], out=tmp_path / "a.csv"
    )
    evaluate_to_files(
        benchmarks=[("scenes-outdoor", root)],
        out=tmp_path / "b.csv",
        model="zoo/vit-small",
        protocols=["marigold", "moge"],
    )
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    with open(tmp_path / "b.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(scores) == len(rows) == 10
    assert scores["abs_rel"].tolist() == [float(row["abs_rel"]) for row in rows]
    means = scores.groupby("protocol")["abs_rel"].mean()
    assert 0 < means.iloc[0] < 1
    with pytest.raises(UserError, match="data maps data sets"):
        dad.evaluate("zoo/vit-small", "scenes")
    with pytest.raises(UserError, match="marigolt"):
        dad.evaluate("zoo/vit-small", {"scenes-outdoor": root}, protocols="marigolt")


def test_train_goes_from_photographs_to_a_model(cell, scene_folders, tmp_path):
    values = cell.model_dump(mode="json") | {"mode": "cross"}
    photos = scene_folders["indoor"] / "rgb"
    run = dad.train(
        values, photos, tmp_path / "a", settings={"optim.steps": 3}, labels=tmp_path / "labels", device="cpu"
    )
    assert run == tmp_path / "a"
    assert json.loads((run / "config.json").read_text())["photos"]["root"] == str(photos.resolve())
    assert dad.predict(np.zeros((60, 80, 3), np.uint8), run).shape == (60, 80)
    other = dad.train(
        run / "config.json", photos, tmp_path / "b", settings={"normalization": "global"}, labels=tmp_path / "labels"
    )
    assert dad.evaluate(other, {"scenes-indoor": scene_folders["indoor"]})["status"].tolist() == ["ok"] * 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "labels"]
    assert len(list((tmp_path / "labels").iterdir())) == 1, "one teacher, one cache"
    with pytest.raises(UserError, match="holds a finished run"):
        dad.train(values, photos, tmp_path / "a")
    with pytest.raises(UserError, match="unknown key 'optimm'"):
        dad.train(values, photos, tmp_path / "c", settings={"optimm.steps": 3})
    with pytest.raises(UserError, match="neither a folder of photographs nor a manifest"):
        dad.train(values, tmp_path / "nowhere", tmp_path / "c")


def test_train_takes_a_cell_of_a_study_by_its_name(scene_folders, tmp_path):
    """With everything made beside the run, and gone afterwards."""
    small = {
        "optim.steps": 2,
        "optim.batch": 2,
        "crop.size": 48,
        "crop.min_crop": 56,
        "photos.count": 5,
        "optim.warmup": 1,
    }
    run = dad.train(
        "shared-hybrid-vit-large-to-vit-small",
        scene_folders["indoor"],
        tmp_path / "a",
        study="config/mini.yaml",
        settings=small,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    assert dad.load(run).kind == "disparity"
