"""Whether a study's photos and benchmarks are here and are what it says, as far as seconds tell."""

import contextlib
import io
import itertools
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from dad.data.benchmarks import BENCHMARKS, PUBLISHED, SCENES, benchmark_names, open_benchmark
from dad.data.benchmarks.listed import Listed
from dad.data.photos import SUFFIXES
from dad.data.remote import is_remote, why_not
from dad.data.walk import Found, members, walk
from dad.errors import UserError
from dad.study.check.finding import Finding, stop, warning
from dad.study.config import BenchmarkConfig, FolderPhotos, StudyConfig

SECONDS = 10.0
"""Longest time spent on counting a folder's photos."""
HEADERS = 3000
"""Photos whose size is read; of larger sets as many, evenly spread."""
_HEADER = 65536
"""Bytes at an image's start that hold its size."""
TRIED = 3
"""Samples of a benchmark that are read until one can be."""


def check_photos(study: StudyConfig) -> Iterator[Finding]:
    """Of a folder of the user's: that it is there and holds enough photos of the size that crops are cut from."""
    photos = study.photos
    if not isinstance(photos, FolderPhotos):
        return
    if is_remote(photos.root):
        yield _check_url(photos.root)
        return
    root = Path(photos.root).expanduser() if photos.root.strip() else None
    if root is None or not root.exists():
        what = "photos.root: images or SA-1B .tar shards"
        yield stop("photos", f"the folder {photos.root!r} named in the study's configuration does not exist ({what})")
        return
    wanted = needed_photos(study)
    deadline = time.monotonic() + SECONDS
    enough = max(wanted.values(), default=1)
    found = list(itertools.islice(listed(root, deadline), max(enough, HEADERS) + 1))
    late = time.monotonic() > deadline
    if not found and not late:
        yield stop(
            "photos", f"photos.root: {photos.root} holds no photos ({' '.join(SUFFIXES)}) and no .tar shards of them"
        )
        return
    if late:
        yield warning(
            "photos", f"photos.root: {photos.root} was not counted to its end: {len(found):,} photos in {SECONDS:.0f} s"
        )
        return
    short = {key: count for key, count in wanted.items() if count > len(found)}
    for key, count in short.items():
        yield stop(
            "photos",
            f"{key}: {count:,} photos are asked for, {photos.root} holds {len(found):,}: lower it or add photos",
        )
    if not short:
        yield from _check_sizes(study, root, found, enough)


def _check_url(url: str) -> Finding:
    """Of photos behind a URL: that URLs of its kind can be read here. Nothing is asked of the network."""
    if problem := why_not(url):
        return stop("photos", f"photos.root: {url} cannot be read here: {problem}")
    return Finding(
        "note", "photos", f"photos.root: {url} lies behind a network, and is listed when the manifest is made"
    )


def needed_photos(study: StudyConfig) -> dict[str, int]:
    """How many photos a folder must hold, by the key that says so."""
    count = getattr(study.photos, "count", None)
    wanted = {"photos.count": count or 0, "scaling": study.scaling[-1] if study.scaling else 0}
    return {key: number for key, number in wanted.items() if number}


def listed(root: Path, deadline: float) -> Iterator[tuple[Path, int]]:
    """Photos by file and offset, from names and tar headers alone, until `deadline`, by the rule of `dad.data.walk`."""
    tars = root.is_file()
    for found in [Found(root.name)] if tars else walk(root):
        if time.monotonic() > deadline:
            return
        path = root if tars else root / found.name
        suffix = path.suffix.lower()
        if not found.problem and suffix in SUFFIXES:
            yield path, 0
        elif not found.problem and suffix == ".tar":
            with contextlib.suppress(OSError, tarfile.TarError):  # named when the manifest is made
                for member in members(path):
                    if time.monotonic() > deadline:
                        return
                    if not member.problem and Path(member.name).suffix.lower() in SUFFIXES:
                        yield path, member.offset


