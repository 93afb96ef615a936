import numpy as np
import pytest

from dad.data.check import check
from dad.errors import UserError


def test_a_sound_photo_folder_is_reported(make_folder, photo_files, write_shard):
    root = make_folder(photo_files | {"readme.txt": b""})
    write_shard(root / "sa_000000.tar", {"sa_1.jpg": photo_files["sub0/photo_00.jpg"]})
    report = check("photos", root, min_crop=40)
    assert report.ok
    assert (report.counts["photos"], report.counts["shards"], report.counts["same content twice"]) == (13, 1, 1)
    assert report.counts["decoded"] == "13 of 13 tried"
    assert report.counts["short side in pixels"].startswith("30 to 51")
    assert report.counts["too small for min_crop 40"] == "6 of 13"
    assert "too small: sa_000000.tar/sa_1.jpg (40 x 30)" in report.text
    assert "how to get it" not in report.text


def test_a_sample_is_decoded_when_asked_and_bad_photos_are_named(make_folder, photo_files):
    root = make_folder(photo_files | {"bad.jpg": b"no"})
    assert check("photos", root, decode=4).counts["decoded"] in ("4 of 4 tried", "3 of 4 tried")
    report = check("photos", root, decode=None)
    assert report.ok
    assert report.warnings == ["unreadable: bad.jpg: not an image"]
    assert check("photos", root, decode=13).text == report.text


def test_what_is_missing_is_said_with_how_to_get_it(make_folder, photo_files, tmp_path):
    for dataset in ("photos", "scenes-indoor", "scenes-outdoor", "scenes-driving", "samples"):
        report = check(dataset, tmp_path / "nowhere")
        assert not report.ok
        assert report.text.splitlines()[-1] == f"  how to get it: {report.advice}"
    assert "--kind driving" in check("scenes-driving", tmp_path / "nowhere").advice
    assert not check("photos", make_folder({"a.jpg": b"x"}, "bad")).ok
    report = check("photos", make_folder(photo_files), min_crop=1000)
    assert not report.ok
    assert "lower min_crop" in report.text


def test_benchmarks_are_decoded_and_damaged_images_named(make_folder, encoded, pixels):
    depth = np.full((30, 40), 1500, np.uint16)
    depth[0] = 0
    names = "abc"
    files = {f"{name}.png": encoded(pixels(1)) for name in names} | {f"{name}_gt.png": encoded(depth) for name in names}
    files["c_gt.png"] = encoded(np.zeros_like(depth))
    files["manifest.csv"] = "\n".join(
        ["rgb,gt,kind,scale", *(f"{name}.png,{name}_gt.png,depth,0.001" for name in names)]
    ).encode()
    root = make_folder(files)
    report = check("samples", root)
    assert report.ok
    assert report.counts["images"] == 3
    assert report.counts["sizes"] == "40 x 30"
    assert report.counts["valid depth in metres"] == "1.500 to 1.500"
    assert report.counts["valid pixels"] == "0.00% to 96.67%, mean 64.44%"
    assert report.warnings == ["no valid pixel: c.png"]
    (root / "b.png").write_bytes(files["b.png"][:-300])
    report = check("samples", root)
    assert not report.ok
    assert len(report.missing) == 1
    assert "b.png" in report.missing[0]
    assert report.counts["decoded"] == "2 of 3 tried"


def test_long_lists_are_cut_in_the_text_only(make_folder, photo_files):
    report = check("photos", make_folder(photo_files | {f"bad_{i:02d}.jpg": b"" for i in range(30)}))
    assert len(report.warnings) == 30
    assert "warning: and 10 more" in report.text
    assert "bad_25.jpg" not in report.text


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(UserError, match="unknown dataset 'kitty', allowed are photos"):
        check("kitty", tmp_path)
    with pytest.raises(UserError, match="decode is 0"):
        check("photos", tmp_path, decode=0)
    with pytest.raises(UserError, match="min_crop is for photos"):
        check("samples", tmp_path, min_crop=3)
