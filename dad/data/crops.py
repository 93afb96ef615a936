"""Crops: squares of photos and patches of the squares, each a pure function of (photo id, draw index, seed).

Paper, section 4.1: a random square of `min_crop` to the photo's short side is resized to the network's input; for
local-global distillation N overlapping patches of the input size are taken from that square at the photo's full
resolution.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from dad.data.photos import Photo, Photos, order_key
from dad.errors import UserError
from dad.files import sha256_json

CONTEXTS = ("square", "center")
_RULE = 1  # raised whenever the same plan would draw other pixels: old labels must not be taken for new ones


class Views(NamedTuple):
    """The pixels of one crop: square float32 (3,S,S) and patches float32 (N,3,S,S), RGB in [0,1]; boxes float32 (N,4).

    A box is x0, y0, x1, y1 of a patch in the square as the student sees it (flipped if the crop is), in photo pixels:
    the whole square is 0, 0, side, side. To cut the patch out of a student's (S,S) map, scale the box by S / side.
    """

    square: np.ndarray
    patches: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Crop:
    """One drawn crop: the square's left, top and side in photo pixels, and whether it is mirrored after cutting.

    `patches` are the lefts and tops of squares of `patch_side` photo pixels, in the square before it is mirrored.
    """

    x: int
    y: int
    side: int
    flip: bool
    patch_side: int
    patches: tuple[tuple[int, int], ...]

    def boxes(self) -> np.ndarray:
        """The patches' boxes float32 (N,4): x0, y0, x1, y1 in the (flipped) square, in photo pixels; see `Views`."""
        corners = np.array(self.patches, dtype=np.float32).reshape(-1, 2)
        if self.flip:
            corners[:, 0] = self.side - self.patch_side - corners[:, 0]
        return np.concatenate([corners, corners + np.float32(self.patch_side)], axis=1)


