"""What was run, in words, from a study's config and the provenance files that its trainings wrote."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from dad.errors import UserError
from dad.report.results import TableResult
from dad.study.config import FolderPhotos, ScenePhotos, StudyConfig

Provenance = dict[str, Any]

UNKNOWN = "unknown"


def read_provenance(paths: Mapping[str, Path], cells: Iterable[str]) -> dict[str, Provenance]:
    """Cell id -> what its training wrote; an absent file gives an empty dict, which reads as unknown. UserError if not JSON."""
    found = {}
    for cell in cells:
        path = paths.get(cell)
        try:
            found[cell] = json.loads(path.read_text()) if path and path.is_file() else {}
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON: {error}") from None
    return found


def summary_line(result: TableResult, provenance: Mapping[str, Provenance]) -> str:
    """One sentence: study, students, data, scale, hardware, time and code."""
    study, cells = result.study, [cell for row in result.trained for cell in row.cells]
    seeds = f"seed{'s' if result.seeds > 1 else ''} {', '.join(map(str, study.seeds))}"
    images = ", ".join(f"{count} of {name}" for name, count in _image_counts(result).items())
    return (
        f"What was run: study `{study.name}` ({study.description}); {len(cells)} students `{short_name(study.student.model)}`, "
        f"{_INIT[study.student.init]}, {seeds}, of the teacher `{short_name(study.teacher)}`; {study.optim.steps:,} steps × "
        f"{study.optim.batch} crops of {study.crop.size} px from {_photos(study)}; scored on {images}; {_devices(provenance)}, "
        f"{_total_time(provenance)} of training; commit {_commits(provenance)}. More at the end of this page."
    )


def run_details(result: TableResult, provenance: Mapping[str, Provenance]) -> list[tuple[str, str]]:
    """(what, value) pairs for the section on what was run."""
    study = result.study
    pixels = f"{study.crop.size} px squares, side of the crop {study.crop.min_crop} px to the photo's short side"
    rates = f"encoder rate {study.optim.encoder_rate:g}, head rate {study.optim.head_rate:g}"
    used = _numbers(provenance, "photos_used")
    small = _numbers(provenance, "photos_too_small")
    details = [
        ("Study", f"`{study.name}`: {study.description}"),
        ("Teacher", f"`{short_name(study.teacher)}`"),
        (
            "Student",
            f"`{short_name(study.student.model)}`, {_INIT[study.student.init]}; {_numbers(provenance, 'parameters')} parameters",
        ),
        ("Photos", f"{_photos(study)}; used {used}, too small {small}"),
        ("Crops", f"{pixels}; {study.crop.patches} patches in the local-global mode"),
        ("Optimisation", f"{study.optim.steps:,} steps × {study.optim.batch} crops; {rates}"),
        ("Seeds", ", ".join(map(str, study.seeds))),
        ("Benchmarks", ", ".join(f"{column.title}: {_image_counts(result)[column.dataset]} images" for column in result.columns)),
        ("Protocol", f"`{result.protocol}` (rules {result.protocol_hash})"),
        ("Hardware", _devices(provenance)),
        ("Training time", _times(provenance)),
        ("Versions", _versions(provenance)),
        ("Commit", _commits(provenance)),
        ("Started", _started(provenance)),
    ]
    if empty := {name: count for name, count in result.empty.items() if count}:
        details.append(("Images left out", ", ".join(f"{count} of {name} (no scored pixel)" for name, count in empty.items())))
    if cured := [cell for cell, values in provenance.items() if values.get("dead_head_cured")]:
        details.append(("Dead heads cured at step 0", ", ".join(f"`{cell}`" for cell in cured)))
    return details


def short_name(model: str) -> str:
    """A model's name as it is; of a checkpoint file only the file's name, as folders belong to one machine."""
    return PurePath(model).name if model.endswith(".safetensors") or PurePath(model).is_absolute() else model


_INIT = {
    "full": "starting from all its weights",
    "encoder": "starting from its encoder with a random head",
    "none": "starting at random",
}


def _photos(study: StudyConfig) -> str:
    photos = study.photos
    if isinstance(photos, ScenePhotos):
        return f"{photos.count:,} rendered photos ({', '.join(photos.kinds)}; {photos.width}×{photos.height})"
    assert isinstance(photos, FolderPhotos)
    folder = f"the folder `{PurePath(photos.root).name}`"
    return f"{photos.count:,} photos of {folder}" if photos.count else f"all photos of {folder}"


def _image_counts(result: TableResult) -> dict[str, int]:
    return {
        column.dataset: int(result.scores.loc[result.scores["dataset"] == column.dataset, "image"].nunique())
        for column in result.columns
    }


def _distinct(provenance: Mapping[str, Provenance], key: str) -> list[Any]:
    """The different values of a key over the cells, in the order of the cells; UNKNOWN for the ones without it."""
    return list(dict.fromkeys(values.get(key, UNKNOWN) for values in provenance.values()))


def _numbers(provenance: Mapping[str, Provenance], key: str) -> str:
    values = _distinct(provenance, key)
    known = sorted(value for value in values if value != UNKNOWN)
    if not known:
        return UNKNOWN
    shown = f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"
    return shown + (" (unknown for some cells)" if UNKNOWN in values else "")


def _devices(provenance: Mapping[str, Provenance]) -> str:
    devices = _distinct(provenance, "device")
    return " / ".join(devices) if devices != [UNKNOWN] else "hardware unknown"


def _seconds(provenance: Mapping[str, Provenance]) -> list[float]:
    return [float(values["wall_seconds"]) for values in provenance.values() if "wall_seconds" in values]


def _total_time(provenance: Mapping[str, Provenance]) -> str:
    seconds = _seconds(provenance)
    if not seconds:
        return "an unknown time"
    return duration(sum(seconds)) + (
        "" if len(seconds) == len(provenance) else f" (known for {len(seconds)} of {len(provenance)} cells)"
    )


def _times(provenance: Mapping[str, Provenance]) -> str:
    seconds = _seconds(provenance)
    if not seconds:
        return UNKNOWN
    low, high = duration(min(seconds)), duration(max(seconds))
    return f"{_total_time(provenance)} in all, {low if low == high else f'{low} to {high}'} per cell"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _versions(provenance: Mapping[str, Provenance]) -> str:
    merged: dict[str, list[str]] = {}
    for values in provenance.values():
        for package, version in (values.get("versions") or {}).items():
            known = merged.setdefault(package, [])
            if str(version) not in known:
                known.append(str(version))
    return ", ".join(f"{package} {' / '.join(sorted(versions))}" for package, versions in sorted(merged.items())) or UNKNOWN


def _commits(provenance: Mapping[str, Provenance]) -> str:
    shown = []
    for values in provenance.values():
        commit = values.get("git_commit") or UNKNOWN
        dirty = values.get("git_dirty")
        state = (
            "" if commit == UNKNOWN or dirty is False else " with uncommitted changes" if dirty else " (state of the tree unknown)"
        )
        shown.append(f"{f'`{commit[:12]}`' if commit != UNKNOWN else commit}{state}")
    return ", ".join(dict.fromkeys(shown)) or UNKNOWN


def _started(provenance: Mapping[str, Provenance]) -> str:
    moments = sorted(values["started"] for values in provenance.values() if values.get("started"))
    if not moments:
        return UNKNOWN
    return " to ".join(dict.fromkeys((moments[0], moments[-1])))
