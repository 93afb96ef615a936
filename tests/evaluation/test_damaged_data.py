"""Damaged data through the command line: one clear line for each, the rest scored as if it were alone, nothing lost."""

import csv
import io
import json
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from dad.cli import main
from dad.data.benchmarks import open_benchmark
from dad.evaluation.evaluate import PredictionFolder, evaluate
from dad.evaluation.to_files import evaluate_to_files

HEIGHT, WIDTH = 24, 32


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def rgb_name(number):
    return f"scene0000_00/color/{number:06d}.png"


def frames(count):
    """ScanNet frames {path: bytes} and a depth prediction for each."""
    files, predictions = {}, {}
    for number in range(count):
        rng = np.random.default_rng(number)
        millimetres = rng.integers(500, 9000, (HEIGHT, WIDTH)).astype(np.uint16)
        files[rgb_name(number)] = png(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        files[f"scene0000_00/depth/{number:06d}.png"] = png(millimetres)
        predictions[rgb_name(number)[:-4] + ".npy"] = npy(
            (millimetres * rng.lognormal(0, 0.1, millimetres.shape)).astype(np.float32)
        )
    return files, predictions


def flawed(values, place):
    """`frames`' first prediction with a value that is no number in one pixel."""
    array = np.load(io.BytesIO(values))
    array[place] = np.nan if place == (0, 0) else np.inf
    return npy(array)


FLAWS = {
    "truncated rgb": (lambda f, p, n, d: f.update({n: f[n][:-40]}), "its rgb file .* cannot be used"),
    "truncated depth": (lambda f, p, n, d: f.update({d: f[d][: len(f[d]) // 2]}), "its depth file .* cannot be used"),
    "8-bit depth": (
        lambda f, p, n, d: f.update({d: png(np.ones((HEIGHT, WIDTH), np.uint8))}),
        "must be a 16-bit grey PNG",
    ),
    "wrong size": (
        lambda f, p, n, d: f.update({d: png(np.ones((HEIGHT, WIDTH + 1), np.uint16))}),
        "sizes must be equal",
    ),
    "no depth": (lambda f, p, n, d: f.pop(d), "its depth file .* is not there"),
    "no prediction": (lambda f, p, n, d: p.pop(n[:-4] + ".npy"), "there is no prediction"),
    "small prediction": (
        lambda f, p, n, d: p.update({n[:-4] + ".npy": npy(np.ones((3, 4)))}),
        r"the prediction is \(3, 4\)",
    ),
    "NaN": (
        lambda f, p, n, d: p.update({n[:-4] + ".npy": flawed(p[n[:-4] + ".npy"], (0, 0))}),
        "1 of 768 valid pixels .* are NaN",
    ),
    "inf": (
        lambda f, p, n, d: p.update({n[:-4] + ".npy": flawed(p[n[:-4] + ".npy"], (1, 1))}),
        "1 of 768 valid pixels .* are NaN",
    ),
}


@pytest.mark.parametrize("packed", [False, True])
def test_every_flaw_has_its_line_and_the_rest_is_scored(tmp_path, capsys, packed):
    files, predictions = frames(len(FLAWS) + 3)
    for number, (flaw, _) in enumerate(FLAWS.values(), 1):
        flaw(files, predictions, rgb_name(number), rgb_name(number).replace("color", "depth"))
    empty = len(FLAWS) + 1
    files[f"scene0000_00/depth/{empty:06d}.png"] = png(np.zeros((HEIGHT, WIDTH), np.uint16))
    lines = [f"{rgb_name(number)} {rgb_name(number).replace('color', 'depth')}" for number in range(len(FLAWS) + 3)]
    lines.insert(4, "scene0000_00/color/000099.png")
    (tmp_path / "list.txt").write_text("\n".join(lines))
    diode = {}
    for number in range(2):
        stem = f"indoors/scene_00021/scan_00189/{number}"
        diode |= {
            f"{stem}.png": files[rgb_name(0)],
            f"{stem}_depth.npy": npy(np.full((HEIGHT, WIDTH, 1), 2 + number, np.float32)),
        }
        predictions[f"{stem}.npy"] = npy(np.ones((HEIGHT, WIDTH), np.float32))
    diode["indoors/scene_00021/scan_00189/0_depth_mask.npy"] = npy(np.ones((HEIGHT, WIDTH)))
    root = write(tmp_path / "scannet", files)
    if packed:
        root = tmp_path / "scannet.tar"
        with tarfile.open(root, "w") as archive:
            archive.add(tmp_path / "scannet", ".")
    write(tmp_path / "diode", diode)
    write(tmp_path / "predictions", predictions)
    out, summary = tmp_path / "scores.csv", tmp_path / "summary.json"
    arguments = [
        "evaluate",
        "--predictions",
        str(tmp_path / "predictions"),
        "--kind",
        "depth",
        "--protocol",
        "marigold,native",
    ]
    arguments += ["--dataset", "scannet", "--root", str(root), "--list", f"scannet={tmp_path / 'list.txt'}"]
    arguments += ["--dataset", "diode", "--root", str(tmp_path / "diode"), "--out", str(out), "--summary", str(summary)]
    with pytest.raises(SystemExit) as exit_code:
        main(arguments)
    assert exit_code.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dad: ")]
    assert len(said) == len(FLAWS) + 3
    assert said[-1] == f"dad: the rest was scored; {out} has a line for every image"
    assert said[-2].startswith("dad: diode: image indoors/scene_00021/scan_00189/1.png: its mask file")
    assert f"dad: scannet: {tmp_path / 'list.txt'} line 5: 1 columns, needed are rgb depth" in said
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (len(lines) + 2)
    status = {row["image"]: (row["status"], row["message"]) for row in rows}
    for number, (name, (_, message)) in enumerate(FLAWS.items(), 1):
        found, text = status[rgb_name(number)]
        assert found == "failed", name
        assert re.search(message, text), (name, text)
        assert f"dad: scannet: {text}" in said
    assert status[rgb_name(empty)] == ("empty", "no valid pixel")
    assert status["indoors/scene_00021/scan_00189/0.png"] == ("ok", "the prediction is 1 everywhere")
    good = [
        row for row in rows if row["dataset"] == "scannet" and row["protocol"] == "marigold@1" and row["status"] == "ok"
    ]
    assert [row["image"] for row in good] == [rgb_name(0), rgb_name(empty + 1)]
    result = json.loads(summary.read_text())["results"][0]
    assert (result["images"], result["empty"], result["failed"]) == (len(lines), 1, len(FLAWS) + 1)
    assert result["mean"]["abs_rel"] == pytest.approx(np.mean([float(row["abs_rel"]) for row in good]), rel=1e-12)
    # the good images have the scores that they have alone
    alone = write(tmp_path / "alone", {name: data for name, data in files.items() if "000000" in name})
    (first,) = evaluate(open_benchmark("scannet", alone), PredictionFolder(tmp_path / "predictions", "depth"))
    assert float(good[0]["abs_rel"]) == first["abs_rel"]


def test_a_tar_that_was_cut_is_said_even_if_no_listed_image_is_lost(tmp_path):
    files, predictions = frames(3)
    write(tmp_path / "predictions", predictions)
    write(tmp_path / "scannet", files)
    with tarfile.open(tmp_path / "scannet.tar", "w") as archive:
        for name in files:
            archive.add(tmp_path / "scannet" / name, f"./{name}")
        end = archive.offset
    (tmp_path / "scannet.tar").write_bytes((tmp_path / "scannet.tar").read_bytes()[:end])
    run = {"predictions": tmp_path / "predictions", "kind": "depth", "out": tmp_path / "s.csv"}
    written = evaluate_to_files(benchmarks=[("scannet", tmp_path / "scannet.tar")], **run)
    (failure,) = written["failures"]
    assert (failure["dataset"], failure["image"]) == ("scannet", "")
    assert "cut short after 6 files" in failure["message"]
    assert (written["results"][0]["images"], written["results"][0]["failed"]) == (3, 0)


def test_random_damage_never_stops_the_evaluation(tmp_path):
    files, predictions = frames(40)
    rng = np.random.default_rng(0)
    damaged = 0
    for group in (files, predictions):
        for name in list(group)[2:]:
            data = bytearray(group[name])
            if rng.random() < 0.5:
                del data[rng.integers(len(data)) :]
            for place in rng.integers(0, len(data), 5) if data else ():
                data[min(place, 150)] ^= 1 << rng.integers(8)
            group[name], damaged = bytes(data), damaged + 1
    write(tmp_path / "predictions", predictions)
    failures = []
    benchmark = open_benchmark("scannet", write(tmp_path / "scannet", files))
    rows = evaluate(benchmark, PredictionFolder(tmp_path / "predictions", "depth"), ["marigold"], failures=failures)
    assert damaged > 100
    assert len(rows) == 40
    assert rows[0]["status"] == "ok"
    assert sum(row["status"] == "failed" for row in rows) == len(failures) > 30
    assert all("\n" not in failure.message for failure in failures)


def test_options_of_several_data_sets(tmp_path, capsys):
    files, predictions = frames(2)
    write(tmp_path / "predictions", predictions)
    root = write(tmp_path / "scannet", files)
    common = [
        "evaluate",
        "--predictions",
        str(tmp_path / "predictions"),
        "--kind",
        "depth",
        "--out",
        str(tmp_path / "s.csv"),
    ]
    common += ["--dataset", "scannet", "--root", str(root)]
    listed = tmp_path / "list.txt"
    listed.write_text(f"{rgb_name(1)} {rgb_name(1).replace('color', 'depth')}")
    assert main([*common, "--list", str(listed)]) == 0
    assert capsys.readouterr().out.endswith("(1 images)\n")
    assert main([*common, "--crop", "garg"]) == 2
    assert capsys.readouterr().err == "dad: benchmark scannet takes no crop: leave it out\n"
    assert main([*common, "--dataset", "kitti", "--root", str(root), "--crop", "garg"]) == 2
    assert (
        "--crop 'garg': with several data sets, write --crop DATASET=VALUE (scannet, kitti)" in capsys.readouterr().err
    )


def test_data_check_from_the_command_line(tmp_path, capsys):
    root = write(tmp_path / "scannet", frames(2)[0])
    with pytest.raises(SystemExit) as exit_code:
        main(["data", "check", "scannet", str(root), "--decode", "1"])
    assert exit_code.value.code == 2
    text = capsys.readouterr().out
    assert "published list: 800 images" in text
    assert "decoded: 1 of 1 tried" in text
    assert "missing: only 2 of 800 images" in text
    assert "scannet_val_sampled_list_800_1.txt of prs-eth/Marigold" in text
    listed = tmp_path / "list.txt"
    listed.write_text(f"{rgb_name(1)} {rgb_name(1).replace('color', 'depth')}")
    assert main(["data", "check", "scannet", str(root), "--list", str(listed)]) == 0
    assert "warning: only 1 of 800 images" in capsys.readouterr().out
