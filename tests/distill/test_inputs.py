"""Labels and students belong to the contents they were made from, and to nothing else."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dad.data.manifest import make_manifest, open_photos
from dad.distill import labels as labels_module
from dad.distill.inputs import photos_as_used
from dad.distill.labels import LEVELS, LabelCache, compute_labels, label_view, stored_as, training_photos
from dad.distill.train import train
from dad.errors import UserError
from dad.files import read_json, write_json
from dad.identity import read_sealed_json
from dad.models.checkpoints import load_network, save_network, weights_identity
from dad.models.locate import ZOO
from dad.study.cells import cell_id
from dad.study.config import FolderPhotos, ScenePhotos
from dad.study.stages import STAGE_VERSION


class Interrupted(Exception):
    pass


def stop_at(step):
    def listener(rows):
        if rows[-1]["step"] >= step:
            raise Interrupted

    return (listener,)


@pytest.fixture
def own(scene_folders, tmp_path):
    """A copy of the photos that a test may change, with a function that lists them."""
    root = tmp_path / "photos"
    shutil.copytree(scene_folders["indoor"] / "rgb", root)

    def listed():
        make_manifest(root, tmp_path / "photos.jsonl", seed=0)
        return tmp_path / "photos.jsonl"

    return root, listed


@pytest.fixture
def teacher(tmp_path):
    """A teacher's weights under a name of its own; called with a factor, it becomes another teacher under that name."""
    path = tmp_path / "teacher.safetensors"

    def write(factor=1.0):
        network, header = load_network("zoo/vit-small")
        with torch.no_grad():
            network.depth_head.scratch.output_conv1.weight.mul_(factor)
        save_network(path, network, input_size=header.input_size, origin="a test")
        return path

    write()
    return write


def on(cell, root, teacher, **changes):
    photos = FolderPhotos(source="folder", root=str(root))
    return cell.model_copy(update={"photos": photos, "teacher": str(teacher), **changes})


def shard(folder):
    return (folder / "shard-00000000.safetensors").read_bytes()


def repaint(root):
    for path in root.glob("*.png"):
        Image.open(path).rotate(180).save(path)


def test_labels_follow_photos_weights_and_code(cell, own, teacher, tmp_path, capsys, monkeypatch):
    root, listed = own
    plan, out = on(cell, root, teacher()).label_plans["teacher"], tmp_path / "labels"
    compute_labels(plan, listed(), "square", out)
    seen, index = {shard(out)}, read_sealed_json(out / "index.json")
    capsys.readouterr()
    compute_labels(plan, listed(), "square", out)
    assert shard(out) in seen and "computed again" not in capsys.readouterr().err
    for change, named in ((lambda: repaint(root), "photos"), (lambda: teacher(1.5), "weights of")):
        change()
        compute_labels(plan, listed(), "square", out)
        assert f"are of another {named}" in capsys.readouterr().err
        assert shard(out) not in seen
        seen.add(shard(out))
        assert read_sealed_json(out / "index.json")["identity"] != index["identity"]
    before = (out / "shard-00000000.safetensors").stat().st_mtime_ns
    monkeypatch.setitem(STAGE_VERSION, "label", STAGE_VERSION["label"] + 1)
    with pytest.raises(UserError, match="another version of the labelling code"):
        LabelCache(out, plan, training_photos(plan, listed())[0])
    compute_labels(plan, listed(), "square", out)
    assert "version of the labelling code" in capsys.readouterr().err
    assert (out / "shard-00000000.safetensors").stat().st_mtime_ns != before


def test_equal_contents_at_another_place_are_the_same_labels(cell, own, teacher, tmp_path, capsys):
    root, listed = own
    plan, out = on(cell, root, teacher()).label_plans["teacher"], tmp_path / "labels"
    compute_labels(plan, listed(), "square", out)
    moved = tmp_path / "elsewhere"
    root.rename(moved)
    shutil.copy(teacher(), tmp_path / "copy.safetensors")
    manifest = tmp_path / "moved.jsonl"
    make_manifest(moved, manifest, seed=0)
    plan = on(cell, moved, tmp_path / "copy.safetensors").label_plans["teacher"]
    before = (out / "shard-00000000.safetensors").stat().st_mtime_ns
    compute_labels(plan, manifest, "square", out)
    assert (out / "shard-00000000.safetensors").stat().st_mtime_ns == before
    LabelCache(out, plan, training_photos(plan, manifest)[0])


