"""What the five published benchmarks have in common: a list of samples over the files of a folder or of a tar."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dad.data.benchmarks.base import Sample
from dad.data.benchmarks.files import Files, open_files
from dad.data.photos import reason_of
from dad.errors import UserError
from dad.files import read_text

Maps = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One image of the list. `paths` are as listed, one per entry of `Listed.columns`.

    problem: why the line cannot be used; empty for a good one.
    """

    id: str
    paths: tuple[str, ...]
    problem: str = ""


class Listed:
    """Base of the readers. The list is a text file of prs-eth/Marigold's or aim-uofa/GenPercept's form, or made from
    the files.

    A line has one path per column, separated by white space, relative to the root; more columns are ignored. Files are
    looked for where the line says, and then where the other layouts of the release put them (`_places`).

    Opening fails only when there is nothing to score. Whatever is wrong with single images (a bad line, a missing,
    damaged or ill-encoded file) is raised when the image is read, as a UserError that names it; `problems` holds what
    is wrong with the whole, such as a tar that was cut short. One image is in memory at a time.
    """

    name: ClassVar[str]
    min_depth: ClassVar[float]
    max_depth: ClassVar[float]
    align_max_res: ClassVar[int | None] = None
    columns: ClassVar[tuple[str, ...]] = ("rgb", "depth")
    known: ClassVar[int]
    """How many images the published list has."""
    groups: ClassVar[dict[str, int]] = {}
    """How many of them are in each part of the data set, where the release has parts (`group`)."""
    archives: ClassVar[tuple[str, ...]] = ()
    """What tars of this benchmark are called upstream."""
    layout: ClassVar[str]
    """What the root must hold, in words."""
    advice: ClassVar[str]
    """Where the data is obtained."""

    def __init__(self, root: Path, *, list_file: Path | None = None) -> None:
        self.root = Path(root)
        self.list_file = Path(list_file) if list_file else None
        self.files = self._open()
        self.unlabelled = 0
        """Lines of the list that were left out because their image has no ground truth."""
        self.problems = [self.files.problem] if self.files.problem else []
        self._entries = self._from_list(self.list_file) if self.list_file else self._from_files()

    @property
    def label(self) -> str:
        """The name, followed by every option that changes what is scored."""
        return self.name

    def __len__(self) -> int:
        return len(self._entries)

    def image(self, index: int) -> str:
        """The id of sample `index`: the RGB file's path as listed, or the place of a bad line."""
        return self._entries[index].id

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self._entries):
            raise IndexError(index)
        entry = self._entries[index]
        if entry.problem:
            raise UserError(entry.problem)
        rgb, depth, mask = self._read(entry)
        aliases = tuple(place for place in self._places("rgb", entry.id) if place != entry.id)
        return Sample(entry.id, self.scene(entry.id), rgb, depth, mask, aliases=aliases)

    def scene(self, image: str) -> str:
        """The group of images that are not independent of each other, from an image's id."""
        raise NotImplementedError

    def group(self, image: str) -> str:
        """The part of the data set that an image belongs to, one of `groups`."""
        return ""

    def missing(self) -> list[str]:
        """What `data check` names: bad lines, and files that are listed and not there."""
        lines = []
        for entry in self._entries:
            if entry.problem:
                lines.append(entry.problem)
                continue
            pairs = zip(self.columns, entry.paths, strict=False)
            lines += [f"{column} {path}" for column, path in pairs if self._place(column, path) is None]
        return lines

    def _open(self) -> Files:
        return open_files(self.root, self.archives)

    def _generate(self) -> list[Entry]:
        """The list made from the files."""
        raise NotImplementedError

    def _places(self, column: str, path: str) -> list[str]:
        """Where the file of a column can be: the listed path, then those of other layouts."""
        return [path]

    def _place(self, column: str, path: str) -> str | None:
        """Where the file is, or None."""
        return next((place for place in self._places(column, path) if self.files.exists(place)), None)

    def _read(self, entry: Entry) -> Maps:
        rgb = self._load(entry, "rgb", decode_rgb)
        depth = self._load(entry, "depth", self._decode_depth)
        self._require_size(entry, rgb, depth)
        return rgb, depth, self._in_range(depth)

    def _decode_depth(self, data: bytes) -> NDArray[np.float32]:
        """Metres (H,W) of a depth file, 0 where there is none; ValueError for a wrong encoding."""
        raise NotImplementedError

    def _load(self, entry: Entry, column: str, decode: Callable[[bytes], T]) -> T:
        """Read and decode one file of an image; a UserError names the image, the file and what is wrong."""
        path = entry.paths[self.columns.index(column)]
        place = self._place(column, path)
        where = f"image {entry.id}: its {column} file {self.files.root}/{place or path}"
        if place is None:
            raise UserError(f"{where} is not there")
        try:
            return decode(self.files.read(place))
        except Exception as error:  # Pillow and numpy raise almost anything for damaged data
            raise UserError(f"{where} cannot be used ({reason_of(error)})") from None

    def _in_range(self, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Valid depth: strictly inside the range, as prs-eth/Marigold `src/dataset/base_depth_dataset.py`."""
        mask: NDArray[np.bool_] = depth > self.min_depth
        mask &= depth < self.max_depth
        return mask

    def _require_size(self, entry: Entry, rgb: NDArray[Any], other: NDArray[Any], column: str = "depth") -> None:
        if rgb.shape[:2] != other.shape:
            raise UserError(
                f"image {entry.id}: rgb is {_size(rgb)}, its {column} is {_size(other)} pixels: sizes must be equal"
            )

    def _from_files(self) -> list[Entry]:
        entries = self._generate()
        if not entries:
            problem = f" ({self.files.problem})" if self.files.problem else ""
            raise UserError(f"no {self.name} images under {self.root}: {self.layout} is needed{problem}")
        return entries

    def _from_list(self, path: Path) -> list[Entry]:
        try:
            lines = read_text(path).split("\n")
        except UserError as error:
            raise UserError(f"the list {path} cannot be read ({error})") from None
        entries: list[Entry] = []
        seen: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            words = tuple(word.removeprefix("./") for word in line.split())
            if not words:
                continue
            if self._is_unlabelled(words):
                self.unlabelled += 1
                continue
            where = f"{path} line {number}"
            if len(words) < len(self.columns):
                problem = f"{where}: {len(words)} columns, needed are {' '.join(self.columns)}"
            elif words[0] in seen:
                problem = f"{where}: {words[0]} was listed before in line {seen[words[0]]}: list every image once"
            else:
                seen[words[0]], problem = number, self._misplaced(words[0], where)
            entries.append(Entry(where if problem else words[0], words[: len(self.columns)], problem))
        good = [entry for entry in entries if not entry.problem]
        if not good:
            raise UserError(
                f"{entries[0].problem if entries else f'the list {path} has no lines'}; no image is left to score"
            )
        if all(self._place("rgb", entry.paths[0]) is None for entry in good):
            raise UserError(
                f"none of the {len(good)} images listed in {path} is under {self.root}, first {good[0].id}: "
                "give the folder or tar that the list's paths start from"
            )
        return entries

    def _misplaced(self, image: str, where: str) -> str:
        """What is wrong with a listed path that has too few levels to tell its scene; empty for a good one."""
        try:
            self.scene(image)
        except IndexError:
            return f"{where}: {image} is not a path of {self.name}, which has {self.layout}"
        return ""

    def _is_unlabelled(self, words: tuple[str, ...]) -> bool:
        """Whether a line is one of an image without ground truth, which is not scored."""
        return False

    def _limited(self, entries: list[Entry]) -> list[Entry]:
        """Entries that are the published list only if there are not more of them; UserError if there are."""
        if len(entries) > self.known:
            raise UserError(
                f"{self.root} holds {len(entries)} labelled images, the list of {self.name} has {self.known} of them, "
                f"which the files cannot tell: give its list file (option --list), {self.advice}"
            )
        return entries


def decode_rgb(data: bytes) -> NDArray[np.uint8]:
    """Image bytes as uint8 (H,W,3), not turned by EXIF: ground truth belongs to the pixels as they are stored."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def decode_png16(data: bytes, steps_per_metre: float) -> NDArray[np.float32]:
    """A 16-bit grey PNG as float32 metres; ValueError for other formats, such as 8-bit copies made for looking at."""
    with Image.open(io.BytesIO(data)) as image:
        if image.format != "PNG" or image.mode not in ("I;16", "I"):
            raise ValueError(f"it is {image.format} of mode {image.mode}, depth must be a 16-bit grey PNG")
        # divided in float64, as upstream does, before it becomes float32
        return (np.asarray(image) / steps_per_metre).astype(np.float32)


def box(shape: tuple[int, ...], rows: slice, columns: slice) -> NDArray[np.bool_]:
    """A mask that is true inside a rectangle."""
    mask = np.zeros(shape, np.bool_)
    mask[rows, columns] = True
    return mask


def _size(array: NDArray[Any]) -> str:
    return " x ".join(str(length) for length in reversed(array.shape[:2]))
