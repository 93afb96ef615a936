"""RGB images with sensor depth or disparity, listed in a plain CSV manifest: the small benchmark anyone can make of own
data.

One row per pair. Columns that are needed:

    rgb     path of the image, relative to the CSV file; unique

    gt      path of a 16-bit grey PNG of the same size as the upright image; 0 = no ground truth

    kind    depth, or disparity (of stereo: larger = nearer, and depth is proportional to its inverse)

    scale   metres of depth, or any unit of disparity, per step of the PNG's values

Columns that are used when there; an empty field is as none:

    mask    path of an 8-bit grey PNG of the same size; what is not 0 is scored, where there is ground truth

    camera  path of a JSON file with fx, fy, cx and cy in pixels, or these four numbers with spaces between. Checked,
    but
            not needed: the scale of a prediction is fitted, and the metrics compare depth, not points

    name    for messages

    unit    m for depth

    scene   images of one scene are not independent; without it dataset and domain are taken

All others are ignored. docs/own_data.md shows an example.
"""

import csv
import io
import math
import posixpath
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dad.data.benchmarks.base import Sample
from dad.data.photos import decode, image_size, reason_of
from dad.errors import UserError
from dad.files import read_regular, read_text
from dad.pointcloud import read_camera

KINDS = ("depth", "disparity")
COLUMNS = ("rgb", "gt", "kind", "scale")
OPTIONAL = ("mask", "camera", "name", "unit", "scene", "dataset", "domain")


@dataclass(frozen=True)
class _Row:
    where: str  # the row as the user finds it, for messages
    rgb: str
    gt: str
    kind: str
    scale: float
    scene: str
    mask: str
    camera: str


class Samples:
    """The pairs of a CSV manifest; `root` is the folder of a manifest.csv, or a CSV file.

    Disparity becomes depth 1 / disparity, divided by its median over the image's valid pixels: a relative depth with
    median 1 (baseline and focal length are not asked for, and alignment and relative metrics do not need them); metrics
    in metres mean nothing for such a sample, and its `unit` says so. Paths, columns, encodings and sizes of all rows
    are checked when the benchmark is opened; pixels are read when a sample is. The first row with a file that is
    missing or of a wrong kind is refused when the benchmark is opened; `lenient` leaves it to the sample, as long as
    there is a row without.
    """

    name: str = "samples"
    min_depth: float = 1e-3
    max_depth: float = math.inf
    align_max_res: int | None = None

    def __init__(self, root: Path, *, lenient: bool = False) -> None:
        root = Path(root)
        self.manifest = root if root.suffix.lower() == ".csv" else root / "manifest.csv"
        self.root = self.manifest.parent
        self._rows = _read_rows(self.manifest)
        self._unusable: dict[str, UserError] = {}
        for row in self._rows:
            try:
                _check_files(self.root, row)
                _check_camera(self.root, row)
            except UserError as error:
                self._unusable[row.rgb] = error
                if not lenient or len(self._unusable) == len(self._rows):
                    raise

    def __len__(self) -> int:
        return len(self._rows)

    def image(self, index: int) -> str:
        """The id of sample `index`."""
        return self._rows[index].rgb

    @property
    def unusable(self) -> list[str]:
        """What is wrong with the files of single rows, where this was left to the samples (`lenient`)."""
        return [str(error) for error in self._unusable.values()]

    def paths(self) -> list[Path]:
        """Every file that is read: the manifest and what it lists, which can lie outside its folder."""
        names = [name for row in self._rows for name in (row.rgb, row.gt, row.mask) if name]
        return [self.manifest, *(self.root / name for name in names)]

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self._rows):
            raise IndexError(index)
        row = self._rows[index]
        if row.rgb in self._unusable:
            raise UserError(str(self._unusable[row.rgb]))
        try:
            name = row.rgb
            rgb = decode(read_regular(self.root / name))
            name = row.gt
            with Image.open(io.BytesIO(read_regular(self.root / name))) as image:
                values = np.asarray(image) * row.scale  # float64: the PNG's integers and the scale stay exact enough
            chosen = None
            if name := row.mask:
                with Image.open(io.BytesIO(read_regular(self.root / name))) as image:
                    chosen = np.asarray(image) != 0
        except Exception as error:  # Pillow raises almost anything for damaged data
            raise UserError(f"{row.where}: {self.root / name} cannot be read ({reason_of(error)})") from None
        if rgb.shape[:2] != values.shape:
            raise UserError(
                f"{row.where}: {row.rgb} is {rgb.shape[:2]}, {row.gt} is {values.shape}: sizes must be equal"
            )
        found = values > 0
        valid = found if chosen is None else found & chosen
        if row.kind == "disparity" and found.any():
            values[found] = 1 / values[found]
            values[found] /= np.median(values[valid if valid.any() else found])
        depth = values.astype(np.float32)
        mask = valid & (depth > self.min_depth)
        return Sample(row.rgb, row.scene, rgb, depth, mask, "m" if row.kind == "depth" else "relative")


