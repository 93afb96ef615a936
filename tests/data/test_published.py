"""Readers of the five published benchmarks on miniatures of their releases."""

import io
import tarfile

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dad.data.benchmarks import PUBLISHED, open_benchmark
from dad.data.check import check
from dad.errors import UserError

KITTI_RGB = "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png"
KITTI_DEPTH = "2011_09_26_drive_0002_sync/proj_depth/groundtruth/image_02/0000000069.png"


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def kitti(make_folder, encoded):
    """Two frames of different sizes; every pixel of RGB and depth tells its row and column."""
    files = {}
    for frame, (height, width) in (("0000000069", (375, 1242)), ("0000000070", (370, 1226))):
        row, column = np.mgrid[:height, :width]
        rgb = np.stack([row % 256, column % 256, column // 256 + 16 * (row // 256)], 2).astype(np.uint8)
        files[KITTI_RGB.replace("0000000069", frame)] = encoded(rgb, compress_level=1)
        files[f"train/{KITTI_DEPTH.replace('0000000069', frame)}"] = encoded((row + 1).astype(np.uint16) * 32)
    return make_folder(files, "kitti")


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [(None, (117, 321), (43, 1172)), ("garg", (143, 349), (43, 1172)), ("none", (0, 352), (0, 1216))],
)
def test_kitti_is_cut_before_inference_and_scored_in_the_crop(kitti, crop, rows, columns):
    benchmark = open_benchmark("kitti", kitti, crop=crop)
    assert benchmark.label == ("kitti" if crop is None else f"kitti+crop={crop}")
    for sample, (top, left) in zip(benchmark, [(23, 13), (18, 5)], strict=True):
        assert sample.rgb.shape == (352, 1216, 3)
        assert sample.rgb[0, 0].tolist() == [top, left, 0]
        assert sample.depth[0, 0] == (top + 1) / 8
        expected = np.zeros((352, 1216), bool)
        expected[rows[0] : rows[1], columns[0] : columns[1]] = True
        assert np.array_equal(sample.mask, expected)  # depth is 3 to 47 m everywhere
        assert sample.scene == "2011_09_26_drive_0002_sync"
    assert benchmark[0].id == benchmark.image(0) == KITTI_RGB
    with pytest.raises(IndexError):
        benchmark[2]


def test_kitti_frames_without_ground_truth_are_left_out(kitti, tmp_path):
    listed = tmp_path / "list.txt"
    other = KITTI_RGB.replace("69.png", "75.png")
    listed.write_text(f"{KITTI_RGB} {KITTI_DEPTH} 721.5377\n{other} None 721.5377")
    benchmark = open_benchmark("kitti", kitti, list_file=listed)
    assert (len(benchmark), benchmark.unlabelled, benchmark.image(0)) == (1, 1, KITTI_RGB)
    assert benchmark[0].mask.any()


def test_an_image_smaller_than_the_crop_is_named(make_folder, encoded):
    small = encoded(np.ones((352, 1215), np.uint16))
    root = make_folder({KITTI_RGB: encoded(np.zeros((352, 1215, 3), np.uint8)), KITTI_DEPTH: small})
    with pytest.raises(UserError, match=r"image 2011.*69\.png: it is 1215 x 352, smaller than the 1216 x 352"):
        open_benchmark("kitti", root)[0]


def test_kitti_without_a_list_is_not_guessed(kitti, monkeypatch):
    monkeypatch.setattr(PUBLISHED["kitti"], "known", 1)
    with pytest.raises(
        UserError, match=r"holds 2 labelled images, the list of kitti has 1 of them.*give its list file"
    ):
        open_benchmark("kitti", kitti)


@pytest.fixture
def nyu(make_folder, encoded, pixels):
    """Two rooms; depth counts millimetres up along the rows."""
    depth = np.repeat((np.arange(480) * 25).astype(np.uint16)[:, None], 640, 1)
    files = {}
    for room, number in (("kitchen_0004", 1), ("office_0005", 9)):
        for kind, array in (("rgb", pixels(number, 640, 480)), ("depth", depth), ("filled", depth + 3000)):
            files[f"test/{room}/{kind}_{number:04d}.png"] = encoded(array, compress_level=1)
    return make_folder(files, "nyu")


def test_nyu_scores_raw_depth_in_the_eigen_crop(nyu):
    benchmark = open_benchmark("nyuv2", nyu)
    assert [benchmark.image(i) for i in range(2)] == ["test/kitchen_0004/rgb_0001.png", "test/office_0005/rgb_0009.png"]
    sample = benchmark[0]
    expected = np.zeros((480, 640), bool)
    expected[45:400, 41:601] = True  # row 400 is 10 m, which is not below the limit
    assert np.array_equal(sample.mask, expected)
    assert sample.depth[45, 0] == np.float32(45 * 25 / 1000)
    whole = open_benchmark("nyuv2", nyu, crop="none")
    assert whole.label == "nyuv2+crop=none"
    assert np.array_equal(np.flatnonzero(whole[0].mask[:, 0]), np.arange(1, 400))


def test_nyu_release_reads_the_same_images(nyu, tmp_path):
    extracted = list(open_benchmark("nyuv2", nyu))
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        images, raw = np.zeros((10, 3, 640, 480), np.uint8), np.zeros((10, 640, 480), np.float32)
        names = file.create_dataset("scenes", (1, 10), h5py.ref_dtype)
        for number in range(1, 11):
            scene = {1: "kitchen_0004", 9: "office_0005"}.get(number, "hall_0001")
            names[0, number - 1] = file.create_dataset(f"#refs#/{number}", data=[[ord(c)] for c in scene]).ref
        for sample, number in zip(extracted, (1, 9), strict=True):
            images[number - 1], raw[number - 1] = sample.rgb.transpose(2, 1, 0), sample.depth.T
        file["images"], file["rawDepths"] = images, raw
    savemat(tmp_path / "splits.mat", {"testNdxs": np.array([[9], [1]], np.uint16)})
    released = open_benchmark("nyuv2", tmp_path)
    for sample, expected in zip(released, extracted, strict=True):
        assert (sample.id, sample.scene) == (expected.id, expected.scene)
        for name in ("rgb", "depth", "mask"):
            assert np.array_equal(getattr(sample, name), getattr(expected, name)), name
    (tmp_path / "splits.mat").unlink()
    with pytest.raises(UserError, match=r"splits\.mat says which images are for testing and cannot be read.*http"):
        open_benchmark("nyuv2", tmp_path)
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"MATLAB")
    with pytest.raises(UserError, match="is not NYUv2's labelled data set"):
        open_benchmark("nyuv2", tmp_path)


