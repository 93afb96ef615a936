"""`dad data check`: is a data set whole, and if not, what is missing and how is it obtained."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dad.data.benchmarks import BENCHMARKS, PUBLISHED, Benchmark, benchmark_names, open_benchmark
from dad.data.benchmarks.listed import Listed
from dad.data.kinds import kind_of
from dad.data.manifest import find_photos, inspect_all
from dad.data.photos import reason_of
from dad.errors import UserError

DATASETS = ("photos", *BENCHMARKS)
DECODED = {**dict.fromkeys(DATASETS, 1000), **dict.fromkeys(PUBLISHED, 50), "eth3d": 10}
"""How many images are decoded unless told otherwise: those of ETH3D are a second's work each."""

_NAMED = 20  # problems shown one by one; the report object has them all


@dataclass
class CheckReport:
    """What was found: numbers by name, what is missing or unusable, what is just worth knowing, how to get the data."""

    dataset: str
    root: Path
    counts: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    advice: str = ""

    @property
    def ok(self) -> bool:
        """True when the data set can be used as it is; warnings do not count."""
        return not self.missing

    @property
    def text(self) -> str:
        """The report for people, one fact per line."""
        lines = [f"{self.dataset} at {self.root}: {'complete' if self.ok else 'not usable'}"]
        lines += [f"  {name}: {value}" for name, value in self.counts.items()]
        for kind, entries in (("missing", self.missing), ("warning", self.warnings)):
            lines += [f"  {kind}: {entry}" for entry in entries[:_NAMED]]
            lines += [f"  {kind}: and {len(entries) - _NAMED} more"] if len(entries) > _NAMED else []
        return "\n".join(lines + ([] if self.ok else [f"  how to get it: {self.advice}"]))


def check(
    dataset: str,
    root: str | os.PathLike[str],
    *,
    min_crop: int | None = None,
    decode: int | None = None,
    list_file: Path | None = None,
    seed: int = 0,
    progress: bool = False,
) -> CheckReport:
    """Check `dataset` ("photos" or a benchmark's name) at `root`.

    decode: how many images are decoded, drawn with `seed` (None: as `DECODED` says); layout and counts are always
    checked whole. min_crop: report how many photos have a shorter side. list_file: the images of a published benchmark,
    instead of all that are there. Raises UserError for an unknown dataset or an option that it does not have; whatever
    is wrong with the data is in the report.
    """
    kind = kind_of(dataset)
    if (kind not in DATASETS or (kind == "photos" and kind != dataset)) and dataset not in benchmark_names():
        raise UserError(f"unknown dataset {dataset!r}, allowed are {', '.join(('photos', *benchmark_names()))}")
    if decode is not None and decode < 1:
        raise UserError(f"decode is {decode}: give the number of images to decode, at least 1")
    decode = DECODED.get(kind, 50) if decode is None else decode
    if list_file is not None and kind not in PUBLISHED:
        raise UserError(f"{dataset} takes no list: leave it out")
    root = Path(root)
    if dataset == "photos":
        return _check_photos(root, min_crop=min_crop, decode=decode, seed=seed, progress=progress)
    if min_crop is not None:
        raise UserError(f"min_crop is for photos, {dataset} has no crops: leave it out")
    return _check_benchmark(dataset, root, list_file=list_file, decode=decode, seed=seed)


def _check_photos(root: Path, *, min_crop: int | None, decode: int, seed: int, progress: bool) -> CheckReport:
    report = CheckReport("photos", root)
    report.advice = (
        "any folder of photos will do (jpg, png, webp, bmp, tif; subfolders too); the paper uses SA-1B, whose .tar "
        "shards are read as they are: https://ai.meta.com/datasets/segment-anything-downloads/"
    )
    try:
        listing = find_photos(root)
    except UserError as error:
        report.missing.append(str(error))
        return report
    shards = {place.file for place in listing.places if place.file != place.id}
    report.counts = {"photos": len(listing.places), "shards": len(shards)}
    if listing.other:
        report.counts["other files"] = ", ".join(f"{count} {suffix}" for suffix, count in listing.other.most_common(5))
    chosen = _sample(len(listing.places), decode, seed)
    listing.places = [listing.places[i] for i in chosen]
    photos, unreadable = inspect_all(listing, progress=progress)
    report.counts["decoded"] = f"{len(photos)} of {len(chosen)} tried"
    report.warnings += [f"unreadable: {name}: {reason}" for name, reason in unreadable.items()]
    if not photos:
        report.missing.append("no photo can be read")
        return report
    shorts = np.array([min(photo.width, photo.height) for photo in photos])
    report.counts["short side in pixels"] = f"{shorts.min()} to {shorts.max()}, median {int(np.median(shorts))}"
    report.counts["same content twice"] = len(photos) - len({photo.sha256 for photo in photos})
    if min_crop is not None:
        small = [photo for photo in photos if min(photo.width, photo.height) < min_crop]
        report.counts[f"too small for min_crop {min_crop}"] = f"{len(small)} of {len(photos)}"
        report.warnings += [f"too small: {photo.id} ({photo.width} x {photo.height})" for photo in small]
        if len(small) == len(photos):
            report.missing.append(
                f"photos with a short side of at least {min_crop} pixels; lower min_crop or take larger photos"
            )
    return report


