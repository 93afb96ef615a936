"""The manifest of a photo set: which photos there are, their hashes and sizes, in one seeded order.

A manifest is JSON Lines. Its first line is the header (see `make_manifest`), every further line one
`dad.data.photos.Photo`, in the seeded order: its first n photos are the subset of n, so 10K is nested in 25K, 25K in
50K and so on (paper, appendix C.2).
"""

import hashlib
import json
import os
import sys
import tarfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dad.data.photos import SUFFIXES, Photo, Photos, Root, digest, measure, order_key, read_bytes, reason_of, root_of
from dad.data.remote import RemoteRoot, is_remote
from dad.data.walk import Found, members, walk
from dad.errors import UserError
from dad.files import atomic_path, text_lines
from dad.outputs import check_outputs

FORMAT = "dad-photos"
VERSION = 1
_LINE_EVERY = 5.0  # seconds between progress lines where there is no terminal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a photo's bytes lie; the fields are those of `Photo`."""

    id: str
    file: str
    offset: int
    bytes: int


@dataclass
class Listing:
    """What a walk over a root found: photos, what cannot be read (name: reason), and other files by suffix."""

    root: Root
    places: list[Place] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    other: Counter[str] = field(default_factory=Counter)


def find_photos(root: str | os.PathLike[str] | RemoteRoot, *, only: Sequence[str] | None = None) -> Listing:
    """List the photos of a folder and of its .tar shards, or of one shard; of a folder, those under the folders `only`,
    if given: a folder relative to it, and after a colon how many of its photos, the first by name. A folder or shard
    may be a URL.

    Which files that are is the rule of `dad.data.walk`. Opens no photo. Raises UserError when a folder does not exist.
    """
    root = root_of(root)
    if only:
        return _joined(root, only)
    if isinstance(root, RemoteRoot):
        return _remote(root)
    if root.is_file() and root.suffix.lower() == ".tar":
        listing = Listing(root.parent)
        _list_shard(root.name, listing)
        return listing
    if not root.is_dir():
        raise UserError(f"{root} is neither a folder of photos nor a .tar shard: give an existing one")
    listing = Listing(root)
    for found in walk(root):
        if found.name == "." and found.problem:
            raise UserError(f"{root}: {found.problem}")
        _list_file(found, listing)
    return listing


def _remote(root: RemoteRoot) -> Listing:
    """The photos behind a URL."""
    if root.suffix.lower() == ".tar":
        listing = Listing(root.parent)
        _list_shard(root.name, listing)
        return listing
    listing = Listing(root)
    for found in root.files():
        picture = os.path.splitext(found.name)[1].lower() in SUFFIXES
        # some servers list names without sizes
        _list_file(replace(found, size=(root / found.name).size()) if picture and found.size < 0 else found, listing)
    return listing


def _joined(root: Root, folders: Sequence[str]) -> Listing:
    """The photos of several folders under `root`, with ids relative to it."""
    joined = Listing(root)
    for entry in dict.fromkeys(folders):
        folder, _, count = entry.partition(":")
        if count and not count.isdigit():
            raise UserError(f"only {entry!r}: after the colon stands a number of photos")
        part = find_photos(root / folder)
        if count:
            if len(part.places) < int(count):
                raise UserError(f"only {entry!r}: {root / folder} has {len(part.places)} photos")
            part.places = sorted(part.places, key=lambda place: place.id)[: int(count)]
        prefix = Path(folder).as_posix()
        joined.places += [
            replace(place, id=f"{prefix}/{place.id}", file=f"{prefix}/{place.file}") for place in part.places
        ]
        joined.unreadable |= {f"{prefix}/{name}": reason for name, reason in part.unreadable.items()}
        joined.other += part.other
    return joined


def _list_file(found: Found, listing: Listing) -> None:
    suffix = os.path.splitext(found.name)[1].lower()
    if suffix not in (*SUFFIXES, ".tar") and not (found.problem and not suffix):
        listing.other[suffix or os.path.basename(found.name)] += 1
    elif found.problem:
        listing.unreadable[found.name] = found.problem
    elif suffix == ".tar":
        _list_shard(found.name, listing)
    else:
        listing.places.append(Place(found.name, found.name, 0, found.size))


def _list_shard(name: str, listing: Listing) -> None:
    seen: set[str] = set()
    try:
        for found in members(listing.root / name):
            suffix, photo_id = os.path.splitext(found.name)[1].lower(), f"{name}/{found.name}"
            if suffix not in SUFFIXES:
                listing.other[suffix or os.path.basename(found.name)] += 1
            elif found.problem:
                listing.unreadable[photo_id] = found.problem
            elif found.name in seen:
                listing.unreadable[f"{photo_id} (at byte {found.offset})"] = "a second photo of this name"
            else:
                seen.add(found.name)
                listing.places.append(Place(photo_id, name, found.offset, found.size))
    except (OSError, tarfile.TarError) as error:
        listing.unreadable[name] = (
            f"{reason_of(error)} (after {len(seen)} photos; a shard is a plain, uncompressed tar)"
        )