@pytest.mark.parametrize("layout", ["together", "apart", "marigold"])
def test_eth3d_is_raw_float_with_a_jpg_name(make_folder, encoded, pixels, layout):
    rgb, depth = {
        "together": ("office/images", "office/ground_truth_depth"),
        "apart": ("office_dslr_jpg/office/images", "office_dslr_depth/office/ground_truth_depth"),
        "marigold": ("rgb/office/images", "depth/office_dslr_depth/office/ground_truth_depth"),
    }[layout]
    values = np.linspace(0, 40, 600, dtype="<f4").reshape(20, 30)
    values[3, :7] = np.inf
    image = f"{rgb}/dslr_images/DSC_0219.JPG"
    files = {image: encoded(pixels(0, 30, 20), "JPEG"), f"{depth}/dslr_images/DSC_0219.JPG": values.tobytes()}
    benchmark = open_benchmark("eth3d", make_folder(files, "eth3d"))
    sample = benchmark[0]
    assert (sample.id, sample.scene, benchmark.align_max_res) == (image, "office", 1024)
    assert np.array_equal(sample.mask, np.isfinite(values) & (values > 1e-5))
    assert np.array_equal(sample.depth, np.where(np.isfinite(values), values, 0))
    assert "rgb/office/images/dslr_images/DSC_0219.JPG" in (sample.id, *sample.aliases)
    (benchmark.root / depth / "dslr_images" / "DSC_0219.JPG").write_bytes(values.tobytes()[:-4])
    with pytest.raises(UserError, match=r"depth file .*2396 bytes, but 30 x 20 pixels of float32 are 2400"):
        benchmark[0]


def test_eth3d_is_not_turned_by_exif(make_folder, encoded, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "a/images/dslr_images/x.JPG": encoded(pixels(0, 30, 20), "JPEG", exif=exif.tobytes()),
        "a/ground_truth_depth/dslr_images/x.JPG": np.ones((20, 30), "<f4").tobytes(),
    }
    assert open_benchmark("eth3d", make_folder(files))[0].rgb.shape == (20, 30, 3)


