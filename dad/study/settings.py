"""Single values given beside a file: `--set optim.steps=8` on a verb, `--config optim={steps: 8}` on the workflow."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from dad.errors import UserError
from dad.models.locate import use_files
from dad.reading import parse_value, read_yaml
from dad.study.base import did_you_mean, parse_model
from dad.study.cells import check_tables
from dad.study.check import wrong
from dad.study.config import StudyConfig
from dad.study.tables import library_beside

Model = TypeVar("Model", bound=BaseModel)


def with_settings(model: Model, settings: Iterable[str], *, what: str) -> Model:
    """The model with values replaced: `KEY=VALUE`, the key dotted, the value read as YAML; `what` names the model in
    messages.

    Raises UserError for what is no such pair, for a key that is not there (with the nearest that is) and for a value
    that the key does not take.
    """
    settings = list(settings)
    if not settings:
        return model
    values = model.model_dump(mode="json")
    for setting in settings:
        key, value = split(setting)
        _put(values, key, value, setting)
    changed = parse_model(type(model), values, source=f"{what} with --set {' '.join(settings)}")
    if isinstance(changed, StudyConfig):
        use_files(changed.weights)
    return changed


def split(setting: str) -> tuple[str, Any]:
    """`KEY=VALUE` into its two; the value is read as YAML. Raises UserError for anything else."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {setting!r}: write KEY=VALUE, such as optim.steps=200")
    return key.strip(), parse_value(text, source=f"--set {setting}")


def _put(values: dict[str, Any], key: str, value: Any, setting: str) -> None:
    """Replace the value at a dotted key; keys of the file's own choice (a model's name) may hold dots themselves."""
    holder: Any = values
    parts = key.split(".")
    name: int | str
    while True:
        if isinstance(holder, list):
            if not parts[0].isdecimal() or int(parts[0]) >= len(holder):
                raise UserError(
                    f"--set {setting}: {parts[0]!r} is no number of one of these {len(holder)}, counted from 0"
                )
            name, parts = int(parts[0]), parts[1:]
        elif isinstance(holder, dict):
            taken = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in holder), None)
            if taken is None and holder is values:
                raise UserError(f"--set {setting}: unknown key {parts[0]!r}{did_you_mean(parts[0], list(values))}")
            name = ".".join(parts[: taken or 1])
            parts = parts[taken or 1 :]
        else:
            raise UserError(
                f"--set {setting}: {key.removesuffix('.' + '.'.join(parts))} is one value and has no {parts[0]!r}"
            )
        if not parts:
            holder[name] = value
            return
        if isinstance(holder, dict) and holder.get(name) is None:
            holder[name] = {}
        holder = holder[name]


def workflow_study(files: Sequence[str | Path], given: Iterable[str] | None) -> StudyConfig:
    """The study of a run of the workflow: its configuration files, one over the other, and the `KEY=VALUE` of
    `--config` over them.

    Snakemake has read the same, but as YAML 1.1 and without noticing a key that is given twice. Raises UserError in one
    line for what is no study, and for one that no machine could run.
    """
    values: dict[str, Any] = library_beside(files)
    for file in dict.fromkeys(map(str, files)):
        _merge(values, read_yaml(file))
    for entry in given or ():
        key, _, text = entry.partition("=")
        _put_config(values, key, parse_value(text, source=f"--config {entry}"))
    source = " and ".join(Path(file).name for file in dict.fromkeys(map(str, files))) or "the study's configuration"
    study = parse_model(StudyConfig, values, source=source)
    check_tables(study)
    if problems := wrong(study):
        raise UserError(f"{source}: {'; '.join(problem.line for problem in problems)}")
    return study


def _put_config(values: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    for part in reversed(above):
        value, last = {last: value}, part
    _merge(values, {last: value})


def _merge(values: dict[str, Any], over: dict[str, Any]) -> None:
    """As Snakemake does: mappings key by key, everything else replaced."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value