def inspect(root: Root, place: Place) -> Photo | str:
    """Read, hash and decode one photo; the reason as text when it cannot be read."""
    try:
        data = read_bytes(root, place.file, place.offset, place.bytes)
        width, height = measure(data)
    except Exception as error:  # a bad image in 200,000 is named and skipped, and Pillow raises almost anything for it
        return reason_of(error)
    return Photo(place.id, hashlib.sha256(data).hexdigest(), width, height, place.file, place.offset, place.bytes)


def inspect_all(
    listing: Listing,
    *,
    count: int | None = None,
    min_side: int = 1,
    seed: int = 0,
    progress: bool = False,
    workers: int | None = None,
) -> tuple[list[Photo], dict[str, str]]:
    """Inspect the photos of a listing, in threads; (photos, unreadable by name with the reason).

    All of them, in the listing's order; or, given a `count`, the first of the seeded order, up to the one with which
    that many are found whose short side has `min_side` pixels. No other is read.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    photos: list[Photo] = []
    unreadable = dict(listing.unreadable)
    if count is None:
        rounds: Iterator[Sequence[Place]] = iter([listing.places])
        count = len(listing.places)
    else:
        order = sorted(listing.places, key=lambda place: order_key(place.id, seed))
        rounds = _as_many_as_lack(
            order, count, lambda: sum(min(photo.width, photo.height) >= min_side for photo in photos)
        )
    results = (
        found
        for places in rounds
        for found in _ordered(lambda place: (place, inspect(listing.root, place)), places, workers)
    )
    for place, result in _shown(results, count, enabled=progress):
        if isinstance(result, str):
            unreadable[place.id] = result
        else:
            photos.append(result)
    return photos, unreadable


def _as_many_as_lack(places: Sequence[Place], count: int, found: Callable[[], int]) -> Iterator[Sequence[Place]]:
    """The next places, as many at a time as are missing to `count`, until they are found or all places were given."""
    start = 0
    while start < len(places) and (lack := count - found()) > 0:
        yield places[start : start + lack]
        start += lack


def _ordered(function: Callable[[Place], Any], places: Iterable[Place], workers: int) -> Iterator[Any]:
    """Results in order, with a bounded number of photos in memory (Executor.map would submit all at once)."""
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Any]] = deque()
        for place in places:
            pending.append(pool.submit(function, place))
            if len(pending) == 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _shown(items: Iterable[Any], total: int, *, enabled: bool) -> Iterator[Any]:
    """Pass items through, reporting to stderr: a bar on a terminal, else a line every few seconds."""
    if not enabled or sys.stderr.isatty():
        yield from tqdm(items, total=total, unit="photo", desc="photos", disable=not enabled)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        now = time.monotonic()
        if now - last >= _LINE_EVERY:
            last = now
            sys.stderr.write(tqdm.format_meter(done, total, now - start, unit="photo", prefix="photos", ncols=0) + "\n")
            sys.stderr.flush()
        yield item


def _scan(
    root: str | os.PathLike[str], *, only: Sequence[str] | None = None, **how: Any
) -> tuple[Listing, list[Photo], dict[str, str]]:
    listing = find_photos(root, only=only)
    photos, unreadable = inspect_all(listing, **how)
    if not photos:
        others = ", ".join(f"{count} {suffix}" for suffix, count in listing.other.most_common(4)) or "no other files"
        first = next((f"{name}: {reason}" for name, reason in unreadable.items()), "none")
        raise UserError(
            f"no photo can be read under {root} (looked for {' '.join(SUFFIXES)} and .tar shards; "
            f"unreadable: {len(unreadable)}, first: {first}; besides: {others}): give a folder of photos or SA-1B "
            "shards"
        )
    return listing, photos, unreadable


def make_manifest(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    only: Sequence[str] | None = None,
    count: int | None = None,
    min_side: int = 1,
    progress: bool = True,
    workers: int | None = None,
) -> dict[str, Any]:
    """Read, hash and measure all photos under `root`, or under the folders `only` in it, and write the manifest `out`
    whole; returns its header.

    With `count` all are listed, and of the seeded order only the beginning is read, until that many have a short side
    of `min_side` pixels; smaller ones on the way are listed, too. So the rows are those with which the whole set
    begins.

    Header: format, version, root, seed, count, digest (`Photos.digest`), duplicates (photos whose bytes another id has
    too; they are kept), unreadable (name: reason; they are left out), and of a beginning `of`, how many were listed.
    UserError when no photo is left, or fewer than asked for.
    """
    check_outputs(files={"--out": out}, searched={} if is_remote(root) else {"the photos' folder": root})
    listing, photos, unreadable = _scan(
        root, only=only, count=count, min_side=min_side, seed=seed, progress=progress, workers=workers
    )
    large = sum(min(photo.width, photo.height) >= min_side for photo in photos)
    if count is not None and large < count:
        wanted = f" with a short side of {min_side} pixels" if min_side > 1 else ""
        raise UserError(f"{count} photos{wanted} were asked for, {root} has {large}: ask for fewer or add photos")
    header = {
        "format": FORMAT,
        "version": VERSION,
        "root": str(listing.root.resolve()),
        "seed": seed,
        "count": len(photos),
        "digest": digest(photos),
        "duplicates": len(photos) - len({photo.sha256 for photo in photos}),
        "unreadable": unreadable,
    }
    if count is not None:
        header["of"] = len(listing.places)
    photos.sort(key=lambda photo: order_key(photo.id, seed))
    with atomic_path(out) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for photo in photos:
            file.write(json.dumps(asdict(photo)) + "\n")
    return header


def describe(header: dict[str, Any]) -> str:
    """A manifest's header as text for people: counts, then every unreadable photo by name."""
    bad = header["unreadable"]
    first = f"the first {header['count']} of {header['of']}" if "of" in header else str(header["count"])
    lines = [
        f"{first} photos under {header['root']} ({header['duplicates']} duplicates kept, "
        f"{len(bad)} unreadable left out), seed {header['seed']}, digest {header['digest'][:16]}"
    ]
    return "\n".join(lines + [f"unreadable: {name}: {reason}" for name, reason in bad.items()])