@pytest.mark.parametrize("layout", ["", "scans/", "scannet_frames_25k/"])
def test_scannet_colour_is_brought_to_the_depths_size(make_folder, encoded, pixels, layout, tmp_path):
    depth = np.full((30, 40), 1500, np.uint16)
    depth[0, 0], depth[0, 1] = 0, 10000
    frame = "000300" if "25k" in layout else "300"
    files = {
        f"{layout}scene0406_02/color/{frame}.jpg": encoded(pixels(1, 80, 60), "JPEG", quality=95),
        f"{layout}scene0406_02/depth/{frame}.png": encoded(depth),
    }
    root = make_folder(files, "scannet")
    sample = open_benchmark("scannet", root)[0]
    assert (sample.scene, sample.rgb.shape) == ("scene0406", (30, 40, 3))
    assert (sample.mask.sum(), sample.depth[1, 1]) == (30 * 40 - 2, 1.5)
    small = np.asarray(Image.fromarray(pixels(1, 80, 60)).reduce(2)).astype(int)
    assert np.abs(sample.rgb.astype(int) - small).mean() < 6
    listed = tmp_path / "list.txt"
    listed.write_text("scene0406_02/color/000300.jpg scene0406_02/depth/000300.png")
    assert open_benchmark("scannet", root, list_file=listed)[0].depth[1, 1] == 1.5


def diode_files(encoded, pixels, outdoor="outdoor", root=""):
    """One indoor and one outdoor image; the first mask pixels are 0, depth is out of the range in places."""
    files = {}
    for kind, scene, name in (("indoors", "scene_00021/scan_00189", "a"), (outdoor, "scene_00022/scan_00196", "b")):
        mask = np.ones((30, 40))
        mask[0] = 0
        depth = np.full((30, 40, 1), 5, np.float32)
        depth[0, 0], depth[1, 0], depth[2, 0] = np.nan, 0.1, 400
        for suffix, data in ((".png", encoded(pixels(3))), ("_depth.npy", npy(depth)), ("_depth_mask.npy", npy(mask))):
            files[f"{root}{kind}/{scene}/{name}{suffix}"] = data
    return files


@pytest.mark.parametrize(("outdoor", "root"), [("outdoor", ""), ("outdoors", ""), ("outdoor", "val/")])
@pytest.mark.parametrize("listed_as", [None, "outdoor", "outdoors"])
def test_diode_takes_its_mask_alone(make_folder, encoded, pixels, tmp_path, outdoor, root, listed_as):
    folder = make_folder(diode_files(encoded, pixels, outdoor, root), "diode")
    listed = None
    if listed_as:
        listed = tmp_path / "list.txt"
        stems = ["indoors/scene_00021/scan_00189/a", f"{listed_as}/scene_00022/scan_00196/b"]
        listed.write_text("\n".join(f"{stem}.png {stem}_depth.npy {stem}_depth_mask.npy" for stem in stems))
    benchmark = open_benchmark("diode", folder, list_file=listed)
    assert [sample.scene for sample in benchmark] == ["indoor/scene_00021", "outdoor/scene_00022"]
    for sample in benchmark:
        assert np.array_equal(sample.mask, np.arange(30)[:, None].repeat(40, 1) > 0)
        assert (sample.depth[0, 0], sample.depth[1, 0], sample.depth[2, 0]) == (0, np.float32(0.1), 400)
    expected = (
        f"{listed_as}/scene_00022/scan_00196/b.png" if listed_as else f"{root}{outdoor}/scene_00022/scan_00196/b.png"
    )
    assert benchmark.image(1) == expected
    assert {f"{kind}/scene_00022/scan_00196/b.png" for kind in ("outdoor", "outdoors")} <= {
        expected,
        *benchmark[1].aliases,
    }


def test_the_training_part_of_diode_is_not_scored(make_folder, encoded, pixels):
    files = diode_files(encoded, pixels, root="val/") | diode_files(encoded, pixels, root="train/")
    assert len(open_benchmark("diode", make_folder(files))) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b_depth_mask.npy": None}, "image .*b.png: its mask file .* is not there"),
        ({"b_depth.npy": npy(np.ones((30, 40)))}, "depth file .*holds float64, depth must be float32"),
        ({"b_depth.npy": npy(np.ones((31, 40, 1), np.float32))}, "rgb is 40 x 30, its depth is 40 x 31 pixels"),
        ({"b_depth_mask.npy": npy(np.ones((30, 41)))}, "rgb is 40 x 30, its mask is 41 x 30 pixels"),
        ({"b_depth.npy": b"\x93NUMPY"}, "depth file .* cannot be used"),
        ({"b.png": b"\x89PNG\r\n\x1a\n"}, "rgb file .* cannot be used"),
    ],
)
def test_a_damaged_image_is_named_and_the_others_are_read(make_folder, encoded, pixels, change, message):
    files = diode_files(encoded, pixels)
    for name, data in change.items():
        path = next(path for path in files if path.endswith(f"/{name}"))
        files.pop(path) if data is None else files.update({path: data})
    benchmark = open_benchmark("diode", make_folder(files))
    assert len(benchmark) == 2
    assert benchmark[0].mask.any()
    with pytest.raises(UserError, match=message):
        benchmark[1]


