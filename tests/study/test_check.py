"""`dad check`: every mistake that would stop a study is found beforehand, in one line: key, value, what is allowed."""

import io
import json
import os
import re
import stat
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dad.errors import UserError
from dad.models.config import NETWORKS
from dad.models.locate import use_files
from dad.study.base import parse_model
from dad.study.cells import all_cells
from dad.study.check import check, missing_data, wrong
from dad.study.check import machine as machine_module
from dad.study.check.networks import network_of, patch_of, problem_with
from dad.study.check.weights import missing_weights
from dad.study.config import BenchmarkConfig, StudyConfig
from dad.study.needs import label_needs, needs_of, score_needs, train_needs, training_gib
from dad.study.settings import with_settings

TINY = {
    "name": "tiny",
    "description": "a miniature for the tests",
    "seeds": [0],
    "teacher": "zoo/vit-large",
    "assistant": {"model": "zoo/genpercept"},
    "student": {"model": "zoo/vit-small", "init": "encoder"},
    "architectures": {"midas-l": {"model": "zoo/midas-large", "feature": False}},
    "photos": {
        "source": "scenes",
        "kinds": ["indoor", "outdoor"],
        "count": 40,
        "seed": 100000,
        "height": 192,
        "width": 256,
    },
    "crop": {"size": 112, "min_crop": 128, "patches": 2, "flip": True},
    "optim": {"steps": 10, "batch": 4, "encoder_rate": 1e-4, "head_rate": 1e-3, "warmup": 2, "checkpoint_every": 5},
    "benchmarks": [
        {"dataset": "scenes-indoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "ETH3D"},
        {"dataset": "scenes-outdoor", "count": 5, "seed": 500000, "height": 48, "width": 64, "stands_for": "DIODE"},
    ],
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in, empty caches, no hub."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "caches"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
    use_files({})


def tiny(*settings: str) -> StudyConfig:
    return with_settings(parse_model(StudyConfig, TINY, source="tiny"), settings, what="tiny")


def stops(*settings: str) -> list[str]:
    return [finding.line for finding in check(tiny(*settings)) if finding.stops]


def only(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    assert len(lines[0].splitlines()) == 1
    return lines[0]


def photos(folder: Path, sizes: list[tuple[int, int]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(sizes):
        Image.new("RGB", size, (index % 255, 0, 0)).save(folder / f"{index}.jpg")
    return folder


def test_a_study_without_mistakes_has_only_estimates():
    findings = check(tiny())
    assert {finding.severity for finding in findings} == {"note"}
    assert any("8 students" in finding.line for finding in findings)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("protocols=[marigolt]", ["protocols", "'marigolt'", "marigold, ", "did you mean 'marigold'"]),
        (
            "benchmarks.0.dataset=scenes-indor",
            ["benchmarks", "'scenes-indor'", "allowed are", "did you mean 'scenes-indoor'"],
        ),
        ("benchmarks.0.stands_for=ETH3", ["benchmarks: scenes-indoor", "stands_for 'ETH3'", "allowed are", "ETH3D"]),
        ("benchmarks.1.stands_for=ETH3D", ["benchmarks: scenes-outdoor", "ETH3D", "scenes-indoor", "one data set"]),
        ("teacher=zoo/vit-lage", ["teacher", "'zoo/vit-lage'", "zoo/vit-small", "did you mean 'zoo/vit-large'"]),
        (
            "teacher=depth-anythin-v2-large",
            ["teacher", "'depth-anythin-v2-large'", "did you mean 'depth-anything-v2-large'"],
        ),
        ("teacher=''", ["teacher", "''", "zoo/vit-large"]),
        ("teacher='  '", ["teacher", "names no model", "zoo/vit-large"]),
        ("assistant.model=zoo/vit-large", ["assistant.model", "zoo/vit-large", "another model"]),
        (
            "estimators.dpt=zoo/midas-large",
            ["estimators.dpt", "zoo/midas-large", "architectures.midas-l.model", "leave one out"],
        ),
        ("crop.min_crop=200", ["crop.min_crop", "200", "256 x 192", "at most 192"]),
        ("optim.warmup=11", ["optim.warmup", "11", "optim.steps (10)", "lower it"]),
        ("optim.batch=41", ["optim.batch", "41", "40 photos of photos.count", "lower it"]),
        ("tracking_uri=mlruns", ["tracking_uri", "'mlruns'", "sqlite:///mlflow.db"]),
        ("tracking_uri=postgresql://a/b", ["tracking_uri", "'postgresql://a/b'", "sqlite:///mlflow.db"]),
        ("tracking_uri='http://'", ["tracking_uri", "'http://'", "names no server"]),
        ("student.model=./none.safetensors", ["student.model", "./none.safetensors", "does not exist"]),
        ("photos=none", ["'none'", "photos.root", "images or SA-1B .tar shards"]),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(setting, parts):
    line = only(stops(setting))
    for part in parts:
        assert part in line


@pytest.mark.parametrize("setting", ["protocols=[marigolt]", "crop.size=100", "tracking_uri=mlruns", "teacher=''"])
def test_what_no_machine_could_run_is_told_from_what_is_missing_here(setting):
    assert wrong(tiny(setting))
    assert not wrong(tiny("photos=none", "teacher=./none.safetensors"))


def test_everything_is_said_at_once():
    lines = stops(
        "protocols=[marigolt]", "crop.min_crop=300", "optim.warmup=50", "tracking_uri=mlruns", "teacher=zoo/none"
    )
    assert len(lines) == 5


def test_a_crop_that_no_patch_divides_names_the_two_nearest_that_are():
    lines = stops("crop.size=100")
    assert {line.split(", the patch of the ")[1].split(":")[0] for line in lines} == {
        "student zoo/vit-small",
        "teacher zoo/vit-large",
        "student zoo/midas-large",
    }
    assert all(
        line.startswith("crop.size: 100 is no multiple of 16") and line.endswith("take 96 or 112") for line in lines
    )
    # an architecture's own size is named by its own key
    study = tiny("architectures={da-l: {model: zoo/vit-large}, da-s: {model: zoo/vit-small, size: 100}}")
    assert any(line.line.startswith("architectures.da-s.size: 100") for line in check(study) if line.stops)


def test_the_same_protocol_under_two_names(tmp_path):
    from dad.evaluation import protocol

    text = (Path(protocol.__file__).parent / "protocols" / "marigold.yaml").read_text()
    Path("mine.yaml").write_text(text)
    assert "mine.yaml and marigold are both marigold@1" in only(stops("protocols=[marigold, mine.yaml]"))
    assert "median-pooled counts pixels, and tables compare images" in only(stops("protocols=[median-pooled]"))
    assert not stops("protocols=[median, median-pooled]")


def test_models_that_would_share_their_scores_are_refused():
    photos(Path("unused"), [])
    Path("vit-large").write_bytes(Path(network_file("zoo/vit-large")).read_bytes())
    lines = stops("estimators.dpt=./vit-large")
    assert any("no weights file" in line for line in lines)


def network_file(model: str) -> Path:
    from dad.models.locate import locate

    path = locate(model).path
    assert path is not None
    return path


# photos


def test_too_few_photos_for_count_and_scaling():
    photos(Path("mine"), [(160, 140)] * 6)
    lines = stops("photos={source: folder, root: mine, count: 9}", "scaling=[4, 20]")
    assert sorted(lines) == [
        "photos.count: 9 photos are asked for, mine holds 6: lower it or add photos",
        "scaling: 20 photos are asked for, mine holds 6: lower it or add photos",
    ]
    assert stops("photos={source: folder, root: mine, count: 6}", "scaling=[4, 6]") == []


def test_photos_are_counted_in_tar_shards_from_their_headers():
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as archive:
        for index in range(5):
            image = io.BytesIO()
            Image.new("RGB", (160, 140)).save(image, "JPEG")
            member = tarfile.TarInfo(f"./sa_{index}.jpg")
            member.size = len(image.getvalue())
            archive.addfile(member, io.BytesIO(image.getvalue()))
            label = tarfile.TarInfo(f"./sa_{index}.json")
            label.size = 2
            archive.addfile(label, io.BytesIO(b"{}"))
    Path("shards").mkdir()
    Path("shards/sa_000000.tar").write_bytes(shard.getvalue())
    assert stops("photos={source: folder, root: shards, count: 5}") == []
    assert "6 photos are asked for, shards holds 5" in only(stops("photos={source: folder, root: shards, count: 6}"))


def test_photos_smaller_than_the_crop():
    photos(Path("small"), [(160, 120)] * 5)
    line = only(stops("photos=small"))
    assert line.startswith(
        "crop.min_crop: 128 is larger than all 5 photos looked at (largest short side 120): lower it to at most 120"
    )
    photos(Path("mixed"), [(160, 120)] * 5 + [(160, 140)] * 4)
    assert "only 4 of 9 have a short side" in only(stops("photos={source: folder, root: mixed, count: 6}"))
    told = [finding for finding in check(tiny("photos=mixed")) if finding.severity == "warning"]
    assert "56% of the photos are smaller than 128" in told[0].line


def test_a_folder_without_photos_and_photos_that_are_none():
    Path("empty").mkdir()
    assert "empty holds no photos" in only(stops("photos=empty"))
    Path("text").mkdir()
    Path("text/a.jpg").write_text("no image")
    assert "none of 1 photos under text can be opened" in only(stops("photos=text"))


# weights


def test_weights_that_are_missing_say_size_licence_places_and_command(monkeypatch):
    line = only(stops("teacher=depth-anything-v2-large", "crop.size=112"))
    for part in ("teacher", "1,340 MB", "CC-BY-NC-4.0", "caches", "hf download depth-anything/Depth-Anything-V2-Large"):
        assert part in line
    monkeypatch.delenv("HF_HUB_OFFLINE")
    told = check(tiny("teacher=depth-anything-v2-large"))
    assert any(
        finding.severity == "warning" and "otherwise downloaded when first used" in finding.line for finding in told
    )
    assert not any(finding.stops for finding in told)


def test_an_official_file_is_found_in_checkpoints():
    Path("checkpoints").mkdir()
    Path("checkpoints/depth_anything_v2_vitl.pth").write_bytes(b"PK\x03\x04 and more")
    assert missing_weights("depth-anything-v2-large") is None
    assert "looked for in checkpoints/" in str(missing_weights("midas-v3.1-beit-large-512"))


def test_genpercept_names_the_parts_of_stable_diffusion():
    line = str(missing_weights("./checkpoints/genpercept_disparity"))
    for part in (
        "guangkaixu/genpercept-models",
        "vae",
        "text_encoder",
        "Stable Diffusion 2.1",
        "non-commercial",
        "hf download",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"", "is empty"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.pth", b"<!DOCTYPE html>", "is a web page"),
        ("a.safetensors", b"\x00" * 100, "not a readable safetensors file"),
        ("a.safetensors", b"\xff" * 100, "not a readable safetensors file"),
        ("a.pth", b"12345678", "not a PyTorch file"),
        ("a.txt", b"weights", "is no weights file"),
    ],
)
def test_a_file_that_is_no_weights_is_seen_without_loading_it(name, content, message):
    Path(name).write_bytes(content)
    assert message in only(stops(f"teacher=./{name}"))


def test_weights_that_were_cut_are_seen_without_loading_them():
    whole = network_file("zoo/vit-small").read_bytes()
    Path("own.safetensors").write_bytes(whole)
    assert problem_with(Path("own.safetensors")) == ""
    Path("own.safetensors").write_bytes(whole[:-100])
    assert "was cut or is damaged" in only(stops("student.model=./own.safetensors"))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_patch_of_an_official_network_is_known_by_name(name):
    assert patch_of(name) == NETWORKS[name].patch
    assert needs_of(name).gpu


def test_networks_are_read_from_the_header_of_a_file():
    Path("own.safetensors").write_bytes(network_file("zoo/midas-small").read_bytes())
    network = network_of("./own.safetensors")
    assert network is not None
    assert (network.family, network.patch) == ("midas-small", 32)
    assert network_of("./none.safetensors") is None


@pytest.mark.parametrize("name", ["depth-anything-v2-large", "zoo/vit-large", "mine"])
def test_a_name_stands_for_a_file_everywhere_and_no_id_changes(name):
    from dad.models import load
    from dad.models.checkpoints import load_network, weights_identity

    settings = [f"teacher={name}", f"student.model={name}", f"architectures={{da-l: {{model: {name}}}}}"]
    plain = tiny(*settings)
    Path("here.safetensors").write_bytes(network_file("zoo/vit-small").read_bytes())
    study = tiny(*settings, f"weights={{{name}: ./here.safetensors}}")
    assert list(all_cells(study)) == list(all_cells(plain))
    assert [str(finding) for finding in check(study) if finding.severity != "note"] == []
    assert network_file(name) == Path("here.safetensors")
    assert weights_identity(name) == weights_identity("zoo/vit-small")
    if name != "depth-anything-v2-large":  # which is another network than the file's, and says so
        assert load(name).network.config == load_network(name)[0].config == load_network("zoo/vit-small")[0].config
    else:
        with pytest.raises(UserError, match="describes another network than depth-anything-v2-large"):
            load(name)
    line = only(stops(*settings, f"weights={{{name}: ./none.safetensors}}"))
    assert "./none.safetensors does not exist" in line and "teacher, student.model, architectures.da-l.model" in line


def test_a_name_that_no_model_has_is_refused():
    assert "no model of this study is called 'zoo/vit-lage'; did you mean 'zoo/vit-large'?" in only(
        stops("weights={zoo/vit-lage: a.pth}")
    )


# benchmarks


def kitti_like(root: Path, frames: int) -> BenchmarkConfig:
    """KITTI's layout, some frames of it."""
    rng = np.random.default_rng(0)
    for index in range(frames):
        frame = f"{index:010d}.png"
        rgb = root / "2011_09_26/2011_09_26_drive_0001_sync/image_02/data" / frame
        depth = root / "2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02" / frame
        for path in (rgb, depth):
            path.parent.mkdir(parents=True, exist_ok=True)
        if index < 3:
            Image.fromarray(rng.integers(0, 255, (375, 1242, 3), dtype=np.uint8)).save(rgb)
            Image.fromarray(rng.integers(256, 9000, (375, 1242)).astype(np.uint16)).save(depth)
        else:
            os.link(root / "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png", rgb)
            os.link(root / "2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/0000000000.png", depth)
    return BenchmarkConfig(dataset="kitti", root=str(root))


def test_kitti_as_downloaded_has_more_frames_than_its_list():
    benchmark = kitti_like(Path("kitti"), 653)
    line = only(missing_data(benchmark))
    for part in ("benchmarks: kitti", "653", "652", "list"):
        assert part in line


def test_fewer_images_than_the_published_list_are_said_and_do_not_stop():
    study = tiny("benchmarks.1={dataset: kitti, root: kitti}")
    kitti_like(Path("kitti"), 3)
    told = [finding for finding in check(study) if finding.severity != "note"]
    assert [finding.severity for finding in told] == ["warning"]
    assert "3 images, the published list has 652" in told[0].line


def test_a_list_that_names_what_is_not_there():
    benchmark = kitti_like(Path("kitti"), 2)
    names = [f"2011_09_26/2011_09_26_drive_0001_sync/image_02/data/{i:010d}.png" for i in (0, 1, 9)]
    depth = [f"2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02/{i:010d}.png" for i in (0, 1, 9)]
    Path("list.txt").write_text("".join(f"{a} {b}\n" for a, b in zip(names, depth, strict=True)))
    line = only(missing_data(benchmark.model_copy(update={"list": "list.txt"})))
    for part in ("benchmarks: kitti", "list: list.txt", "2 files", "0000000009.png"):
        assert part in line
    assert "the list file 'none.txt' does not exist" in only(
        missing_data(benchmark.model_copy(update={"list": "none.txt"}))
    )


def test_a_damaged_first_image_is_named_and_does_not_stop():
    benchmark = kitti_like(Path("kitti"), 3)
    Path("kitti/2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png").write_bytes(b"damaged")
    assert missing_data(benchmark) == []
    study = tiny("benchmarks.1={dataset: kitti, root: kitti}")
    assert any("0000000000.png" in finding.line and "left out" in finding.line for finding in check(study))


@pytest.mark.parametrize(
    ("benchmark", "parts"),
    [
        ("{dataset: kitti, root: none}", ["kitti", "'none' does not exist", "dad data check kitti"]),
        ("{dataset: samples, root: .}", ["samples", "manifest.csv"]),
        ("{dataset: scenes-driving, root: ., list: a.txt}", ["scenes-driving", "list: 'a.txt'", "leave it out"]),
        ("{dataset: diode, root: .}", ["diode", "no diode images under ."]),
    ],
)
def test_a_benchmark_that_cannot_be_opened(benchmark, parts):
    line = only(stops(f"benchmarks.1={benchmark}"))
    for part in parts:
        assert part in line


# the machine


@pytest.mark.parametrize("name", ["results", "results/tiny", "results/tiny/labels", "results/tiny/runs", "reports"])
def test_a_file_where_a_folder_is_needed(name):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("in the way")
    assert f"{name} is a file" in stops()[0]


def test_a_folder_that_cannot_be_written(monkeypatch):
    monkeypatch.setattr(machine_module, "writable", lambda folder: False)
    assert all("nothing can be written to" in line for line in stops())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions_are_seen(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert not machine_module.writable(folder)


def test_a_database_that_is_a_folder():
    Path("mlflow.db").mkdir()
    assert "tracking_uri: mlflow.db is a folder" in only(stops())


def test_labels_that_do_not_fit_on_the_disk(monkeypatch):
    usage = machine_module.shutil.disk_usage(".")
    monkeypatch.setattr(machine_module.shutil, "disk_usage", lambda path: usage._replace(free=10**6))
    line = only(stops())
    for part in ("labels.mode", "cached", "1.0 MB free", "online"):
        assert part in line
    assert stops("labels.mode=online") == []


def test_memory_of_large_networks_is_estimated():
    told = [finding.line for finding in check(tiny("student.model=depth-anything-v2-large")) if "GiB" in finding.line]
    assert any("training depth-anything-v2-large: up to" in line and "GPU" in line for line in told)


# what jobs ask for


def test_needs_agree_with_what_was_measured():
    """One image of 560 pixels: a ViT-L student of a ViT-L teacher 12.1 GiB, a BEiT-L student 8.4 GiB."""
    settings = ["labels.mode=online", "optim.batch=1", "optim.warmup=0", "crop.size=560", "crop.patches=1"]
    vit = tiny(*settings, "teacher=depth-anything-v2-large", "student.model=depth-anything-v2-large")
    shared = next(cell for cell in all_cells(vit).values() if cell.mode == "shared")
    assert training_gib(shared) == pytest.approx(12.1, rel=0.05)
    beit = tiny(*settings, "student.model=midas-v3.1-beit-large-512", "loss.feature=0", "labels.mode=cached")
    shared = next(cell for cell in all_cells(beit).values() if cell.mode == "shared")
    assert training_gib(shared) == pytest.approx(8.4, rel=0.05)
    assert score_needs("genpercept").mem_mb > 10.3 * 1024


def test_small_networks_ask_for_no_gpu_and_large_ones_do():
    cell = next(iter(all_cells(tiny()).values()))
    assert (train_needs(cell).gpu, train_needs(cell).mem_mb) == (0, 2500)
    assert label_needs(cell.label_plans["teacher"]).gpu == 0
    large = next(iter(all_cells(tiny("teacher=depth-anything-v2-large")).values()))
    assert train_needs(large).gpu == 0, "cached labels are read, and the student is small"
    assert label_needs(large.label_plans["teacher"]).gpu == 1
    online = next(iter(all_cells(tiny("teacher=depth-anything-v2-large", "labels.mode=online")).values()))
    assert train_needs(online).gpu == 1
    assert (train_needs(cell).threads, train_needs(online).threads) == (1, 4), (
        "beside a GPU photos are decoded by others"
    )


def test_minutes_follow_from_the_rates():
    study = tiny("optim.steps=7200", "rates={device: x, train: {default: 8}, label: {default: 16}}")
    cell = next(iter(all_cells(study).values()))
    assert train_needs(cell, rates=study.rates).runtime == 60 + 2 * 60  # an hour of training, doubled, and an hour
    assert train_needs(cell, rates=None).runtime == 2880


def test_a_check_takes_no_heavy_imports():
    import subprocess
    import sys

    Path("study.json").write_text(json.dumps(TINY))
    code = (
        "import sys; from dad.study.cells import load_study; from dad.study.check import check\n"
        "check(load_study('study.json'))\n"
        "print([name for name in ('torch', 'mlflow', 'transformers', 'matplotlib') if name in sys.modules])"
    )
    begun = time.monotonic()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - begun < 20


def test_the_frozen_encoders_weights_are_looked_for(tmp_path, monkeypatch):
    """As `config/paper.yaml` has it: DINOv2 of each student's size, from timm's repositories in the hub's cache."""
    dinov2 = ("loss.feature_encoder=dinov2", "student.model=depth-anything-v2-large")
    found = [line for line in stops(*dinov2) if line.startswith("loss.feature_encoder")]
    line = only(found)
    repository = "timm/vit_large_patch14_dinov2.lvd142m"
    for part in (
        "1,217 MB",
        "Apache-2.0",
        str(tmp_path / "caches"),
        f"hf download {repository} model.safetensors",
        "dinov2@FOLDER",
    ):
        assert part in line
    monkeypatch.delenv("HF_HUB_OFFLINE")
    findings = [finding for finding in check(tiny(*dinov2)) if finding.line.startswith("loss.feature_encoder")]
    assert [finding.severity for finding in findings] == ["warning"], "with a network it is downloaded when first used"
    folder = tmp_path / "caches" / "hub" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "model.safetensors").write_bytes(b"x")
    assert not [finding for finding in check(tiny(*dinov2)) if finding.line.startswith("loss.feature_encoder")]


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        (
            "dinov2",
            r"loss\.feature_encoder: dinov2 has encoders of width 384, 768, 1024, the student zoo/vit-small has 64",
        ),
        (
            "timm:vit_tiny_patch16_224.x@no.pth",
            r"loss\.feature_encoder: no\.pth, the weights of vit_tiny.* does not exist",
        ),
        (
            "timm:vit_tiny_patch16_224.x",
            r"timm's weights of vit_tiny_patch16_224\.x are not here \(model\.safetensors\)",
        ),
        ("zoo/vit-tiny", r"loss\.feature_encoder: unknown zoo model 'zoo/vit-tiny'"),
    ],
)
def test_other_encoders_are_looked_for_too(encoder, expected):
    assert re.search(
        expected, only([line for line in stops(f"loss.feature_encoder={encoder}") if "feature_encoder" in line])
    )
    assert stops(f"loss.feature_encoder={encoder}", "loss.feature=0") == []
