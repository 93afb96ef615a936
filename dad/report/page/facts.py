"""The page's header and its section on provenance: the study in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from dad.analysis.provenance import (
    FACTS,
    Facts,
    commits,
    devices,
    distinct,
    run_facts,
    scale_fact,
    short_name,
    span,
    total_time,
)
from dad.evaluation import load_protocol
from dad.report.page.cells import Run
from dad.study.config import ScenePhotos, StudyConfig
from dad.study.paper import paper
from dad.study.tables import seeds_of, table_names

UNKNOWN = "not known yet"


@dataclass(frozen=True)
class StudyFacts:
    """The header: a few facts to see at once, the words on stand-ins, and everything else."""

    headline: Facts
    stand_ins: tuple[str, ...]
    details: Facts


def study_facts(study: StudyConfig, runs: Sequence[Run]) -> StudyFacts:
    """Everything the page says about the study itself; what no file tells reads as not known yet."""
    known = [run.provenance for run in runs if run.provenance]
    cells = [run.cell for run in runs]
    trained = sum(run.trained for run in runs)
    protocols = [load_protocol(name) for name in study.protocols]
    rules = ", ".join(f"{one.id} (rules {one.hash})" for one in protocols)
    dates = sorted(run["finished"] for run in known if run.get("finished"))
    count = study.photos.count
    headline = [
        (
            "Scale",
            f"{f'{count:,}' if count else 'all'} photos, {scale_fact(cells[0]) if cells else 'nothing to train'}",
        ),
        ("Students", f"{trained} of {len(runs)} trained; {_seeds(study)}"),
        ("Date", dates[-1][:10] if dates else UNKNOWN),
        ("Commit", commits(known) if known else UNKNOWN),
        ("Hardware", devices(known) if known else UNKNOWN),
        ("Protocol", rules.split(", ")[0]),
    ]
    details = [
        *((name, distinct(cells, fact)) for name, fact in FACTS.items() if cells),
        *((f"Architecture {name}", short_name(one.model)) for name, one in study.architectures.items()),
        ("Data scaling", ", ".join(f"{count:,}" for count in study.scaling) or "none"),
        ("Benchmarks", ", ".join(_benchmark(one.dataset, one.stands_for, one.count) for one in study.scored)),
        ("Protocols", rules),
        ("Training", f"{total_time(known)} over {len(known)} students" if known else UNKNOWN),
        *(run_facts(known) if known else []),
    ]
    return StudyFacts(headline, tuple(_stand_ins(study)), details)


def _stand_ins(study: StudyConfig) -> list[str]:
    """What on this page is not what the paper used, in sentences."""
    sentences = []
    places = [one for one in study.scored if one.stands_for and one.stands_for != paper().dataset_name(one.dataset)]
    if places:
        names = ", ".join(f"{one.dataset} for {one.stands_for}" for one in places)
        sentences.append(
            f"None of these is a benchmark of the paper; they are other images shown in its columns: {names}. Only the "
            "order of rows can be compared with the printed numbers, never the values."
        )
    models = [study.teacher, study.student.model, *(one.model for one in study.architectures.values())]
    models += [study.assistant.model] if study.assistant else []
    if small := sorted({short_name(model) for model in models if model.startswith("zoo/")}):
        sentences.append(
            f"The networks {', '.join(small)} are small relatives of the paper's, which have learnt depth from "
            "rendered scenes; no released weights of depth are behind these numbers."
        )
    if isinstance(study.photos, ScenePhotos):
        sentences.append("The training photos are rendered scenes, not photographs.")
    return sentences


def _seeds(study: StudyConfig) -> str:
    """How many seeds a student of the tables has, and which, where all have the same."""
    counts = {len(seeds_of(study, table)) for table in table_names(study)}
    if len(counts) > 1:
        return f"{span(counts)} seeds"
    return f"seeds: {len(study.seeds)} ({', '.join(map(str, study.seeds))})"


def _benchmark(dataset: str, stands_for: str | None, count: int | None) -> str:
    return f"{f'{count} of ' if count else ''}{dataset}{f' (for {stands_for})' if stands_for else ''}"