def test_a_cache_of_other_contents_is_not_read(cell, own, teacher, tmp_path):
    root, listed = own
    plan, out = on(cell, root, teacher()).label_plans["teacher"], tmp_path / "labels"
    compute_labels(plan, listed(), "square", out)
    teacher(2.0)
    with pytest.raises(UserError, match="other weights than"):
        LabelCache(out, plan, training_photos(plan, listed())[0])
    teacher()
    repaint(root)
    with pytest.raises(UserError, match="other photos"):
        LabelCache(out, plan, training_photos(plan, listed())[0])


def test_shards_of_an_interrupted_call_are_kept_only_if_they_belong(cell, own, teacher, tmp_path, monkeypatch, capsys):
    root, listed = own
    monkeypatch.setattr(labels_module, "SHARD", 4)
    plan, out = on(cell, root, teacher()).label_plans["teacher"], tmp_path / "labels"
    compute_labels(plan, listed(), "square", out)
    old = {path.name: path.read_bytes() for path in out.glob("shard-*")}
    other = tmp_path / "other"
    teacher(1.5)
    compute_labels(plan, listed(), "square", other)
    right = {path.name: path.read_bytes() for path in other.glob("shard-*")}
    # the new teacher's first shard, the old one's second, the third lost: as after a kill and an exchange of files
    (out / "index.json").unlink()
    names = sorted(old)
    write_json(out / "plan.json", read_json(other / "plan.json"))
    (out / names[0]).write_bytes(right[names[0]])
    (out / names[2]).unlink()
    capsys.readouterr()
    compute_labels(plan, listed(), "square", out)
    assert "belongs to other labels: computed again" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.glob("shard-*")} == right


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_shard_is_refused_by_training_and_mended_by_labelling(cell, manifest, tmp_path, damage, capsys):
    plan, out = cell.label_plans["teacher"], tmp_path / "labels"
    compute_labels(plan, manifest, "square", out / "square")
    path = out / "square" / "shard-00000000.safetensors"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flip = whole[:middle] + bytes([whole[middle] ^ 8]) + whole[middle + 1 :]
    path.write_bytes({"flip": flip, "cut": whole[:3000], "empty": b""}[damage])
    options = {"manifest": manifest, "labels": out, "out": tmp_path / "run", "work": tmp_path / "work"}
    with pytest.raises(UserError, match="damaged"):
        train(cell, **options)
    assert not (tmp_path / "run").exists()
    compute_labels(plan, manifest, "square", out / "square")
    assert "damaged" in capsys.readouterr().err
    assert path.read_bytes() == whole
    index = (out / "square" / "index.json").read_text()
    (out / "square" / "index.json").write_text(index.replace('"start": 0', '"start": 1'))
    with pytest.raises(UserError, match=r"index\.json is damaged"):
        train(cell, **options)


def test_an_interrupted_training_goes_on_only_with_what_it_began_with(cell, own, teacher, tmp_path):
    root, listed = own
    online = on(cell, root, teacher(), labels=cell.labels.model_copy(update={"mode": "online"}))
    options = {"labels": None, "out": tmp_path / "run", "work": tmp_path / "work"}
    with pytest.raises(Interrupted):
        train(online, manifest=listed(), listeners=stop_at(3), **options)
    repaint(root)
    with pytest.raises(UserError, match=r"other inputs \(photos, labels"):
        train(online, manifest=listed(), **options)
    repaint(root)
    teacher(1.5)
    with pytest.raises(UserError, match=r"weights\.teacher"):
        train(online, manifest=listed(), **options)
    assert not (tmp_path / "run").exists()
    train(online, manifest=listed(), resume=False, **options)
    begun = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert begun["segments"] == [{"from": 0, "processes": 1}]


def test_what_was_used_is_what_is_written(cell, own, tmp_path, capsys):
    root, listed = own
    scenes = ScenePhotos(source="scenes", kinds=("indoor",), count=300, seed=40, height=72, width=96)
    asked = cell.model_copy(update={"photos": scenes, "labels": cell.labels.model_copy(update={"mode": "online"})})
    manifest = listed()
    train(asked, manifest=manifest, labels=None, out=tmp_path / "run", work=tmp_path / "work")
    assert "300 rendered scenes" in capsys.readouterr().err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    facts = read_sealed_json(tmp_path / "run" / "provenance.json")
    used = asked.model_copy(update={"photos": FolderPhotos(source="folder", root=str(root))})
    assert config == used.model_dump(mode="json")
    assert facts["cell"] == cell_id(used) != cell_id(asked)
    # with the cell's own scenes nothing changes
    assert photos_as_used(scenes.model_copy(update={"count": 5}), open_photos(manifest)).source == "folder"