def _read_rows(manifest: Path) -> list[_Row]:
    if not manifest.is_file():
        raise UserError(
            f"{manifest} does not exist: give a folder with a manifest.csv, or a CSV file, with columns "
            f"{', '.join(COLUMNS)}"
        )
    try:
        reader = csv.DictReader(io.StringIO(read_text(manifest), newline=""))
        # a line that is too short has None for what it lacks, one that is too long has the rest under None
        read = [(reader.line_num, line) for line in reader]
        lines = [(number, {name: line[name] or "" for name in line if name is not None}) for number, line in read]
        columns = reader.fieldnames or []
    except (UserError, csv.Error) as error:
        raise UserError(f"{manifest} is not a CSV text ({reason_of(error)})") from None
    if twice := sorted({column for column in columns if columns.count(column) > 1} & {*COLUMNS, *OPTIONAL}):
        raise UserError(f"{manifest}: column {', '.join(twice)} stands there twice")
    absent = [column for column in COLUMNS if column not in columns]
    if absent:
        raise UserError(f"{manifest}: column {', '.join(absent)} is missing, needed are {', '.join(COLUMNS)}")
    if not lines:
        raise UserError(f"{manifest} has no rows: give one per image")
    if longer := [number for number, line in read if any(cell.strip() for cell in line.get(None, ()))]:  # 0,5 for 0.5
        raise UserError(
            f"{manifest} line {longer[0]} has more fields than the first line names: decimals are written with a "
            "point, and a text with a comma stands between double quotes"
        )
    rows: list[_Row] = []
    seen: dict[str, int] = {}
    for number, line in lines:
        row = _parse(f"{manifest} line {number} ({line.get('name') or line['rgb']})", line)
        image = posixpath.normpath(row.rgb)
        if image in seen:
            raise UserError(f"{row.where}: {row.rgb} was listed before in line {seen[image]}: list every image once")
        seen[image] = number
        rows.append(row)
    return rows


def _parse(where: str, line: dict[str, str]) -> _Row:
    empty = [column for column in COLUMNS if not line[column]]
    if empty:
        raise UserError(f"{where}: {', '.join(empty)} is empty")
    if line["kind"] not in KINDS:
        raise UserError(f"{where}: kind is {line['kind']!r}, allowed are {', '.join(KINDS)}")
    try:
        scale = float(line["scale"])
    except ValueError:
        scale = math.nan
    if not (scale > 0 and math.isfinite(scale)):
        raise UserError(f"{where}: scale is {line['scale']!r}, it must be a positive number")
    if line["kind"] == "depth" and (line.get("unit") or "m") != "m":
        raise UserError(
            f"{where}: unit is {line['unit']!r}, depth must be in m: choose scale so that PNG value x scale is metres"
        )
    named = [line[column] for column in ("dataset", "domain") if line.get(column)]
    scene = line.get("scene") or "/".join(named) or line["rgb"]
    return _Row(
        where, line["rgb"], line["gt"], line["kind"], scale, scene, line.get("mask", ""), line.get("camera", "")
    )


def _check_files(root: Path, row: _Row) -> None:
    """Look at the files' headers: there, images, 16-bit ground truth, 8-bit mask, equal sizes."""
    size, _, _ = _header(root, row, row.rgb)
    for name, modes, needed in (
        (row.gt, ("I;16", "I"), "ground truth must be a 16-bit grey PNG"),
        (row.mask, ("L", "1"), "a mask must be an 8-bit grey PNG"),
    ):
        if not name:
            continue
        found, mode, kind = _header(root, row, name)
        if kind != "PNG" or mode not in modes:
            raise UserError(f"{row.where}: {root / name} is {kind} of mode {mode}, {needed}")
        if found != size:
            raise UserError(
                f"{row.where}: {row.rgb} is {size[0]} x {size[1]}, {root / name} is {found[0]} x {found[1]}: sizes "
                "must be equal"
            )


def _header(root: Path, row: _Row, name: str) -> tuple[tuple[int, int], str, str | None]:
    """(width, height), mode and format of an image file; the photo's size is that of the upright image."""
    path = root / name
    if not path.is_file():
        raise UserError(f"{row.where}: {path} does not exist")
    try:
        with Image.open(path) as image:
            size = image_size(image) if name == row.rgb else image.size  # ground truth is never turned
            return size, image.mode, image.format
    except Exception as error:  # Pillow raises almost anything for damaged data
        raise UserError(f"{row.where}: {path} cannot be read ({reason_of(error)})") from None


def _check_camera(root: Path, row: _Row) -> None:
    """Refuse a camera that is neither a camera file nor four numbers in pixels."""
    if not row.camera:
        return
    try:
        numbers = [float(word) for word in row.camera.split()]
    except ValueError:  # not numbers: a path
        path = root / row.camera
        if not path.is_file():
            raise UserError(
                f"{row.where}: camera {path} does not exist; give a JSON file or the numbers fx fy cx cy"
            ) from None
        try:
            camera = read_camera(path)
        except UserError as error:
            raise UserError(f"{row.where}: {error}") from None
        numbers = [camera.fx, camera.fy, camera.cx, camera.cy]
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or min(numbers[:2]) <= 0:
        raise UserError(
            f"{row.where}: camera is {row.camera!r}, it must have the numbers fx fy cx cy, fx and fy positive"
        )
