"""What a study needs from outside and does not find on this machine: photos, benchmarks, weights."""

from pathlib import Path

from dad.models.locate import locate
from dad.study.cells import all_cells, all_models
from dad.study.config import BenchmarkConfig, StudyConfig


def missing(study: StudyConfig) -> list[str]:
    """One line for each thing that is not here, with what to do about it. Looks at names only; opens and downloads nothing."""
    weights = [problem for model in models(study) if (problem := missing_weights(model))]
    return [*missing_photos(study), *(line for one in study.scored for line in missing_data(one)), *weights]


def missing_photos(study: StudyConfig) -> list[str]:
    """Of the photos; none are missing where they are rendered."""
    root = getattr(study.photos, "root", None)
    if root is None or Path(root).exists():
        return []
    return [f"the folder {root!r} named in the study's configuration does not exist (photos.root: images or SA-1B .tar shards)"]


def missing_data(benchmark: BenchmarkConfig) -> list[str]:
    """Of one benchmark."""
    lines = []
    if benchmark.root is not None and not Path(benchmark.root).exists():
        check = f"`dad data check {benchmark.dataset} ROOT` says how to get it"
        lines.append(f"benchmark {benchmark.dataset}: the folder {benchmark.root!r} does not exist; {check}")
    if benchmark.list is not None and not Path(benchmark.list).is_file():
        lines.append(f"benchmark {benchmark.dataset}: the list file {benchmark.list!r} does not exist")
    return lines


def models(study: StudyConfig) -> list[str]:
    """Every model that the study loads."""
    names = [study.teacher, *all_models(study).values()]
    for cell in all_cells(study).values():
        names += [cell.student.model, *(plan.teacher for plan in cell.label_plans.values())]
    return list(dict.fromkeys(names))


def missing_weights(model: str) -> str | None:
    """Why a model can not be loaded here without a download, or None."""
    return locate(model).problem or None


def hub_repository(model: str) -> str:
    """The Hugging Face repository that a model's name stands for; empty if it is none."""
    return locate(model).repository
