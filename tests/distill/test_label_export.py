"""Labels in Ultralytics' layout, read back as its loader reads them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from dad.cli import main
from dad.data.crops import CropStream
from dad.data.manifest import make_manifest
from dad.distill.labels import LabelCache, compute_labels, crop_plan, training_photos


@pytest.fixture(scope="module")
def labelled(scene_folders, tmp_path_factory):
    """A manifest, and labels of both views for its photos; the plan is that of the fixture `cell`."""
    from dad.study.base import parse_model
    from dad.study.config import LabelPlan

    folder = tmp_path_factory.mktemp("labelled")
    shutil.copytree(scene_folders["indoor"] / "rgb", folder / "photos")
    make_manifest(folder / "photos", folder / "photos.jsonl", seed=0)
    plan = parse_model(
        LabelPlan,
        {
            **{
                "teacher": "zoo/vit-small",
                "photos": {"source": "folder", "root": str(folder / "photos")},
                "context": "square",
            },
            "crop": {"size": 48, "min_crop": 56, "patches": 2, "flip": True},
            **{"dtype": "float16", "seed": 0, "samples": 12, "batch": 2},
        },
        source="test",
    )
    for view in ("square", "patches"):
        compute_labels(plan, folder / "photos.jsonl", view, folder / "labels" / view)
    return folder


def read_as_ultralytics(data_yaml):
    """Image and depth of every pair, by split: a depth's path is its image's with `depth` for the last `images`, .png
    before .npy; PNG values are divided by `depth_scale`; paths are relative to the YAML's folder, which has no `path`.
    """
    data = yaml.safe_load(Path(data_yaml).read_text())
    assert (data["nc"], data["names"]) == (1, {0: "depth"})
    found = {}
    for split in ("train", "val"):
        found[split] = {}
        for image in sorted((Path(data_yaml).parent / data[split]).iterdir()):
            parts = list(image.parts)
            parts[len(parts) - 1 - parts[::-1].index("images")] = "depth"
            path = Path(*parts).with_suffix(".png")
            if path.is_file():
                assert Image.open(path).mode in ("I", "I;16")
                depth = np.asarray(Image.open(path)).astype(np.float32) / data["depth_scale"]
            else:
                depth = np.load(path.with_suffix(".npy"))
                assert depth.dtype == np.float32
            pixels = np.asarray(Image.open(image))
            assert pixels.shape == (*depth.shape, 3)
            found[split][image.stem] = (pixels, depth)
    return found, data


def ours(labelled, view):
    index = json.loads((labelled / "labels" / view / "index.json").read_text())
    from dad.study.base import parse_model
    from dad.study.config import LabelPlan

    plan = parse_model(LabelPlan, index["plan"], source="index")
    photos, _ = training_photos(plan, labelled / "photos.jsonl")
    stream = CropStream(photos, crop_plan(plan), 0, plan.samples)
    return LabelCache(labelled / "labels" / view, plan, photos), stream


def export(labelled, out, *options, view="square"):
    given = [
        "--labels",
        str(labelled / "labels" / view),
        "--manifest",
        str(labelled / "photos.jsonl"),
        "--out",
        str(out),
    ]
    return main(["data", "labels", *given, *options])


@pytest.mark.parametrize(("depth_format", "tolerance"), [("npy", 1e-6), ("png", 6e-4)])
def test_the_crops_and_the_teachers_order_come_back(labelled, tmp_path, capsys, depth_format, tolerance):
    assert (
        export(labelled, tmp_path / "out", "--depth", depth_format, "--val", "0.3", "--near", "2", "--far", "20") == 0
    )
    found, data = read_as_ultralytics(tmp_path / "out" / "data.yaml")
    cache, stream = ours(labelled, "square")
    photos = {split: {stream[int(name)]["photo_id"] for name in pairs} for split, pairs in found.items()}
    assert photos["train"] and photos["val"]
    assert not photos["train"] & photos["val"]
    assert f"{len(found['train'])} pairs to train on and {len(found['val'])} to validate" in capsys.readouterr().out
    everything = found["train"] | found["val"]
    assert sorted(everything) == [f"{position:08d}" for position in range(12)]
    for name, (pixels, depth) in everything.items():
        square = stream[int(name)]["square"].permute(1, 2, 0).numpy()
        assert np.abs(pixels / 255 - square).max() <= 0.5 / 255 + 1e-6
        label = cache.read(torch.tensor([int(name)]))[0, 0].numpy().astype(np.float64)
        assert cache.kind == "disparity"
        share = (label - label.min()) / (label.max() - label.min())
        np.testing.assert_allclose(depth, 1 / (1 / 20 + share * (1 / 2 - 1 / 20)), atol=20 * tolerance)
        assert (depth > 0).all()
        assert depth.min() == pytest.approx(2, abs=1e-3) and depth.max() == pytest.approx(20, abs=1e-3)
        assert depth.max() < data["max_depth"]  # truth at the end of the range would be left out of their metrics
    source = json.loads((tmp_path / "out" / "source.json").read_text())
    assert (source["teacher"], source["depth"]["far"]) == ("zoo/vit-small", 20)


def test_patches_and_a_few_of_them(labelled, tmp_path):
    assert export(labelled, tmp_path / "out", "--count", "3", "--val", "0", view="patches") == 0
    found, data = read_as_ultralytics(tmp_path / "out" / "data.yaml")
    assert data["val"] == "images/train"
    assert sorted(found["train"]) == [f"{position:08d}-{number}" for position in range(3) for number in range(2)]
    cache, stream = ours(labelled, "patches")
    pixels, depth = found["train"]["00000002-1"]
    assert np.abs(pixels / 255 - stream[2]["patches"][1].permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6
    label = cache.read(torch.tensor([2]))[0, 1, 0].numpy()
    assert (np.argsort(-label.ravel(), kind="stable") == np.argsort(depth.ravel(), kind="stable")).mean() > 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val", "1"], "--val 1: a share of the photos from 0 to below 1 is needed"),
        (["--near", "3", "--far", "2"], "near and far must satisfy 0 < near < far"),
        (["--depth", "png", "--far", "80"], "a 16-bit PNG in millimetres ends at 65 m"),
    ],
)
def test_mistakes(labelled, tmp_path, capsys, options, message):
    assert export(labelled, tmp_path / "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folders_that_are_not_what_they_should_be(labelled, tmp_path, capsys):
    assert (
        main(
            ["data", "labels", "--labels", str(labelled / "labels"), "--manifest", "x", "--out", str(tmp_path / "out")]
        )
        == 2
    )
    assert f"give {labelled / 'labels' / 'square'}" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    assert export(labelled, tmp_path / "full") == 2
    assert "is not empty: give a new folder" in capsys.readouterr().err
