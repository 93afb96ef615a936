"""What in a study's configuration is wrong on every machine: unknown names, numbers that do not fit each other."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from dad.data.benchmarks import BENCHMARKS, benchmark_names
from dad.errors import UserError
from dad.evaluation.protocol import available_protocols, load_protocol
from dad.study.base import did_you_mean
from dad.study.cells import all_cells, all_models, model_id
from dad.study.check.data import base_name
from dad.study.check.finding import Finding, stop, warning
from dad.study.check.networks import network_of
from dad.study.config import Cell, OptimConfig, ScenePhotos, StudyConfig
from dad.study.paper import paper


def check_values(study: StudyConfig) -> Iterator[Finding]:
    """Everything that the configuration alone shows."""
    yield from check_protocols(study)
    yield from check_names(study)
    yield from check_methods(study)
    cells = all_cells(study)
    yield from check_sizes(study, list(cells.values()))
    yield from check_steps(study)
    yield from check_tracking(study.tracking_uri)


def check_protocols(study: StudyConfig) -> Iterator[Finding]:
    """That each protocol is known and none stands there under two names."""
    seen: dict[str, str] = {}
    for name in study.protocols:
        try:
            protocol = load_protocol(name)
        except UserError as error:
            yield stop(
                "study",
                f"protocols: {error}{did_you_mean(name, available_protocols()) if 'unknown' in str(error) else ''}",
            )
            continue
        if name == study.protocols[0] and protocol.average == "pixels":
            line = f"protocols: {name} counts pixels, and tables compare images: let it follow one that counts images"
            yield stop("study", line)
        if protocol.id in seen:
            yield stop("study", f"protocols: {name} and {seen[protocol.id]} are both {protocol.id}: name each once")
        seen[protocol.id] = name


def check_names(study: StudyConfig) -> Iterator[Finding]:
    """That data sets are known, and that no two of them stand in one column of the paper."""
    columns: dict[str, str] = {}
    for benchmark in study.scored:
        key = f"benchmarks: {benchmark.dataset}"
        if base_name(benchmark.dataset) not in BENCHMARKS and benchmark.dataset not in (known := benchmark_names()):
            near = did_you_mean(benchmark.dataset, known)
            yield stop(
                "study", f"benchmarks: dataset {benchmark.dataset!r} is unknown; allowed are {', '.join(known)}{near}"
            )
        names = paper().datasets
        if benchmark.stands_for is not None and benchmark.stands_for not in names:
            near = did_you_mean(benchmark.stands_for, names) if len(names) > 12 else ""
            line = (
                f"{key}: stands_for {benchmark.stands_for!r} is no benchmark of the paper; allowed are "
                f"{', '.join(names)}{near}"
            )
            yield stop("study", line)
            continue
        column = benchmark.stands_for or paper().dataset_name(benchmark.dataset)
        if column and column in columns:
            yield stop(
                "study",
                f"{key}: stands_for {column}, and so does {columns[column]}: one data set to a column of the paper",
            )
        if column:
            columns[column] = benchmark.dataset


def check_methods(study: StudyConfig) -> Iterator[Finding]:
    """That models which are to be compared are different ones, under different ids."""
    if study.assistant and study.assistant.model == study.teacher:
        yield stop(
            "study", f"assistant.model: {study.teacher} is the teacher itself: give another model, or assistant: null"
        )
    methods: dict[str, str] = {"teacher": study.teacher}
    if study.assistant:
        methods["assistant.model"] = study.assistant.model
    if "midas-l" in study.architectures:
        methods["architectures.midas-l.model"] = study.architectures["midas-l"].model
    methods |= {f"estimators.{method}": model for method, model in study.estimators.items() if model is not None}
    seen: dict[str, str] = {}
    for key, model in methods.items():
        if model in seen and key.startswith("estimators."):
            yield stop(
                "study",
                f"{key}: {model} is {seen[model]} already: two rows of Table 5 would be one model; leave one out",
            )
        seen.setdefault(model, key)
    ids: dict[str, str] = {}
    for model in all_models(study).values():
        other = ids.setdefault(model_id(model), model)
        if other != model:
            yield stop(
                "study",
                f"{model} and {other} would have their scores in one file ({model_id(model)}): rename one of them",
            )


def check_sizes(study: StudyConfig, cells: list[Cell]) -> Iterator[Finding]:
    """That every network can take the crops, and that photos are large enough to cut them from."""
    roles: dict[tuple[int, str], str] = {}
    for cell in cells:
        roles.setdefault((cell.crop.size, cell.student.model), "student")
        for role, plan in cell.label_plans.items():
            roles.setdefault((plan.crop.size, plan.teacher), role)
    for (size, model), role in roles.items():
        network = network_of(model)
        if network is None:
            continue
        fixed = network.family == "midas-swin"
        if (fixed and size != network.patch) or size % network.patch:
            below, above = size // network.patch * network.patch, (size // network.patch + 1) * network.patch
            allowed = str(network.patch) if fixed else " or ".join(str(near) for near in (below, above) if near)
            own = [f"architectures.{name}.size" for name, one in study.architectures.items() if one.size == size]
            key = own[0] if own else "crop.size"
            line = f"{key}: {size} is no multiple of {network.patch}, the patch of the {role} {model}: take {allowed}"
            yield stop("study", line)
    photos = study.photos
    if isinstance(photos, ScenePhotos):
        short = min(photos.height, photos.width)
        if study.crop.min_crop > short:
            line = (
                f"crop.min_crop: {study.crop.min_crop} is larger than the photos, which have {photos.width} x "
                f"{photos.height} pixels: lower it to at most {short} or render larger photos"
            )
            yield stop("study", line)


def check_steps(study: StudyConfig) -> Iterator[Finding]:
    """That training's numbers fit each other."""
    optim: OptimConfig = study.optim
    if optim.warmup > optim.steps:
        yield stop(
            "study",
            f"optim.warmup: {optim.warmup} is longer than the training of optim.steps ({optim.steps}): lower it",
        )
    elif optim.warmup == optim.steps:
        yield warning(
            "study",
            f"optim.warmup: {optim.warmup} is the whole training (optim.steps): the rate never reaches its value",
        )
    count = study.photos.count
    sets = {"photos.count": count} if count else {}
    sets |= {"scaling": study.scaling[0]} if study.scaling else {}
    for key, photos in sets.items():
        if optim.batch > photos:
            twice = "a batch would hold a photo twice; lower it"
            yield stop("study", f"optim.batch: {optim.batch} is larger than the {photos} photos of {key}: {twice}")


def check_tracking(uri: str) -> Iterator[Finding]:
    """That MLflow can keep runs where the study says; the rules of `dad.tracking.store`, without importing MLflow."""
    scheme = urlsplit(uri).scheme
    allowed = "use sqlite:///mlflow.db or http://SERVER:5000"
    if scheme in ("", "file"):
        yield stop("study", f"tracking_uri: {uri!r} is a file store, which MLflow no longer supports: {allowed}")
    elif scheme not in ("http", "https") and (
        scheme != "sqlite" or not uri.startswith("sqlite:///") or uri == "sqlite:///"
    ):
        shown = f"{scheme}://..." if "@" in uri else uri
        yield stop("study", f"tracking_uri: {shown!r} is not supported: {allowed}")
    elif scheme in ("http", "https") and not urlsplit(uri).hostname:
        yield stop("study", f"tracking_uri: {uri!r} names no server: {allowed}")