def test_rendered_scenes_are_known_by_what_the_renderer_wrote(scene_folders, tmp_path):
    root = scene_folders["indoor"].parent
    make_manifest(root, tmp_path / "m.jsonl", seed=3, only=["indoor/rgb", "driving/rgb"])
    photos = open_photos(tmp_path / "m.jsonl")
    scenes = ScenePhotos(source="scenes", kinds=("indoor", "driving"), count=10, seed=40, height=72, width=96)
    assert photos_as_used(scenes, photos) is scenes
    for change in ({"seed": 41}, {"count": 9}, {"height": 80}, {"style": "rich"}, {"kinds": ("indoor", "outdoor")}):
        assert photos_as_used(scenes.model_copy(update=change), photos).source == "folder"


def test_a_prefix_of_another_order_is_refused(own):
    _, listed = own
    photos = open_photos(listed())
    asked = FolderPhotos(source="folder", root=str(photos.root), count=2, seed=5)
    with pytest.raises(UserError, match="--seed 5"):
        photos_as_used(asked, photos)


def test_two_students_never_share_a_provenance(cell, own, teacher, tmp_path):
    root, listed = own
    online = on(cell, root, teacher(), labels=cell.labels.model_copy(update={"mode": "online"}))
    facts, weights = [], []
    for number in range(3):
        if number == 2:
            teacher(1.5)
        out = tmp_path / f"run{number}"
        train(online, manifest=listed(), labels=None, out=out, work=tmp_path / "work")
        facts.append(read_sealed_json(out / "provenance.json"))
        weights.append((out / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]
    assert facts[0]["inputs"] == facts[1]["inputs"]
    assert facts[0]["files"] == facts[1]["files"]
    assert facts[0]["inputs"]["weights"]["teacher"] != facts[2]["inputs"]["weights"]["teacher"]
    assert facts[0]["inputs"]["labels"] != facts[2]["inputs"]["labels"]
    assert facts[0]["files"]["model.safetensors"] != facts[2]["files"]["model.safetensors"]


def test_weights_are_what_they_hold(tmp_path):
    shutil.copy(ZOO / "vit-small.safetensors", tmp_path / "x.safetensors")
    assert weights_identity("zoo/vit-small") == weights_identity(str(tmp_path / "x.safetensors"))
    assert weights_identity("zoo/vit-small") != weights_identity("zoo/vit-large")
    assert weights_identity("nobody/has-this-model", fetch=False) is None


@pytest.mark.parametrize(
    ("factor", "offset", "lost"), [(1, 0, False), (1e-3, 0, False), (1e-7, 0, True), (1e-9, 0, True), (1, 500, True)]
)
def test_maps_that_float16_would_flatten_keep_float32(factor, offset, lost):
    maps = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * factor + offset
    fine = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    stored, marked = stored_as(torch.cat([maps, fine]), torch.float16)
    assert marked.tolist() == [lost, lost, False]
    assert stored.dtype == (torch.float32 if lost else torch.float16)
    # what the others of the batch are does not change a map
    assert torch.equal(stored[2].float(), fine[0].half().float())
    if lost:
        assert torch.equal(stored[:2], maps)
        assert len(maps[0].half().unique()) < LEVELS
    assert not stored_as(torch.full((1, 1, 4, 4), 3.3), torch.float16)[1].any()


def test_values_out_of_reach_are_refused_by_name():
    class Teacher:
        name, kind = "huge", "disparity"

        def __call__(self, rgb):
            return rgb[:, :1] * torch.tensor([1.0, 1e6])[:, None, None, None]

    batch = {"square": torch.rand(2, 3, 8, 8), "photo_id": ["fine.png", "far.png"]}
    with pytest.raises(UserError, match=r"teacher huge .*photos far\.png: use labels\.dtype: float32"):
        label_view(Teacher(), batch, "square", torch.float16)
    assert label_view(Teacher(), batch, "square", torch.float32).dtype == torch.float32


def test_a_cache_without_an_identity_is_labelled_anew(cell, manifest, tmp_path, capsys):
    """As an earlier version of this package left it."""
    plan, out = cell.label_plans["teacher"], tmp_path
    compute_labels(plan, manifest, "square", out)
    whole = shard(out)
    save_file(
        {"labels": load_file(out / "shard-00000000.safetensors")["labels"] * 0}, out / "shard-00000000.safetensors"
    )
    write_json(out / "plan.json", plan.model_dump(mode="json"))
    compute_labels(plan, manifest, "square", out)
    assert "origin, which is not recorded" in capsys.readouterr().err
    assert shard(out) == whole
