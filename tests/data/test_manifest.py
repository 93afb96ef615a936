import hashlib
import json
import tarfile

import numpy as np
import pytest

from dad.data.manifest import describe, make_manifest, open_photos
from dad.errors import UserError


def test_header_and_rows_say_what_is_there(make_folder, photo_files, tmp_path, capsys):
    root = make_folder(photo_files | {"notes.txt": b"x"})
    header = make_manifest(root, tmp_path / "photos.jsonl", seed=3)
    lines = (tmp_path / "photos.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines[1:]]
    assert json.loads(lines[0]) == header
    assert {row["id"]: row["sha256"] for row in rows} == {
        name: hashlib.sha256(data).hexdigest() for name, data in photo_files.items()
    }
    assert all((row["width"], row["height"]) == (40 + i, 30 + 2 * i) for row in rows for i in [int(row["id"][-6:-4])])
    assert (header["count"], header["seed"], header["duplicates"], header["unreadable"]) == (12, 3, 0, {})
    text = "".join(sorted(f"{row['id']} {row['sha256']}\n" for row in rows))
    assert header["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert [row["id"] for row in rows] == sorted(
        photo_files, key=lambda i: hashlib.sha256(f"3:{i}".encode()).hexdigest()
    )
    assert capsys.readouterr().out == ""


def test_subsets_are_nested_and_new_photos_do_not_reorder_old_ones(make_folder, photo_files, tmp_path, encoded, pixels):
    root = make_folder(photo_files)
    make_manifest(root, tmp_path / "a.jsonl")
    photos = open_photos(tmp_path / "a.jsonl")
    for small, large in ((1, 5), (5, 12)):
        assert photos.subset(small).ids == photos.subset(large).ids[:small]
    assert open_photos(root, seed=1).ids != photos.ids
    assert sorted(open_photos(root, seed=1).ids) == sorted(photos.ids)
    make_folder({f"new_{i}.png": encoded(pixels(100 + i)) for i in range(5)})
    make_manifest(root, tmp_path / "b.jsonl")
    assert [name for name in open_photos(tmp_path / "b.jsonl").ids if name in photo_files] == photos.ids


def test_only_some_folders_or_their_first_photos(tmp_path, encoded, pixels):
    for name in ("a/1.png", "a/2.png", "a/10.png", "b/c/1.png", "d/1.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(encoded(pixels(30, 20), "PNG"))
    whole = make_manifest(tmp_path / "photos", tmp_path / "all.jsonl", progress=False)
    assert whole["count"] == 5
    make_manifest(tmp_path / "photos", tmp_path / "some.jsonl", only=["a:2", "b"], progress=False)
    some = open_photos(tmp_path / "some.jsonl")
    # ids are those of the whole, so crops and the seeded order are the same; the first photos are the first by name
    assert set(some.ids) == {"a/1.png", "a/10.png", "b/c/1.png"} < set(open_photos(tmp_path / "all.jsonl").ids)
    assert some.read(0).shape[2] == 3
    for wrong, message in (("a:4", "has 3 photos"), ("a:x", "a number of photos"), ("e", "neither a folder")):
        with pytest.raises(UserError, match=message):
            make_manifest(tmp_path / "photos", tmp_path / "none.jsonl", only=[wrong], progress=False)
    assert not (tmp_path / "none.jsonl").exists()


def test_a_moved_root_can_be_given(make_folder, photo_files, tmp_path):
    root = make_folder(photo_files)
    make_manifest(root, tmp_path / "m" / "photos.jsonl")
    before = open_photos(tmp_path / "m" / "photos.jsonl")
    image = before.read(0)
    moved = root.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="give their folder as root"):
        open_photos(tmp_path / "m" / "photos.jsonl")
    assert np.array_equal(open_photos(tmp_path / "m" / "photos.jsonl", root=moved).read(0), image)


def test_shards_hold_the_same_photos_as_a_folder(make_folder, photo_files, tmp_path, write_shard):
    folder = open_photos(make_folder(photo_files, "loose"))
    names = sorted(photo_files)
    root = make_folder({"deep/loose.jpg": photo_files[names[0]]}, "mixed")
    write_shard(root / "sa_000000.tar", {name: photo_files[name] for name in names[:7]})
    write_shard(root / "deep" / "sa_000001.TAR", {f"./{name}": photo_files[name] for name in names[7:]})
    header = make_manifest(root, tmp_path / "photos.jsonl")
    assert (header["count"], header["duplicates"], header["unreadable"]) == (13, 1, {})
    mixed = open_photos(tmp_path / "photos.jsonl")
    where = {name: folder.ids.index(name) for name in names}
    shards = {f"sa_000000.tar/{name}": name for name in names[:7]} | {
        f"deep/sa_000001.TAR/{name}": name for name in names[7:]
    }
    assert set(mixed.ids) == set(shards) | {"deep/loose.jpg"}
    for i, photo_id in enumerate(mixed.ids):
        j = where[shards.get(photo_id, names[0])]
        assert mixed.records[i].sha256 == folder.records[j].sha256
        assert mixed.size(i) == folder.size(j)
        assert np.array_equal(mixed.read(i), folder.read(j))
    assert set(open_photos(root / "sa_000000.tar").ids) == {f"sa_000000.tar/{name}" for name in names[:7]}


def test_unreadable_photos_are_named_and_skipped(make_folder, photo_files, tmp_path):
    good = photo_files["sub0/photo_00.jpg"]
    root = make_folder(
        photo_files
        | {
            "bad/cut.jpg": good[: len(good) // 2],
            "bad/empty.PNG": b"",
            "bad/text.webp": b"no image",
            ".hidden.jpg": b"",
            "._x.jpg": b"",
        }
    )
    (root / "bad" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    header = make_manifest(root, tmp_path / "photos.jsonl")
    assert header["count"] == 12
    assert set(header["unreadable"]) == {"bad/cut.jpg", "bad/empty.PNG", "bad/text.webp", "bad/gone.png"}
    assert "truncated" in header["unreadable"]["bad/cut.jpg"].lower()
    assert header["unreadable"]["bad/text.webp"] == "not an image"
    text = describe(header)
    assert all(name in text for name in header["unreadable"])
    assert open_photos(tmp_path / "photos.jsonl").unreadable == header["unreadable"]


def test_a_cut_shard_gives_its_whole_photos(make_folder, photo_files, tmp_path, write_shard):
    root = make_folder({}, "shards")
    root.mkdir()
    names = sorted(photo_files)
    write_shard(root / "whole.tar", {name: photo_files[name] for name in names})
    with tarfile.open(root / "whole.tar") as shard:
        end = shard.getmember(names[8]).offset_data + 100
    (root / "cut.tar").write_bytes((root / "whole.tar").read_bytes()[:end])
    (root / "whole.tar").unlink()
    (root / "zipped.tar").write_bytes(b"\x1f\x8b" + bytes(2000))
    photos = open_photos(root)
    assert sorted(photos.ids) == [f"cut.tar/{name}" for name in names[:8]]
    assert set(photos.unreadable) == {"cut.tar", f"cut.tar/{names[8]}", "zipped.tar"}


def test_links_to_folders_are_followed_once(make_folder, photo_files, tmp_path, encoded, pixels):
    root = make_folder(photo_files)
    outside = make_folder({"more.png": encoded(pixels(50))}, "outside")
    (root / "linked").symlink_to(outside)
    (root / "loop").symlink_to(root)
    assert sorted(open_photos(root).ids) == sorted([*photo_files, "linked/more.png"])


def test_nothing_readable_is_an_error_and_writes_nothing(make_folder, tmp_path):
    root = make_folder({"a.jpg": b"broken", "b.heic": b"", "c.heic": b""})
    with pytest.raises(UserError, match=r"no photo can be read.*a\.jpg.*2 \.heic"):
        make_manifest(root, tmp_path / "photos.jsonl")
    assert not (tmp_path / "photos.jsonl").exists()
    with pytest.raises(UserError, match="neither a folder"):
        make_manifest(tmp_path / "nowhere", tmp_path / "photos.jsonl")
    with pytest.raises(UserError, match="is a folder"):
        make_manifest(root, tmp_path)


def test_a_damaged_manifest_is_refused(make_folder, photo_files, tmp_path):
    make_manifest(make_folder(photo_files), tmp_path / "photos.jsonl")
    text = (tmp_path / "photos.jsonl").read_text()
    lines = text.splitlines(keepends=True)
    damaged = {
        "cut": "".join(lines[:-1]),
        "half a line": text[:-40],
        "edited": text.replace("photo_03.jpg", "photo_99.jpg"),
        "other version": text.replace('"version": 1', '"version": 2'),
        "no header": "".join(lines[1:]),
        "empty": "",
        "not json": "id,sha256\n",
    }
    for name, content in damaged.items():
        (tmp_path / "photos.jsonl").write_text(content)
        with pytest.raises(UserError, match=r"not a manifest|cut or edited"):
            pytest.fail(f"{name}: {len(open_photos(tmp_path / 'photos.jsonl'))} photos read")


def test_progress_without_a_terminal_is_plain_lines(make_folder, photo_files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("dad.data.manifest._LINE_EVERY", 0.0)
    make_manifest(make_folder(photo_files), tmp_path / "photos.jsonl")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert "12/12" in lines[-1]
    make_manifest(tmp_path / "photos", tmp_path / "photos.jsonl", progress=False)
    assert capsys.readouterr().err == ""


def test_of_a_large_folder_only_the_photos_asked_for_are_read(
    make_folder, photo_files, tmp_path, encoded, pixels, monkeypatch
):
    from dad.data import manifest

    files = photo_files | {"small.png": encoded(pixels(8, 8), "PNG"), "broken.jpg": b"no image"}
    root = make_folder(files)
    whole = make_manifest(root, tmp_path / "whole.jsonl", seed=5, progress=False)
    lines = (tmp_path / "whole.jsonl").read_text().splitlines()[1:]
    order = sorted(files, key=lambda name: hashlib.sha256(f"5:{name}".encode()).hexdigest())
    decoded = []
    real = manifest.inspect
    monkeypatch.setattr(manifest, "inspect", lambda root, place: decoded.append(place.id) or real(root, place))
    for count in (1, 4, 11, 12):
        decoded.clear()
        header = make_manifest(root, tmp_path / "part.jsonl", seed=5, count=count, min_side=20, progress=False)
        part = (tmp_path / "part.jsonl").read_text().splitlines()[1:]
        # as far as the count-th of sufficient size, and not one further; unusable ones on the way are named or listed
        large = [name for name in order if name in photo_files]
        read = order[: order.index(large[count - 1]) + 1]
        assert sorted(decoded) == sorted(read)
        assert part == lines[: len(part)]
        assert [json.loads(line)["id"] for line in part] == [name for name in read if name != "broken.jpg"]
        assert set(header["unreadable"]) == {"broken.jpg"} & set(read)
        assert header["of"] == len(files)
    assert "of" not in whole
    assert f"the first {header['count']} of 14 photos" in describe(header)
    with pytest.raises(UserError, match="13 photos with a short side of 20 pixels were asked for, .* has 12"):
        make_manifest(root, tmp_path / "more.jsonl", seed=5, count=13, min_side=20, progress=False)
    assert not (tmp_path / "more.jsonl").exists()


def test_a_part_of_a_shard_is_read_in_place(make_folder, photo_files, tmp_path):
    root = make_folder(photo_files)
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for name in photo_files:
            shard.add(root / name, arcname=name)
    make_manifest(tmp_path / "shard.tar", tmp_path / "part.jsonl", count=3, progress=False)
    whole, part = open_photos(tmp_path / "shard.tar"), open_photos(tmp_path / "part.jsonl")
    assert part.ids == whole.ids[:3]
    assert all((part.read(i) == whole.read(i)).all() for i in range(3))
