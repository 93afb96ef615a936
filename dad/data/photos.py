"""Unlabelled photos: decoding to RGB, and a collection that reads them from a folder or from inside tar shards.

A collection is made by `dad.data.manifest.open_photos`, from a manifest or straight from a folder.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dad.data.remote import RemoteRoot, is_remote
from dad.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""File name endings taken for photos, in any mix of upper and lower case."""

OTHER_PICTURES = (
    ".heic",
    ".heif",
    ".avif",
    ".gif",
    ".jxl",
    ".jp2",
    ".j2k",
    ".svg",
    ".psd",
    ".xcf",
    ".ppm",
    ".pgm",
    ".tga",
    ".exr",
    ".hdr",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".raf",
    ".orf",
    ".rw2",
    ".raw",
)
"""Endings of pictures that are not read: a verb that searches a folder names them instead of passing over them."""

_ORIENTATION = 0x0112  # the EXIF tag; values 5 to 8 exchange width and height
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes) -> np.ndarray:
    """Decode an image file's bytes to uint8 (H,W,3) RGB, upright (EXIF orientation applied).

    Grey is repeated over the channels; 16-bit grey is scaled from 0..65535 to 0..255; palettes and CMYK are
    converted; transparency is laid over white; of an animation the first frame is taken. Colour profiles are not
    applied. Floating-point images, and 32-bit ones with values outside 0..65535, have no agreed brightness and are
    refused with ValueError. Damaged data raises whatever Pillow raises for it.
    """
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return upright_rgb(image)


def upright_rgb(image: Image.Image) -> np.ndarray:
    """An opened image as uint8 (H,W,3), by the rules of `decode`."""
    # not ImageOps.exif_transpose: it also re-writes the EXIF block, and fails on a damaged one of a sound photo
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return np.array(_rgb(image if turn is None else image.transpose(turn)))


def measure(data: bytes) -> tuple[int, int]:
    """(width, height) of `decode(data)`, in pixels, having read the image to its end: a cut or damaged file raises.

    JPEG, the format of the large photo sets, is decoded at an eighth of its size: the whole file is parsed, but faster.
    """
    with Image.open(io.BytesIO(data)) as image:
        if image.format in ("JPEG", "MPO"):
            size = image_size(image)
            image.draft(None, (1, 1))
            image.load()
            return size
    height, width, _ = decode(data).shape
    return width, height


def image_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened, not yet loaded image once it is upright."""
    width, height = image.size
    # Pillow's TIFF reader gives the upright size at once; its PNG reader decodes all pixels to look for late EXIF
    upright = image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info)
    turned = not upright and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    return (height, width) if turned else (width, height)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("a 32-bit image with values outside 0..65535 has no agreed brightness")
        return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("a floating-point image has no agreed brightness")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo: `id` is its path under the root, or "shard.tar/member"; `sha256` is of the image file's bytes.

    `width` and `height` are those of the upright image. The bytes lie in `file` (relative to the root) from `offset`
    on, `bytes` of them; for a photo outside a shard `file` is the id.
    """

    id: str
    sha256: str
    width: int
    height: int
    file: str
    offset: int
    bytes: int


Root = Path | RemoteRoot
"""Where the photos of a collection lie: a folder, or a URL."""


def root_of(root: str | os.PathLike[str] | RemoteRoot) -> Root:
    """A root as a person writes it: with `://` in it a URL, else a path."""
    if isinstance(root, RemoteRoot):
        return root
    return RemoteRoot(str(root)) if is_remote(root) else Path(root)


def read_bytes(root: Root, file: str, offset: int, size: int) -> bytes:
    """Read `size` bytes of root/file from `offset` on; ValueError if the file ends before, or is not a regular one."""
    if isinstance(root, RemoteRoot):
        data = (root / file).read(offset, size)
    else:
        path = root / file
        if path.exists() and not path.is_file():
            raise ValueError("it is no regular file")  # opening a FIFO would wait for ever
        with open(path, "rb") as stream:
            stream.seek(offset)
            data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"only {len(data)} of {size} bytes are there")
    return data