def _check_benchmark(dataset: str, root: Path, *, list_file: Path | None, decode: int, seed: int) -> CheckReport:
    report = CheckReport(dataset, root, advice=_advice(dataset, root))
    try:
        benchmark = open_benchmark(dataset, root, list_file=list_file, lenient=True)
    except UserError as error:
        report.missing.append(str(error))
        return report
    report.counts["images"] = len(benchmark)
    report.missing += getattr(benchmark, "unusable", [])
    if isinstance(benchmark, Listed):
        _check_list(benchmark, report)
    chosen = _sample(len(benchmark), decode, seed)
    valid, near, far, sizes = [], [], [], set()
    for sample in _samples(benchmark, chosen, report):
        height, width = sample.mask.shape
        sizes.add(f"{width} x {height}")
        usable = sample.usable
        valid.append(usable.mean())
        if left_out := int(sample.mask.sum()) - int(usable.sum()):
            report.warnings.append(
                f"{left_out} pixels have no positive depth where the mask says that it is valid: {sample.id}"
            )
        if not usable.any():
            report.warnings.append(f"no valid pixel: {sample.id}")
        elif sample.unit == "m":
            near.append(sample.depth[usable].min())
            far.append(sample.depth[usable].max())
    report.counts["decoded"] = f"{len(valid)} of {len(chosen)} tried"
    if valid:
        shown = sorted(sizes)
        report.counts["sizes"] = ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
        report.counts["valid pixels"] = f"{min(valid):.2%} to {max(valid):.2%}, mean {np.mean(valid):.2%}"
    if near:
        report.counts["valid depth in metres"] = f"{min(near):.3f} to {max(far):.3f}"
    return report


def _check_list(benchmark: Listed, report: CheckReport) -> None:
    """Compare a published benchmark with its known counts, and its list with its files.

    Too few images are missing if the list was made from the files; a list given by the user may leave some out.
    """
    images = [benchmark.image(index) for index in range(len(benchmark))]
    absent = benchmark.missing()
    if benchmark.unlabelled:
        report.counts["listed without ground truth"] = benchmark.unlabelled
    report.counts["published list"] = f"{benchmark.known} images"
    report.missing += [*benchmark.problems, *absent]
    found = Counter(benchmark.group(image) for image in images) if not absent else Counter()
    short = [
        f"{group}: {found[group]} of {count}"
        for group, count in benchmark.groups.items()
        if found and found[group] != count
    ]
    if len(images) != benchmark.known:
        few = "only " if len(images) < benchmark.known else ""
        differs = f"{few}{len(images)} of {benchmark.known} images" + (f" ({', '.join(short)})" if short else "")
        chosen = benchmark.list_file or len(images) > benchmark.known
        (report.warnings if chosen else report.missing).append(
            f"{differs}: scores are comparable with published ones for all only"
        )


def _samples(benchmark: Benchmark, chosen: list[int], report: CheckReport) -> Iterator[Any]:
    """The chosen samples that can be read; the others are noted in the report."""
    for index in chosen:
        try:
            yield benchmark[index]
        except Exception as error:  # whatever one image raises is the matter of this image
            message = (
                str(error) if isinstance(error, UserError) else f"image {benchmark.image(index)}: {reason_of(error)}"
            )
            if message not in report.missing:
                report.missing.append(message)


def _advice(dataset: str, root: Path) -> str:
    kind = kind_of(dataset)
    if kind in PUBLISHED:
        return PUBLISHED[kind].advice
    if kind == "samples":
        return (
            "list your own RGB-D pairs in a CSV file with the columns rgb, gt, kind, scale (see "
            "dad.data.benchmarks.samples)"
        )
    if kind not in BENCHMARKS:
        return f"{dataset} is read by another package, whose documentation says"
    return f"dad data scenes --out {root} --kind {kind.removeprefix('scenes-')} --count N --seed S"


def _sample(count: int, wanted: int, seed: int) -> list[int]:
    """Indices of `wanted` of `count` things, in order; a seeded choice."""
    if wanted >= count:
        return list(range(count))
    return sorted(sorted(range(count), key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).digest())[:wanted])
