"""What was run, in words: the page's header, its section on provenance, and the log of discrepancies."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dad.evaluation import load_protocol
from dad.report.discrepancies import EVIDENCE, SECTIONS
from dad.report.page.cells import Run
from dad.report.page.comparer import ComparerView
from dad.report.provenance import duration
from dad.report.run_facts import short_name
from dad.study.claims import claims
from dad.study.config import ScenePhotos, StudyConfig
from dad.study.paper import paper

UNKNOWN = "not known yet"


@dataclass(frozen=True)
class Facts:
    """The header: title, a few facts to see at once, the words on stand-ins, and everything else."""

    name: str
    description: str
    paper: str
    source: str
    trained: int
    cells: int
    headline: tuple[tuple[str, str], ...]
    stand_ins: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NoteView:
    """One entry of the log of discrepancies."""

    id: str
    text: str
    choice: str
    evidence: str
    foreign: bool
    cited: tuple[tuple[str, str], ...]
    """(anchor, words) of the tables and claims that cite it."""


def study_facts(study: StudyConfig, runs: Mapping[str, Run], comparer: ComparerView) -> Facts:
    """Everything the page says about the study itself; what no file tells reads as not known yet."""
    known = [run.provenance for run in runs.values() if run.provenance]
    trained = sum(run.trained for run in runs.values())
    seconds = [float(values["wall_seconds"]) for values in known if values.get("wall_seconds") is not None]
    seeds = f"{len(study.seeds)} ({', '.join(map(str, study.seeds))})"
    protocols = [load_protocol(name) for name in study.protocols]
    dates = sorted(values["finished"] for values in known if values.get("finished"))
    optim, crop = study.optim, study.crop
    scale = f"{_photos(study)}, {optim.steps:,} steps × {optim.batch} crops of {crop.size} px"
    headline = (
        ("Scale", scale),
        ("Students", f"{trained} of {len(runs)} trained; seeds: {seeds}"),
        ("Date", dates[-1][:10] if dates else UNKNOWN),
        ("Commit", _listed(_commits(known))),
        ("Hardware", _listed(values.get("device") for values in known)),
        ("Protocol", f"{protocols[0].id} (rules {protocols[0].hash})"),
    )
    details = (
        ("Teacher", short_name(study.teacher)),
        ("Assistant", short_name(study.assistant.model) if study.assistant else "none"),
        ("Student", f"{short_name(study.student.model)}, init {study.student.init}"),
        *((f"Architecture {name}", short_name(one.model)) for name, one in study.architectures.items()),
        ("Photos", _photos(study)),
        ("Data scaling", ", ".join(f"{count:,}" for count in study.scaling) or "none"),
        ("Crops", f"{crop.size} px squares, random side from {crop.min_crop} px, {crop.patches} local patches"),
        ("Optimisation", f"encoder rate {optim.encoder_rate:g}, head rate {optim.head_rate:g}, warm-up {optim.warmup} steps"),
        ("Benchmarks", ", ".join(_benchmark(one.dataset, one.stands_for, one.count) for one in study.scored)),
        ("Protocols", ", ".join(f"{one.id} (rules {one.hash})" for one in protocols)),
        ("Seeds", ", ".join(map(str, study.seeds))),
        ("Training time", f"{duration(sum(seconds))} over {len(seconds)} students" if seconds else UNKNOWN),
        ("Started", min((v["started"] for v in known if v.get("started")), default=UNKNOWN)),
        ("Finished", dates[-1] if dates else UNKNOWN),
        ("Hardware", _listed(values.get("device") for values in known)),
        ("Commits", _listed(_commits(known))),
    )
    if comparer.absent:
        details += (("Maps left out of the comparer", "; ".join(f"{label}: {why}" for label, why in comparer.absent)),)
    return Facts(
        study.name,
        study.description,
        paper().title,
        paper().source,
        trained,
        len(runs),
        headline,
        tuple(_stand_ins(study)),
        details,
        tuple(_versions(known)),
    )


def notes_view() -> list[tuple[str, list[NoteView]]]:
    """The log of discrepancies, section by section: every note with the tables and claims that cite it."""
    views = []
    for between, title in SECTIONS.items():
        notes = []
        for name, note in paper().notes.items():
            if note.between == between:
                cited = [(key, table.name) for key, table in paper().tables.items() if any(name in row.notes for row in table.rows)]
                cited += [(f"claim-{claim.id}", f"claim {claim.id}") for claim in claims() if name in claim.notes]
                notes.append(NoteView(name, note.text, note.choice or "", EVIDENCE[note.evidence], note.foreign, tuple(cited)))
        views.append((title, notes))
    return views


def _stand_ins(study: StudyConfig) -> list[str]:
    """What on this page is not what the paper used, in sentences."""
    sentences = []
    places = [one for one in study.scored if one.stands_for and one.stands_for != paper().dataset_name(one.dataset)]
    if places:
        names = ", ".join(f"{one.dataset} in the place of {one.stands_for}" for one in places)
        sentences.append(
            f"None of these is a benchmark of the paper; they are other images shown in its columns: {names}. Only the order of "
            "rows can be compared with the printed numbers, never the values."
        )
    models = [study.teacher, study.student.model, *(one.model for one in study.architectures.values())]
    models += [study.assistant.model] if study.assistant else []
    if small := sorted({short_name(model) for model in models if model.startswith("zoo/")}):
        sentences.append(
            f"The networks {', '.join(small)} are small relatives of the paper's, trained from scratch on rendered scenes; no "
            "released weights are behind these numbers."
        )
    if isinstance(study.photos, ScenePhotos):
        sentences.append("The training photos are rendered scenes, not photographs.")
    return sentences


def _benchmark(dataset: str, stands_for: str | None, count: int | None) -> str:
    place = f" (in the place of {stands_for})" if stands_for else ""
    return f"{f'{count} of ' if count else ''}{dataset}{place}"


def _photos(study: StudyConfig) -> str:
    photos = study.photos
    if isinstance(photos, ScenePhotos):
        return f"{photos.count:,} rendered photos"
    return f"{photos.count:,} photos" if photos.count else "all photos of a folder"


def _commits(known: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{str(values['git_commit'])[:12]}{' with uncommitted changes' if values.get('git_dirty') else ''}"
        for values in known
        if values.get("git_commit")
    ]


def _listed(values: Iterable[object]) -> str:
    """The different values, the most frequent first."""
    counted = Counter(str(value) for value in values if value)
    return " / ".join(value for value, _ in counted.most_common()) or UNKNOWN


def _versions(known: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    merged: dict[str, set[str]] = {}
    for values in known:
        for package, version in dict(values.get("versions") or {}).items():
            merged.setdefault(package, set()).add(str(version))
    return [(package, " / ".join(sorted(versions))) for package, versions in sorted(merged.items())]
