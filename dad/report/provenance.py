"""What was run, in words, from a study's config and the provenance files that its trainings wrote."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.report.results import TableResult
from dad.report.run_facts import distinct, photos_fact, shared_facts, short_name, student_fact, teacher_fact
from dad.study.config import Cell

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
    images = ", ".join(f"{count} of {name}" for name, count in image_counts(result).items()) or "nothing"
    said = [f"study `{study.name}` ({study.description})"]
    if cells:
        seeds = f"seed{'s' if result.seeds > 1 else ''} {', '.join(map(str, study.seeds))}"
        teachers = distinct(result, teacher_fact)
        said += [
            f"{len(cells)} student{'s' if len(cells) > 1 else ''} {distinct(result, student_fact)}, {seeds}, "
            f"of the teacher{'s' if ' / ' in teachers else ''} {teachers}",
            f"{distinct(result, _scale)} from {distinct(result, photos_fact)}",
        ]
    if models := [row.model for row in result.scored if row.model]:
        said.append(f"{len(models)} estimator{'s' if len(models) > 1 else ''} scored as they are")
    said.append(f"scored on {images}")
    if cells:
        said += [_devices(provenance) + f", {_total_time(provenance)} of training", f"commit {_commits(provenance)}"]
    return f"What was run: {'; '.join(said)}. More at the end of this page."


def run_details(result: TableResult, provenance: Mapping[str, Provenance]) -> list[tuple[str, str]]:
    """(what, value) pairs for the section on what was run: what all rows have in common."""
    study, trained = result.study, bool(result.trained)
    details = [("Study", f"`{study.name}`: {study.description}"), *shared_facts(result)]
    if trained:
        used, small = _numbers(provenance, "photos_used"), _numbers(provenance, "photos_too_small")
        details += [
            ("Students' size", f"{_numbers(provenance, 'parameters')} parameters"),
            ("Photos that were read", f"used {used}, too small {small}"),
            ("Seeds", ", ".join(map(str, study.seeds))),
        ]
    if models := [f"`{short_name(row.model)}` ({result.label(row)})" for row in (*result.teachers, *result.scored) if row.model]:
        details.append(("Scored as they are", ", ".join(models)))
    counts = image_counts(result)
    measured = [f"{column.title}: {counts[column.dataset]} images" for column in result.columns if column.dataset in counts]
    details += [
        ("Benchmarks", ", ".join(measured) or "none: no row has scores"),
        ("Protocol", f"`{result.protocol}` (rules {result.protocol_hash})"),
    ]
    if trained:
        details += [
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


def _scale(cell: Cell) -> str:
    return f"{cell.optim.steps:,} steps × {cell.optim.batch} crops of {cell.crop.size} px"


def image_counts(result: TableResult) -> dict[str, int]:
    """Data set -> its scored images; data sets that nothing was scored on are left out."""
    lines = result.scores.drop_duplicates(["dataset", "image"])
    counts = lines["dataset"].value_counts()
    return {column.dataset: int(counts[column.dataset]) for column in result.columns if column.dataset in counts}


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