@dataclass(frozen=True)
class CropPlan:
    """How crops are drawn. Equal plans draw equal crops.

    Plans that differ only in `patches` draw the same squares, and with any `context` the same flips: modes stay paired.

    seed: any integer >= 0. min_crop: least side of a square, in photo pixels (644 in the paper). size: side of every
    view, the network's input (560 in the paper). patches: N, 0 for none. flip: whether half of the crops are mirrored.
    context: "square" draws the square at random; "center" takes the largest central square (the paper's baseline "with
    no random cropping").
    """

    seed: int
    min_crop: int
    size: int
    patches: int = 4
    flip: bool = True
    context: Literal["square", "center"] = "square"

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("min_crop", 1), ("size", 1), ("patches", 0)):
            if getattr(self, name) < least:
                raise UserError(f"crop plan: {name} is {getattr(self, name)}, it must be at least {least}")
        if self.context not in CONTEXTS:
            raise UserError(f"crop plan: context is {self.context!r}, allowed are {', '.join(CONTEXTS)}")

    def canonical(self) -> dict[str, Any]:
        """Everything that decides the pixels, as plain values: the identity of the plan."""
        return {**asdict(self), "filter": "pillow-bicubic", "rule": _RULE}

    def hash(self) -> str:
        """8 hex digits of the canonical form's sha256."""
        return sha256_json(self.canonical())[:8]

    def draw(self, photo_id: str, draw: int, width: int, height: int) -> Crop:
        """The crop of draw number `draw` from a photo of `width` x `height` pixels.

        Raises UserError when the short side is below `min_crop`.

        The side is uniform over the integers from `min_crop` to the short side, the position uniform over those inside
        the photo. Patches are stratified: with g = ceil(sqrt(N)) and d = square side - patch side, the range [-d/2,
        3d/2] of corner positions is cut into g x g cells, each patch is drawn uniformly in a cell of its own (all cells
        in reading order when N = g * g, else N random ones) and moved to the nearest position in [0, d]. Drawing beyond
        the range is what covers the square: purely random positions almost never reach its border. For N = 4 each patch
        belongs to a corner and touches each of its two edges half of the time, and the middle of a square of up to
        twice the patch is always covered. A square smaller than `size` has patches of its own size.
        """
        short = min(width, height)
        if short < self.min_crop:
            raise _too_small(photo_id, width, height, self.min_crop)
        uniform = _uniforms(photo_id, draw, self.seed)
        # four numbers first, whatever the plan: so plans that differ in context or patches still agree in the rest
        for_side, for_x, for_y, for_flip = uniform.random(4)
        side = short if self.context == "center" else self.min_crop + int(for_side * (short - self.min_crop + 1))
        x, y = int(for_x * (width - side + 1)), int(for_y * (height - side + 1))
        if self.context == "center":
            x, y = (width - side) // 2, (height - side) // 2
        patch_side = min(self.size, side)
        patches = _patch_corners(uniform, self.patches, side - patch_side)
        return Crop(x, y, side, self.flip and bool(for_flip < 0.5), patch_side, patches)

    def views(self, image: np.ndarray, crop: Crop, *, patches: bool = True, eight_bit: bool = False) -> Views:
        """Cut a crop out of its photo, uint8 (H,W,3) RGB; without `patches` their pixels are left out, (0,3,S,S), not
        their boxes. `eight_bit`: the pixels stay uint8, a quarter of the memory; `unit` makes of them what they are
        otherwise.

        Regions are cut first and then resized by Pillow's bicubic filter, which averages when it shrinks, so no pixel
        outside a region enters its view; a region that has the size already is taken as it is.
        """
        height, width, channels = image.shape
        assert (image.dtype, channels) == (np.uint8, 3), (image.dtype, image.shape)
        assert max(crop.x + crop.side - width, crop.y + crop.side - height) <= 0, (crop, image.shape)
        square = image[crop.y : crop.y + crop.side, crop.x : crop.x + crop.side]
        end = crop.patch_side
        cut = [self._view(square[y : y + end, x : x + end], crop.flip) for x, y in crop.patches] if patches else []
        empty = np.empty((0, 3, self.size, self.size), np.uint8)
        pixels = self._view(square, crop.flip), np.stack(cut) if cut else empty
        if not eight_bit:
            pixels = pixels[0].astype(np.float32) / np.float32(255), pixels[1].astype(np.float32) / np.float32(255)
        return Views(*pixels, crop.boxes())

    def _view(self, region: np.ndarray, flip: bool) -> np.ndarray:
        if region.shape[:2] != (self.size, self.size):
            region = np.asarray(Image.fromarray(region).resize((self.size, self.size), Image.Resampling.BICUBIC))
        if flip:
            region = region[:, ::-1]
        return np.ascontiguousarray(region.transpose(2, 0, 1))


