import io
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from dad.data.manifest import open_photos
from dad.data.photos import decode, image_size, measure
from dad.errors import UserError

# EXIF orientation -> what a viewer does to the stored array (the standard's table, as numpy)
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied_to_pixels_and_size(kind, orientation, encoded, pixels):
    stored, exif = pixels(1), Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    data = encoded(stored, kind, exif=exif, **options)
    image = decode(data)
    expected = UPRIGHT[orientation](stored)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= (6 if kind == "JPEG" else 0)
    with Image.open(io.BytesIO(data)) as opened:
        assert measure(data) == image_size(opened) == (image.shape[1], image.shape[0])


def test_grey_alpha_palette_and_16_bit_become_rgb(encoded, pixels):
    grey = pixels(2)[..., 0]
    assert np.array_equal(decode(encoded(grey)), np.stack([grey] * 3, -1))
    deep = grey.astype(np.uint16) * 257
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decode(encoded(deep, kind)), np.stack([grey] * 3, -1))
    alpha = np.full((*grey.shape, 1), 255, np.uint8)
    alpha[:5] = 0
    image = decode(encoded(np.concatenate([pixels(2), alpha], -1)))
    assert (image[:5] == 255).all()  # laid over white
    assert np.array_equal(image[5:], pixels(2)[5:])
    few = (pixels(2) // 128) * 255
    buffer = io.BytesIO()
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE).save(buffer, "PNG")
    assert np.array_equal(decode(buffer.getvalue()), few)


def test_floating_point_images_are_refused(encoded):
    with pytest.raises(ValueError, match="no agreed brightness"):
        decode(encoded(np.ones((4, 4), np.float32), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_cut_file_is_noticed_when_measured(kind, encoded, pixels):
    data = encoded(pixels(3, 200, 200), kind)
    assert measure(data) == (200, 200)
    with pytest.raises(Exception, match=r"truncated|broken"):
        measure(data[: len(data) * 2 // 3])


def test_a_pickled_collection_reads_the_same_pixels(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))
    copy = pickle.loads(pickle.dumps(photos))
    assert copy.ids == photos.ids
    for i in range(len(photos)):
        image = photos.read(i)
        assert image.dtype == np.uint8
        assert image.shape == (photos.size(i)[1], photos.size(i)[0], 3)
        assert np.array_equal(image, copy.read(i))
        assert np.array_equal(image, np.asarray(Image.open(photos.root / photos.id(i))))


def test_a_changed_photo_is_named(make_folder, photo_files, encoded, pixels):
    root = make_folder(photo_files)
    photos = open_photos(root)
    for data, reason in ((b"", "0 of"), (encoded(pixels(1, 7, 9), "JPEG", quality=100), "")):
        (root / photos.id(4)).write_bytes(data)
        with pytest.raises(UserError, match=f"{photos.id(4)}.*{reason}"):
            photos.read(4)
    (root / photos.id(5)).unlink()
    with pytest.raises(UserError, match=f"{photos.id(5)}.*not there"):
        photos.read(5)


def test_a_subset_larger_than_the_collection_is_refused(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))
    for n in (0, 13):
        with pytest.raises(UserError, match="from 1 to 12"):
            photos.subset(n)


def test_a_photo_exchanged_for_one_of_equal_size_is_noticed(make_folder, encoded, pixels):
    """The manifest says which photos they were; equal sizes, and here even equal times, do not hide another content."""
    root = make_folder({f"{i}.bmp": encoded(pixels(i), "BMP") for i in range(3)})
    photos = open_photos(root)
    photos.read(0)
    path = root / photos.id(1)
    status = path.stat()
    path.write_bytes(encoded(pixels(7), "BMP"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(UserError, match=f"{photos.id(1)}.*sha256"):
        photos.read(1)
    (root / photos.id(0)).write_bytes(encoded(pixels(8), "BMP"))  # after it was read once: its time has changed
    os.utime(root / photos.id(0), ns=(0, 0))
    with pytest.raises(UserError, match="sha256"):
        photos.read(0)
    assert photos.read(2).shape == (30, 40, 3)


@pytest.mark.timeout(30)
def test_a_photo_that_became_a_pipe_is_not_waited_for(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))
    (photos.root / photos.id(0)).unlink()
    os.mkfifo(photos.root / photos.id(0))
    with pytest.raises(UserError, match="no regular file"):
        photos.read(0)
