"""Which weights a study loads, which of them are not here, where they may lie and how they are fetched."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from dad.models.catalogue import Source, licence_notice, source_of
from dad.models.frozen_names import DINOV2, SIZES, TIMM, WEIGHTS, dinov2_name, timm_parts, timm_repository
from dad.models.locate import (
    Located,
    hub_cache,
    in_hub_cache,
    locate,
    looks_like_path,
    split_network,
    torch_cache,
    zoo_names,
)
from dad.study.base import did_you_mean
from dad.study.cells import all_cells, all_models, loss_terms
from dad.study.check.finding import Finding, stop, warning
from dad.study.check.networks import known_source, network_of, problem_with
from dad.study.config import StudyConfig
from dad.study.needs import needs_of

GENPERCEPT = (
    "a folder with one of GenPercept's UNets (3.5 GB, guangkaixu/genpercept-models on the hub) beside `vae` (0.3 GB) "
    "and `text_encoder` (1.4 GB) of Stable Diffusion 2.1, see docs/checkpoints.md"
)


def models(study: StudyConfig) -> dict[str, list[str]]:
    """Every model that the study loads, with the keys that name it."""
    named: dict[str, list[str]] = {}

    def add(model: str | None, key: str) -> None:
        if model is not None and key not in named.setdefault(model, []):
            named[model].append(key)

    add(study.teacher, "teacher")
    add(study.assistant.model if study.assistant else None, "assistant.model")
    add(study.student.model, "student.model")
    for name, architecture in study.architectures.items():
        add(architecture.model, f"architectures.{name}.model")
    for method, model in study.estimators.items():
        add(model, f"estimators.{method}")
    for encoder in encoders(study).values():
        if encoder.partition("@")[0] != DINOV2 and not encoder.startswith(TIMM):
            add(encoder, "loss.feature_encoder")
    for cell in all_cells(study).values():  # of tables of the user's own
        add(cell.student.model if cell.student.model not in named else None, "tables")
        for plan in cell.label_plans.values():
            add(plan.teacher if plan.teacher not in named else None, "tables")
    for model in all_models(study).values():
        add(model if model not in named else None, "tables")
    return named


def encoders(study: StudyConfig) -> dict[tuple[str, str], str]:
    """The frozen encoders a study's alignment compares with beside the students' own, by themselves and the student."""
    aligned = [cell for cell in all_cells(study).values() if "feature" in loss_terms(cell)]
    return {(name, cell.student.model): name for cell in aligned if (name := cell.loss.feature_encoder) is not None}


def check_encoders(study: StudyConfig) -> Iterator[Finding]:
    """One finding for each encoder of timm whose weights are not here."""
    key = "loss.feature_encoder"
    for name, student in encoders(study):
        model, _, folder = name.partition("@")
        if model == DINOV2:
            network = network_of(student)
            width = getattr(network, "width", None)
            if network is None:  # no name or header tells; the training will
                continue
            if width not in SIZES:
                known = ", ".join(map(str, SIZES))
                yield stop("study", f"{key}: {DINOV2} has encoders of width {known}, the student {student} has {width}")
                continue
            name = dinov2_name(width, folder)
        if not name.startswith(TIMM):
            continue
        yield from _check_timm(key, *timm_parts(name))


def _check_timm(key: str, model: str, file: str) -> Iterator[Finding]:
    if file:
        if not Path(file).is_file():
            yield stop("weights", f"{key}: {file}, the weights of {model}, does not exist")
        return
    repository = timm_repository(model)
    if not repository or in_hub_cache(repository, WEIGHTS):
        return
    sizes = {
        timm_parts(dinov2_name(width))[0]: f", {megabytes:,} MB, Apache-2.0"
        for width, (_, _, megabytes) in SIZES.items()
    }
    line = (
        f"{key}: timm's weights of {model} are not here ({WEIGHTS}{sizes.get(model, '')}); looked for in "
        f"{hub_cache()}; with a network: hf download {repository} {WEIGHTS}; files at hand: "
        f"{DINOV2}@FOLDER or {TIMM}{model}@FILE"
    )
    yield _downloadable(line, True)


def check_weights(study: StudyConfig) -> Iterator[Finding]:
    """One finding for each model that is not named rightly, not here, or visibly damaged."""
    named = models(study)
    for name in study.weights.keys() - named.keys():
        yield stop("study", f"weights: no model of this study is called {name!r}{did_you_mean(name, list(named))}")
    for model, keys in named.items():
        if finding := check_model(model, ", ".join(keys)):
            yield finding
    yield from check_encoders(study)


def check_model(model: str, key: str) -> Finding | None:
    """What keeps a model from being loaded here without a download, or None."""
    if not split_network(model)[1].strip():
        return stop(
            "study",
            f"{key}: {model!r} names no model; give one of {', '.join(zoo_names())}, a network's name or a file",
        )
    found = locate(model)
    text = split_network(found.name)[1]
    if found.how in ("path", "network", "hub") and found.path is not None:
        problem = problem_with(found.path)
        return stop("weights", f"{key}: {problem}") if problem else None
    if found.how == "network":
        source = source_of(text)
        assert source is not None, text
        return _official(source, key, model)
    if found.how == "hub":
        return _hub(found, key)
    if found.how == "unknown" and text == "genpercept":
        return stop("weights", f"{key}: {model} is given as {GENPERCEPT}; {_licence(model, 'genpercept')}")
    if found.how == "unknown" and looks_like_path(text):
        return stop("weights", f"{key}: {text} does not exist: {_how(text)}")
    if not found.problem:
        return None
    return stop("weights" if found.how == "plugin" else "study", f"{key}: {found.problem}")


def _how(text: str) -> str:
    """What to do about a file or folder of weights that is not there."""
    source = known_source(text)
    if source:
        return f"with a network: {_fetch(source, Path(text).parent)}"
    if "genpercept" in text.lower():
        into = f"--local-dir {shlex.quote(Path(text).as_posix())}"
        unet = f"hf download guangkaixu/genpercept-models --include 'unet_disparity_v*/*' {into}"
        rest = f"hf download stabilityai/stable-diffusion-2-1 --include 'vae/*' 'text_encoder/*' {into}"
        return (
            f"it is {GENPERCEPT}; with a network: {unet} and {rest} (or any copy of it in diffusers' layout); "
            f"{_licence(text, 'genpercept')}"
        )
    return "give a weights file, a run folder or a model's name"


def _official(source: Source, key: str, model: str) -> Finding:
    name = Path(source.file).name
    where = torch_cache(name).parent if source.url else hub_cache()
    licence = f"{source.licence}, {source.restriction}" if source.restriction else source.licence
    line = (
        f"{key}: the weights of {model} are not here ({name}, {needs_of(source.network).file_mb:,} MB, {licence}); "
        f"looked for in checkpoints/ and {where}; with a network: {_fetch(source, where)}"
    )
    return _downloadable(line, bool(source.repository))


def _fetch(source: Source, where: Path) -> str:
    """The command that fetches an official file."""
    if source.repository:
        return f"hf download {source.repository} {source.file}"
    return f"curl -L --create-dirs -o {shlex.quote(str(where / Path(source.file).name))} {source.url}"


def _hub(found: Located, key: str) -> Finding:
    licence = _licence(found.repository, "marigold" if "marigold" in found.repository else "")
    restricted = f"; {licence}" if licence else ""
    command = f"hf download {found.repository} {found.file or ''}".rstrip()
    line = (
        f"{key}: {found.name} is not in the Hugging Face cache ({hub_cache()}){restricted}; with a network: {command}"
    )
    return _downloadable(line, True)


def _downloadable(line: str, downloads: bool) -> Finding:
    """A missing file that is downloaded when first used is no reason to stop, unless asking the hub is forbidden."""
    forbidden = any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )
    if downloads and not forbidden:
        return warning("weights", f"{line}; otherwise downloaded when first used")
    return stop("weights", line)


def _licence(name: str, network: str) -> str:
    return licence_notice(name, network).removeprefix(f"{name}: ")


def missing_weights(model: str) -> str | None:
    """Why a model cannot be loaded here without a download, or None."""
    finding = check_model(model, "model")
    return finding.line.removeprefix("model: ") if finding else None