class Photos:
    """A collection of photos in its seeded order, so that `subset(n)` is nested in every larger subset.

    Every read opens and closes its file: the collection holds no handles and may be pickled or forked into
    data-loading processes. `unreadable` names the photos that were left out when it was made, with the reason.
    """

    def __init__(
        self, records: Iterable[Photo], root: Root, *, seed: int, unreadable: Mapping[str, str] | None = None
    ) -> None:
        self.records = sorted(records, key=lambda photo: order_key(photo.id, seed))
        self.root = root_of(root)
        self.seed = seed
        self.unreadable = dict(unreadable or {})
        self._room = 0
        self._kept: dict[int, np.ndarray] = {}
        self._verified: dict[int, tuple[int, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the remembered pixels: a data-loading process starts empty."""
        return self.__dict__ | {"_kept": {}}

    def remembering(self, megabytes: int) -> "Photos":
        """The same photos, of which as many stay decoded in memory as fit in `megabytes`. What is read is the same."""
        again = Photos(self.records, self.root, seed=self.seed, unreadable=self.unreadable)
        again._room = megabytes * 2**20
        return again

    def __len__(self) -> int:
        return len(self.records)

    @property
    def ids(self) -> list[str]:
        """All ids, in the collection's order."""
        return [photo.id for photo in self.records]

    def id(self, i: int) -> str:
        """The id of photo `i`."""
        return self.records[i].id

    def size(self, i: int) -> tuple[int, int]:
        """(width, height) of photo `i` in pixels, upright, without reading it."""
        return self.records[i].width, self.records[i].height

    def read(self, i: int) -> np.ndarray:
        """Photo `i` as uint8 (H,W,3) RGB, upright; UserError naming it when it is gone, damaged or not the photo that
        was listed.

        Its bytes are held against `sha256` when it is read first, and again whenever its file's size or time has
        changed since.
        """
        if i in self._kept:
            return self._kept[i]
        photo = self.records[i]
        try:
            data = self._bytes(i)
            image = decode(data)
        except Exception as error:  # Pillow raises almost anything for damaged data
            reason = reason_of(error)
        else:
            if image.shape[:2] == (photo.height, photo.width):
                if image.nbytes <= self._room:
                    image.flags.writeable = False  # it is handed out again
                    self._kept[i] = image
                    self._room -= image.nbytes
                return image
            reason = f"it has {image.shape[1]} x {image.shape[0]} pixels, not {photo.width} x {photo.height}"
        raise UserError(
            f"photo {photo.id} under {self.root} is not what it was when listed ({reason}): make the manifest again"
        )

    def _bytes(self, i: int) -> bytes:
        """The file's bytes; ValueError where they are not those of the manifest."""
        photo = self.records[i]
        data = read_bytes(self.root, photo.file, photo.offset, photo.bytes)
        seen = None
        if isinstance(self.root, Path):
            status = os.stat(self.root / photo.file)
            seen = (status.st_size, status.st_mtime_ns)
        # what a server has of times is another request: there, every read is held against the manifest
        if seen is None or self._verified.get(i) != seen:
            if hashlib.sha256(data).hexdigest() != photo.sha256:
                raise ValueError("its bytes have another sha256")
            if seen is not None:
                self._verified[i] = seen
        return data

    def subset(self, n: int) -> "Photos":
        """The first `n` photos of the seeded order; UserError when there are fewer."""
        if not 1 <= n <= len(self):
            raise UserError(f"a subset of {n} photos was asked for: give a number from 1 to {len(self)} ({self.root})")
        return Photos(self.records[:n], self.root, seed=self.seed, unreadable=self.unreadable)

    def digest(self) -> str:
        """Hex sha256 over the sorted lines "id sha256": equal for equal photos of equal ids, whatever their order."""
        return digest(self.records)


def order_key(photo_id: str, seed: int | str) -> str:
    """The sort key of the seeded order: a pure function of id and seed, so adding photos never reorders the others."""
    return hashlib.sha256(f"{seed}:{photo_id}".encode()).hexdigest()


def digest(records: Iterable[Photo]) -> str:
    """See `Photos.digest`."""
    lines = sorted(f"{photo.id} {photo.sha256}\n" for photo in records)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def reason_of(error: Exception) -> str:
    """An exception as one short line without addresses of objects in it."""
    if isinstance(error, FileNotFoundError):
        return "the file is not there"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    return " ".join(str(error).split()) or type(error).__name__
