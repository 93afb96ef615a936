"""ONNX: the graph and the code beside it give the source's numbers, in 32 bits and nearly so in 8."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from timm.models.beit import gen_relative_position_index

from dad.errors import UserError
from dad.evaluation.to_files import evaluate_to_files
from dad.export import export
from dad.export.onnx import bicubic_matrix, pairs
from dad.export.parity import drawn
from dad.export.shipped import predict_onnx
from dad.models import load
from dad.models.checkpoints import load_network
from dad.models.resizing import network_size


def test_onnxruntime_gives_our_numbers(onnx_exports):
    run, folder, parities = onnx_exports("patch")
    assert len({parity.input for parity in parities}) == 7, "two sizes of the graph, five pictures"
    assert all(parity.difference < 1e-5 for parity in parities)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    network = load(run).network
    # the stored grid is the one size at which the official code does not resample
    for shape in ((2, 3, 56, 56), (1, 3, 14, 140)):
        x = torch.randn(shape)
        with torch.no_grad():
            expected = network(x).numpy()
        np.testing.assert_allclose(
            session.run(None, {"image": x.numpy()})[0], expected, rtol=0, atol=1e-4 * np.abs(expected).max()
        )


def test_a_changed_byte_is_found_and_the_file_is_onnx_for_everybody(onnx_exports, tmp_path):
    import onnx

    data = (onnx_exports("cnn")[1] / "model.onnx").read_bytes()
    onnx.checker.check_model(onnx.load_from_string(data))
    assert {entry.key for entry in onnx.load_from_string(data).metadata_props} == {"dad", "dad.policy", "dad.sha256"}
    path = tmp_path / "model.onnx"
    generator = np.random.default_rng(0)
    for byte in [*generator.integers(0, len(data), 20), len(data) - 1, len(data) - 64, len(data) - 65, len(data) - 80]:
        path.write_bytes(data[:byte] + bytes([data[byte] ^ 1 << int(generator.integers(8))]) + data[byte + 1 :])
        with pytest.raises(UserError, match="damaged|readable"):
            load(path)
        if byte < len(data) - 80 or byte >= len(data) - 64:
            with pytest.raises(ValueError, match="damaged"):
                predict_onnx.Depth(path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError):
        load(path)


def test_the_code_on_the_card_runs_without_this_package_and_gives_our_map(onnx_exports, tmp_path):
    """As printed, in a process of its own that cannot import dad or torch."""
    run, folder, _ = onnx_exports("cnn")
    Image.fromarray(drawn(77, 130, 7)).save(tmp_path / "photo.jpg")
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1].replace(
        "FOLDER", str(folder)
    )
    before, after = (
        "import sys\nsys.modules['dad'] = sys.modules['torch'] = None\n",
        "\nimport numpy\nnumpy.save('found.npy', depth)",
    )
    subprocess.run([sys.executable, "-c", before + code + after], cwd=tmp_path, check=True)
    expected = load(run)(tmp_path / "photo.jpg")
    found = np.load(tmp_path / "found.npy")
    assert (found.shape, found.dtype) == (expected.shape, np.float32)
    assert np.abs(found - expected).max() <= 1e-4 * expected.max()


def test_the_code_beside_the_graph_writes_maps(onnx_exports, tmp_path):
    Image.fromarray(drawn(50, 90, 8)).save(tmp_path / "photo.png")
    subprocess.run([sys.executable, onnx_exports("hybrid")[1] / "predict_onnx.py", tmp_path / "photo.png"], check=True)
    assert np.load(tmp_path / "photo.npy").shape == (50, 90)


@pytest.mark.parametrize("fit", ["lower", "upper", "minimal", "square"])
def test_the_code_beside_the_graph_sizes_images_as_we_do(fit):
    random = np.random.default_rng(0)
    for height, width in random.integers(20, 900, (60, 2)):
        expected = network_size(height, width, 112, 16, fit)
        assert predict_onnx.network_size(height, width, 112, 16, fit) == expected


@pytest.mark.parametrize(("kernel", "mode"), [("cubic", "bicubic"), ("aligned", "bilinear")])
def test_the_code_beside_the_graph_resizes_as_pytorch_does(kernel, mode):
    values = np.random.default_rng(1).random((9, 14), dtype=np.float32)
    for size in ((9, 14), (20, 31), (4, 5), (1, 14), (9, 30)):
        found = predict_onnx.resample(values, *size, getattr(predict_onnx, kernel))
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(values)[None, None], size=size, mode=mode, align_corners=mode == "bilinear"
        )
        np.testing.assert_allclose(found, expected[0, 0].numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["hybrid", "patch", "beit", "vit", "swin", "cnn", "resnext"])
def test_an_onnx_export_is_read_back_and_scored(onnx_exports, tmp_path, scene_folders, kind):
    run, folder, _ = onnx_exports(kind)
    picture = drawn(60, 100, 3)
    for place in (folder, folder / "model.onnx"):
        again, expected = load(place), load(run)(picture)
        assert np.abs(again(picture) - expected).max() <= 1e-4 * np.abs(expected).max()
        assert (again.kind, again.policy) == (load(run).kind, load(run).policy)
    written = evaluate_to_files(
        benchmarks=[("scenes-indoor", scene_folders["indoor"])],
        out=tmp_path / "s.csv",
        model=str(folder),
        protocols=["marigold"],
    )
    assert written["results"][0]["images"] == 5


def test_what_an_onnx_file_can_not_do_is_said_in_one_line(onnx_exports, runs, tmp_path):
    _, folder, _ = onnx_exports("hybrid")
    with pytest.raises(UserError, match="multiples of the patch, 8"):
        load(folder).network(torch.zeros(1, 3, 60, 64))
    with pytest.raises(UserError, match="this Swin network takes 64x64 only"):
        load(onnx_exports("swin")[1]).network(torch.zeros(1, 3, 128, 64))
    with pytest.raises(UserError, match="no network to train or to export again"):
        load_network(folder / "model.onnx")
    with pytest.raises(UserError, match="run on the CPU here"):
        load(folder, device="cuda")
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a readable ONNX file"):
        load(tmp_path / "x.onnx")
    for kind in ("genpercept", "da3"):
        with pytest.raises(
            UserError, match="not exported to ONNX: they see images that .* rounded to 8 bits"
        ) as caught:
            export(runs(kind, 56), tmp_path / kind, form="onnx")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / kind).exists()


@pytest.mark.parametrize(
    ("name", "said"), [("vit-small", "dynamic quantisation"), ("midas-small", "static quantisation")]
)
def test_eight_bits_are_smaller_and_their_loss_is_measured(tmp_path, name, said):
    parities = export(f"zoo/{name}", tmp_path / "int8", form="onnx-int8")
    assert [parity.what.partition(",")[0] for parity in parities] == ["onnxruntime"] * 5
    assert max(parity.difference for parity in parities) > 1e-4, "otherwise nothing was quantised"
    assert max(parity.mean for parity in parities) < 0.1
    facts = json.loads((tmp_path / "int8" / "facts.json").read_text())
    loss = facts["loss"]
    assert loss["how"].startswith(said)
    assert loss["bytes"]["8 bits"] < loss["bytes"]["float32"]
    means = loss["accuracy"]["means"]
    assert 0 < means["source"]["abs_rel"] < 0.6
    assert means["8 bits"]["abs_rel"] != means["source"]["abs_rel"]
    assert abs(means["8 bits"]["abs_rel"] - means["source"]["abs_rel"]) < 0.05
    card = (tmp_path / "int8" / "README.md").read_text()
    assert f"| 8 bits | {means['8 bits']['abs_rel']:.4f} |" in card
    assert load(tmp_path / "int8")(drawn(50, 60, 0)).shape == (50, 60)
    assert sorted(path.name for path in (tmp_path / "int8").iterdir()) == [
        "README.md", "facts.json", "model.onnx", "parity.json", "predict_onnx.py"
    ]  # fmt: skip


def test_pairs_of_tokens_read_the_rows_that_timm_says():
    for grid in ((3, 5), (5, 2), (1, 1)):
        table = torch.randn((2 * grid[0] - 1) * (2 * grid[1] - 1) + 3)
        assert torch.equal(table[pairs(grid, torch.device("cpu"))], table[gen_relative_position_index(grid)])


def test_bicubic_matrix_is_pytorchs_interpolation():
    table = torch.randn(1, 1, 9, 1)
    for outputs in (3, 9, 14):
        step = torch.tensor(9 / (outputs + 0.1))
        factor = ((outputs + 0.1) / 9, 1.0)
        expected = torch.nn.functional.interpolate(table, scale_factor=factor, mode="bicubic")
        torch.testing.assert_close(bicubic_matrix(outputs, 9, step) @ table[0, 0], expected[0, 0], rtol=0, atol=1e-5)