def test_diode_s_pixels_without_a_distance_are_no_truth_whatever_the_mask_says(make_folder, encoded, pixels):
    files = diode_files(encoded, pixels)
    name = next(path for path in files if path.endswith("/b_depth.npy"))
    depth = np.load(io.BytesIO(files[name]))
    for value, row in ((np.nan, 4), (np.inf, 5), (-np.inf, 6), (-1, 7), (0, 8)):
        depth[row] = value
    files[name] = npy(depth)
    sample = open_benchmark("diode", make_folder(files))[1]
    assert sample.mask[4:9].all()
    assert not sample.usable[4:9].any()
    assert np.isfinite(sample.depth[~sample.mask]).all()
    rest = np.delete(np.arange(30), range(4, 9))
    assert np.array_equal(sample.usable[rest], (sample.mask & (sample.depth > 0))[rest])


def test_depth_that_is_not_16_bit_is_refused(nyu, encoded):
    for data, found in (
        (encoded(np.zeros((480, 640), np.uint8)), "PNG of mode L"),
        (encoded(np.zeros((480, 640), np.uint8), "JPEG"), "JPEG of mode L"),
    ):
        (nyu / "test/office_0005/depth_0009.png").write_bytes(data)
        with pytest.raises(UserError, match=f"it is {found}, depth must be a 16-bit grey PNG"):
            open_benchmark("nyuv2", nyu)[1]


def test_bad_lines_of_a_list_are_named_and_the_others_are_read(nyu, tmp_path):
    line = "test/kitchen_0004/rgb_0001.png test/kitchen_0004/depth_0001.png"
    listed = tmp_path / "list.txt"
    listed.write_text(f"{line}\ntest/office_0005/rgb_0009.png\n\n{line} x\n./test/office_0005/rgb_0009.png gone.png\n")
    benchmark = open_benchmark("nyuv2", nyu, list_file=listed)
    assert [benchmark.image(i) for i in range(4)] == [
        "test/kitchen_0004/rgb_0001.png",
        f"{listed} line 2",
        f"{listed} line 4",
        "test/office_0005/rgb_0009.png",
    ]
    assert benchmark[0].mask.any()
    for index, message in (
        (1, "line 2: 1 columns, needed are rgb depth"),
        (2, "listed before in line 1"),
        (3, "gone.png is not there"),
    ):
        with pytest.raises(UserError, match=message):
            benchmark[index]
    listed.write_text("just\nwords\n")
    with pytest.raises(UserError, match=r"line 1: 1 columns.*no image is left to score"):
        open_benchmark("nyuv2", nyu, list_file=listed)
    listed.write_text("")
    with pytest.raises(UserError, match="has no lines"):
        open_benchmark("nyuv2", nyu, list_file=listed)
    listed.write_text("a.png b.png")
    with pytest.raises(UserError, match=r"none of the 1 images listed in .* is under .*, first a\.png"):
        open_benchmark("nyuv2", nyu, list_file=listed)
    with pytest.raises(UserError, match=r"line 1: a\.png is not a path of kitti"):
        open_benchmark("kitti", nyu, list_file=listed)
    with pytest.raises(UserError, match="cannot be read"):
        open_benchmark("nyuv2", nyu, list_file=tmp_path / "none.txt")


def pack(folder, path, compression=""):
    with tarfile.open(path, f"w:{compression}") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.add(file, f"./{file.relative_to(folder)}")
    return path


def test_a_tar_gives_what_the_folder_gives(nyu, tmp_path):
    packed = open_benchmark("nyuv2", pack(nyu, tmp_path / "nyu_labeled_extracted.tar"))
    beside = open_benchmark("nyuv2", tmp_path)  # a folder in which the tar lies under upstream's name
    assert beside.files.root == packed.files.root
    for ours, expected in zip(packed, open_benchmark("nyuv2", nyu), strict=True):
        assert ours.id == expected.id
        assert np.array_equal(ours.rgb, expected.rgb)
        assert np.array_equal(ours.depth, expected.depth)


