"""What estimators may be called with, and what they give back."""

import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

from dad.errors import UserError
from dad.models import load


@pytest.fixture(scope="module")
def estimator():
    return load("zoo/vit-small")


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_one_image_in_every_form_gives_one_map(estimator, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    expected = estimator(batch)
    assert isinstance(expected, torch.Tensor)
    assert expected.shape == (1, 1, 60, 90)
    forms = (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(pixels), pixels, pixels / 255)
    for form in forms:
        found = estimator(form)
        assert isinstance(found, np.ndarray)
        assert (found.shape, found.dtype) == ((60, 90), np.float32)
        np.testing.assert_allclose(found, expected[0, 0].numpy(), rtol=0, atol=1e-5)


def test_images_are_taken_upright_and_as_rgb(estimator, pixels, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    upright = np.rot90(pixels, -1)
    np.testing.assert_array_equal(estimator(tmp_path / "turned.png"), estimator(np.ascontiguousarray(upright)))
    np.testing.assert_array_equal(estimator(Image.open(tmp_path / "turned.png")), estimator(tmp_path / "turned.png"))
    grey = Image.fromarray(pixels[..., 0])
    np.testing.assert_array_equal(estimator(grey), estimator(np.repeat(pixels[..., :1], 3, axis=2)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((60, 90), np.uint8), r"shape \(H,W,3\), got \(60, 90\)"),
        (np.zeros((60, 90, 3), np.int64), "uint8 or float"),
        (np.full((60, 90, 3), 255.0), "divide 8-bit values by 255"),
        (np.full((60, 90, 3), np.nan), r"values in \[0,1\]"),
        (np.zeros((0, 90, 3)), r"values in \[0,1\]"),
        (7, "got int"),
        ("nowhere.jpg", "nowhere.jpg cannot be read: No such file"),
        (torch.zeros(3, 60, 90), r"shape \(B,3,H,W\), got \(3, 60, 90\)"),
        (Image.fromarray(np.zeros((8, 8), np.float32)), "floating-point image"),
    ],
)
def test_anything_else_is_refused_in_one_line(estimator, given, said):
    with pytest.raises(UserError, match=said) as caught:
        estimator(given)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_refused_in_one_line(estimator, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:60])
    with pytest.raises(UserError, match="cut.png is not a readable image"):
        estimator(tmp_path / "cut.png")


def test_a_pipe_is_refused_and_never_waited_for(estimator, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png cannot be read: it is no regular file"):
        estimator(tmp_path / "pipe.png")