def _check_sizes(study: StudyConfig, root: Path, found: list[tuple[Path, int]], enough: int) -> Iterator[Finding]:
    step = max(1, -(-len(found) // HEADERS))
    looked = found[::step]
    least = study.crop.min_crop
    sides = [side for path, offset in looked if (side := _short_side(path, offset)) is not None]
    large = sum(side >= least for side in sides)
    if not sides:
        yield stop("photos", f"photos.root: none of {len(looked):,} photos under {root} can be opened")
    elif not large:
        line = (
            f"crop.min_crop: {least} is larger than all {len(sides):,} photos looked at (largest short side "
            f"{max(sides)}): lower it to at most {max(sides)} or take larger photos"
        )
        yield stop("photos", line)
    elif large < min(enough, study.optim.batch) or (step == 1 and large < enough):
        key = next(iter(needed_photos(study)), "optim.batch")
        line = (
            f"{key}: {max(enough, 1):,} photos are asked for, and only {large:,} of {len(found):,} have a short side "
            f"of at least crop.min_crop ({least}) pixels: lower {key} or crop.min_crop"
        )
        yield stop("photos", line)
    elif large < len(looked):
        share = (len(looked) - large) / len(looked)
        yield warning(
            "photos",
            f"crop.min_crop: {share:.0%} of the photos are smaller than {least} or unreadable and are left out",
        )


def _short_side(path: Path, offset: int) -> int | None:
    """The shorter side from an image's header, or None where it has none that can be read."""
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            with Image.open(io.BytesIO(file.read(_HEADER)) if offset else file) as image:
                return min(image.size)
    except Exception:  # Pillow raises almost anything for damaged data
        return None


def check_benchmarks(study: StudyConfig) -> Iterator[Finding]:
    """Every benchmark that is read: that it is there, whole, and one of its images can be."""
    for benchmark in study.scored:
        yield from check_benchmark(benchmark)


def base_name(dataset: str) -> str:
    """The data set without the suffix that tells several sets of rendered scenes apart."""
    return next((name for name in SCENES if dataset == name or dataset.startswith(f"{name}-")), dataset)


def check_benchmark(benchmark: BenchmarkConfig) -> Iterator[Finding]:
    """Of one benchmark; nothing for one that is rendered."""
    key, name = f"benchmarks: {benchmark.dataset}", base_name(benchmark.dataset)
    if benchmark.root is None or (name not in BENCHMARKS and benchmark.dataset not in benchmark_names()):
        return
    how = f"`dad data check {benchmark.dataset} ROOT` says how to get it"
    if not benchmark.root.strip() or not Path(benchmark.root).exists():
        yield stop("benchmark", f"{key}: the folder {benchmark.root!r} does not exist; {how}")
        return
    if benchmark.list is not None:
        if name not in PUBLISHED:
            yield stop("study", f"{key}: list: {benchmark.list!r} is given, but {name} takes none: leave it out")
            return
        if not Path(benchmark.list).is_file():
            yield stop("benchmark", f"{key}: the list file {benchmark.list!r} does not exist")
            return
    try:
        opened = open_benchmark(
            benchmark.dataset, Path(benchmark.root), list_file=Path(benchmark.list) if benchmark.list else None
        )
    except UserError as error:
        yield stop("benchmark", f"{key}: {error}; {how}" if "list" not in str(error) else f"{key}: {error}")
        return
    if isinstance(opened, Listed):
        yield from _check_list(key, opened)
    problems = []
    for index in range(min(TRIED, len(opened))):
        try:
            opened[index]
            break
        except Exception as error:  # the reader of another package may raise anything
            problems.append(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
    else:
        yield stop(
            "benchmark",
            f"{key}: none of its first {len(problems)} images can be read: "
            f"{problems[0] if problems else 'it has none'}",
        )
        return
    for problem in problems:
        yield warning("benchmark", f"{key}: {problem}; it will be named and left out of the scores")


def _check_list(key: str, opened: Listed) -> Iterator[Finding]:
    """A published benchmark against its list, and the list against the files."""
    for problem in opened.problems:
        yield stop("benchmark", f"{key}: {problem}")
    absent = opened.missing()
    if absent and opened.list_file:
        line = (
            f"{key}: list: {opened.list_file} names {len(absent)} files that are not under {opened.root}, first: "
            f"{absent[0]}"
        )
        yield stop("benchmark", line)
    elif absent:
        yield warning("benchmark", f"{key}: {len(absent)} files are missing under {opened.root}, first: {absent[0]}")
    if len(opened) == opened.known:
        return
    comparable = "scores are comparable with published ones for all only"
    line = f"{key}: {len(opened)} images, the published list has {opened.known}: {comparable}"
    if len(opened) > opened.known:
        yield stop("benchmark", f"{line}; name the {opened.known} in a list file (list:), {opened.advice}")
    else:
        yield warning("benchmark", line)