def test_a_tar_cut_anywhere_gives_what_is_before_the_cut(nyu, tmp_path):
    data = pack(nyu, tmp_path / "whole.tar").read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as archive:
        first = archive.getmember("./test/kitchen_0004/rgb_0001.png").offset_data
        ends = {member.name[2:]: member.offset_data + member.size for member in archive}
        last = -(-max(ends.values()) // 512) * 512
    assert open_benchmark("nyuv2", tmp_path / "whole.tar").problems == []
    cut = tmp_path / "cut.tar"
    for size in (*range(first, last, 40_009), last - 1, last):
        cut.write_bytes(data[:size])
        benchmark = open_benchmark("nyuv2", cut)
        assert len(benchmark.problems) == 1
        assert "cut short" in benchmark.problems[0]
        for index in range(len(benchmark)):
            rgb = benchmark.image(index)
            if max(ends[rgb], ends[rgb.replace("rgb", "depth")]) <= size:
                assert benchmark[index].mask.any()
            else:
                with pytest.raises(UserError, match=rf"image {rgb}: .*(is not there|bytes are there)"):
                    benchmark[index]
    cut.write_bytes(data[: first - 512])
    with pytest.raises(UserError, match=r"no nyuv2 images under .*cut short after 2 files"):
        open_benchmark("nyuv2", cut)
    cut.write_bytes(data[: last + 512])
    assert open_benchmark("nyuv2", cut).problems == []


def test_what_is_not_a_data_set_is_refused(nyu, tmp_path):
    with pytest.raises(UserError, match=r"does not exist: give the folder or the \.tar"):
        open_benchmark("nyuv2", tmp_path / "none")
    with pytest.raises(UserError, match=r"is not a plain \.tar.*gunzip"):
        open_benchmark("nyuv2", pack(nyu, tmp_path / "val.tar.gz", "gz"))
    (tmp_path / "empty").mkdir()
    for name, kind in PUBLISHED.items():
        with pytest.raises(UserError, match=f"no {name} images under .* is needed") as caught:
            open_benchmark(name, tmp_path / "empty")
        assert kind.layout in str(caught.value)
    with pytest.raises(UserError, match="benchmark diode takes no crop"):
        open_benchmark("diode", nyu, crop="eigen")
    with pytest.raises(UserError, match="benchmark scenes-indoor takes no list"):
        open_benchmark("scenes-indoor", nyu, list_file=tmp_path / "l")
    for name, allowed in (("kitti", "eigen, garg, none"), ("nyuv2", "eigen, none")):
        with pytest.raises(UserError, match=f"{name} has no crop 'middle', allowed are {allowed}"):
            open_benchmark(name, nyu, crop="middle")


def test_check_counts_names_what_is_missing_and_says_how_to_get_it(nyu, monkeypatch):
    report = check("nyuv2", nyu)
    assert not report.ok
    assert report.missing == ["only 2 of 654 images: scores are comparable with published ones for all only"]
    assert "nyu_depth_v2_labeled.mat" in report.text.splitlines()[-1]
    monkeypatch.setattr(PUBLISHED["nyuv2"], "known", 2)
    report = check("nyuv2", nyu)
    assert report.ok
    assert report.counts["decoded"] == "2 of 2 tried"
    assert report.counts["sizes"] == "640 x 480"
    (nyu / "test/office_0005/depth_0009.png").unlink()
    report = check("nyuv2", nyu)
    assert not report.ok
    assert report.missing[0] == "depth test/office_0005/depth_0009.png"
    assert report.counts["decoded"] == "1 of 2 tried"


def test_check_tells_which_part_is_short(make_folder, encoded, pixels, tmp_path, monkeypatch):
    folder = make_folder(diode_files(encoded, pixels))
    report = check("diode", folder)
    assert report.missing == [
        "only 2 of 771 images (indoor: 1 of 325, outdoor: 1 of 446): scores are comparable with published ones for all "
        "only"
    ]
    assert "val.tar.gz" in report.advice
    monkeypatch.setattr(PUBLISHED["diode"], "known", 2)
    assert check("diode", folder).ok
    archive = pack(folder, tmp_path / "diode.tar")
    archive.write_bytes(archive.read_bytes()[:-10240])
    assert any("cut short" in line for line in check("diode", archive).missing)
    with pytest.raises(UserError, match="samples takes no list"):
        check("samples", folder, list_file=tmp_path / "x")


def test_check_takes_a_list_at_its_word(kitti, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{KITTI_RGB} {KITTI_DEPTH} 721.5377\n{KITTI_RGB.replace('69.png', '75.png')} None 721.5377")
    report = check("kitti", kitti, list_file=listed)
    assert report.ok
    assert report.counts["listed without ground truth"] == 1
    assert report.warnings == ["only 1 of 652 images: scores are comparable with published ones for all only"]