def open_photos(
    source: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None, seed: int = 0, progress: bool = False
) -> Photos:
    """Open a manifest, or scan a folder or .tar shard on the spot (reading every photo: make a manifest of large sets).

    `root` overrides the manifest's root, for photos that were moved. `seed` orders a scanned folder; a manifest has
    its own. Raises UserError when the manifest is not one, was cut or edited, or its root is gone.
    """
    if is_remote(source):
        listing, photos, unreadable = _scan(source, progress=progress)
        return Photos(photos, listing.root, seed=seed, unreadable=unreadable)
    source = Path(source)
    if source.is_dir() or source.suffix.lower() == ".tar":
        listing, photos, unreadable = _scan(source, progress=progress)
        return Photos(photos, listing.root, seed=seed, unreadable=unreadable)
    if not source.is_file():
        raise UserError(f"{source} does not exist: give a folder of photos, a .tar shard or a manifest")
    header, photos = _read_manifest(source)
    base = root_of(root if root is not None else header["root"])
    if isinstance(base, Path) and not base.is_dir():
        raise UserError(f"the photos of {source} are not at {base}: give their folder as root")
    return Photos(photos, base, seed=header["seed"], unreadable=header["unreadable"])


def _read_manifest(path: Path) -> tuple[dict[str, Any], list[Photo]]:
    try:
        lines = text_lines(path)
        header = json.loads(next(lines))
        if header["format"] != FORMAT or header["version"] != VERSION:
            raise ValueError(f"format {header['format']} version {header['version']}")
        photos = [_record(json.loads(line)) for line in lines]
        count, shown, root, seed = (header[key] for key in ("count", "digest", "root", "seed"))
        if not (isinstance(root, str) and isinstance(seed, int) and isinstance(header["unreadable"], dict)):
            raise ValueError("its header holds values of other types")
    except (ValueError, KeyError, TypeError, RecursionError, StopIteration) as error:
        raise UserError(
            f"{path} is not a manifest of {FORMAT} version {VERSION} ({reason_of(error)}): make it with `dad data "
            "manifest`"
        ) from None
    if len(photos) != count or digest(photos) != shown:
        raise UserError(
            f"{path} was cut or edited ({len(photos)} photos, its header says {header['count']}): make the manifest "
            "again"
        )
    return header, photos


def _record(values: Any) -> Photo:
    """One line of a manifest as a photo; TypeError or ValueError for other fields, types or impossible numbers."""
    photo = Photo(**values)
    if not all(isinstance(value, str) for value in (photo.id, photo.sha256, photo.file)):
        raise ValueError("a line without texts for id, sha256 and file")
    for number, least in ((photo.width, 1), (photo.height, 1), (photo.offset, 0), (photo.bytes, 0)):
        if type(number) is not int or number < least:
            raise ValueError(f"photo {photo.id} has impossible numbers")
    return photo


def photo_folder(manifest: Path) -> Path | None:
    """A manifest's photo folder, from its first line; None for a URL or no manifest (its reader will say so)."""
    try:
        root = json.loads(next(text_lines(manifest)))["root"]
        return None if is_remote(root) else Path(root)
    except (ValueError, KeyError, TypeError, RecursionError, StopIteration):
        return None