def unit(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels as networks take them, float32 in [0,1]: 8-bit ones divided by 255, on their device; others unchanged."""
    if pixels.dtype != torch.uint8:
        return pixels
    # a tensor, since by a number a GPU divides by multiplying with its rounded reciprocal
    return pixels.float() / torch.full((), 255.0, device=pixels.device)


def _too_small(photo_id: str, width: int, height: int, min_crop: int) -> UserError:
    return UserError(
        f"photo {photo_id} of {width} x {height} pixels is too small for min_crop {min_crop}: leave it out or lower "
        "min_crop"
    )


def _uniforms(photo_id: str, draw: int, seed: int) -> np.random.Generator:
    """A generator of its own for every (photo, draw, seed): Philox keyed by their hash."""
    key = hashlib.sha256(json.dumps([seed, photo_id, draw]).encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))


def _patch_corners(uniform: np.random.Generator, count: int, slack: int) -> tuple[tuple[int, int], ...]:
    """`count` patch positions (left, top), each in 0..slack; the rule is in `CropPlan.draw`."""
    if count == 0:
        return ()
    per_axis = math.isqrt(count - 1) + 1  # ceil of the square root
    offsets = uniform.random((count, 2))
    cells = np.arange(per_axis**2)
    if count < len(cells):
        cells = np.argsort(uniform.random(len(cells)))[:count]
    column_row = np.stack([cells % per_axis, cells // per_axis], axis=1)
    positions = -slack / 2 + (column_row + offsets) * (2 * slack / per_axis)
    return tuple((int(x), int(y)) for x, y in np.clip(np.floor(positions + 0.5), 0, slack))


def usable(photos: Photos, min_crop: int) -> tuple[Photos, list[Photo]]:
    """Split photos into those large enough for `min_crop` and the records of those too small, both in order.

    Take subsets after the split, so that a subset of n has n usable photos; they stay nested. UserError when all are
    too small.
    """
    small = [photo for photo in photos.records if min(photo.width, photo.height) < min_crop]
    if len(small) == len(photos):
        largest = max((min(photo.width, photo.height) for photo in small), default=0)
        raise UserError(
            f"all {len(small)} photos under {photos.root} are too small for min_crop {min_crop}: the largest short "
            f"side is {largest}, set min_crop to at most that"
        )
    kept = [photo for photo in photos.records if min(photo.width, photo.height) >= min_crop]
    return Photos(kept, photos.root, seed=photos.seed, unreadable=photos.unreadable), small


class SampleOrder:
    """The endless training stream: position i -> (photo index, draw), a pure function of i, the ids and the seed.

    Every epoch passes over all photos once, in an order of its own; the draw index is the number of the epoch. The
    order depends on the ids, not on where they stand in the list. (One epoch's permutation is remembered between calls;
    that changes nothing but the speed.)
    """

    def __init__(self, photo_ids: Sequence[str], seed: int) -> None:
        if not photo_ids:
            raise UserError("a training stream needs at least one photo")
        self._ids = list(photo_ids)
        self._seed = seed
        self._epoch = -1
        self._permutation: list[int] = []

    def __call__(self, position: int) -> tuple[int, int]:
        """(index into the photo ids, draw) of stream position `position` >= 0."""
        epoch, place = divmod(position, len(self._ids))
        if epoch != self._epoch:
            # both numbers stand in the key, so no two pairs of seed and epoch share an order
            keys = [order_key(photo_id, f"{self._seed}/{epoch}") for photo_id in self._ids]
            self._permutation = sorted(range(len(keys)), key=keys.__getitem__)
            self._epoch = epoch
        return self._permutation[place], epoch


class CropStream(Dataset):
    """Positions `start` to `stop` (exclusive) of the training stream, the same for any number of loading processes.

    An item is a dict: square float32 (3,S,S), patches (N,3,S,S), boxes (N,4) (see `Views`), side int (photo pixels),
    index int (position in the stream), draw int, photo_id str. Raises UserError when a photo is too small for the plan
    (take `usable` first). `patches=False` leaves the patches' pixels out, which nothing needs once they are labelled.
    `eight_bit`: see `CropPlan.views`.
    """

    def __init__(
        self, photos: Photos, plan: CropPlan, start: int, stop: int, *, patches: bool = True, eight_bit: bool = False
    ) -> None:
        for photo in photos.records:
            if min(photo.width, photo.height) < plan.min_crop:
                raise _too_small(photo.id, photo.width, photo.height, plan.min_crop)
        self.photos, self.plan, self.patches, self.eight_bit = photos, plan, patches, eight_bit
        self.positions = range(start, stop)
        self.order = SampleOrder(photos.ids, plan.seed)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, i: int) -> dict[str, Any]:
        position = self.positions[i]
        which, draw = self.order(position)
        photo_id, (width, height) = self.photos.id(which), self.photos.size(which)
        crop = self.plan.draw(photo_id, draw, width, height)
        views = self.plan.views(self.photos.read(which), crop, patches=self.patches, eight_bit=self.eight_bit)
        tensors = {name: torch.from_numpy(value) for name, value in views._asdict().items()}
        return {**tensors, "side": crop.side, "index": position, "draw": draw, "photo_id": photo_id}
