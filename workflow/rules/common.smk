import json
import os
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from dad.errors import UserError
from dad.files import sha256_json
from dad.report.figures import FIGURES, figure_needs
from dad.study.base import parse_model, read_yaml
from dad.study.cells import (
    TABLES,
    all_cells,
    all_models,
    dataset_group,
    label_id,
    label_views,
    model_id,
    study_groups,
    table_rows,
    teacher_rows,
)
from dad.study.cost import cost_lines
from dad.study.missing import (
    hub_repository,
    missing,
    missing_data,
    missing_photos,
    missing_weights,
)
from dad.study.photos import manifest_name, of_kind, rendered_counts
from dad.study.settings import workflow_study
from dad.study.stages import STAGE_VERSION
from dad.study.environment import use_this_interpreter
from dad.study.zoo import ZooRecipe, ZooScenes

use_this_interpreter(workflow.basedir)

try:
    # read again rather than taken from Snakemake, which knows YAML 1.1 only and no key that is given twice
    STUDY = workflow_study(workflow.configfiles, workflow.config_settings.config_args)
    CELLS = all_cells(STUDY)
except UserError as error:
    raise WorkflowError(str(error))

PACKAGE = os.path.join(workflow.basedir, "dad")
ROOT = f"results/{STUDY.name}"
RENDERED = {
    benchmark.dataset: benchmark for benchmark in STUDY.scored if benchmark.root is None
}
MODELS = all_models(STUDY)
LABELS = {
    label_id(plan): plan
    for cell in CELLS.values()
    for plan in cell.label_plans.values()
}
MANIFESTS = {manifest_name(cell.photos): cell.photos for cell in CELLS.values()}
# asked of the command line, because while the Snakefile is read Snakemake does not know yet
DRY_RUN = any(re.fullmatch(r"--dry-?run|-[a-zA-Z]*n[a-zA-Z]*", a) for a in sys.argv)
STUDY_JSON = json.dumps(STUDY.model_dump(mode="json"), sort_keys=True)

# The shipped weights are re-made by `snakemake --cores N results/zoo/vit-large.safetensors results/zoo/vit-large.json` and copied by
# hand, with their log and scores, into dad/models/zoo: a study never overwrites what it was built on.
ZOO = {
    name: parse_model(
        ZooRecipe, read_yaml(f"{workflow.basedir}/config/zoo/{name}.yaml"), source=name
    )
    for name in (
        "vit-large",
        "vit-small",
        "midas-large",
        "midas-small",
        "genpercept",
        "small-teacher",
        "small-student",
    )
}
HELD_OUT = [f"scenes-{kind}" for kind in ("indoor", "outdoor", "driving")]


wildcard_constraints:
    cell="|".join(map(re.escape, CELLS)),
    kind="indoor|outdoor|driving",
    model="|".join(map(re.escape, MODELS)),
    group="ablation|zero-shot",
    manifest="|".join(map(re.escape, MANIFESTS)),
    scenes="\\d+",
    dataset="|".join(map(re.escape, RENDERED)) or "none",
    labels="|".join(map(re.escape, LABELS)),
    view="square|patches",
    table="|".join(TABLES),
    figure="|".join(FIGURES) or "none",
    member="|".join(ZOO),


if DRY_RUN:
    for line in [*cost_lines(STUDY), *(f"missing here: {m}" for m in missing(STUDY))]:
        logger.info(line)


def require(problems):
    """Refuse to start what can not be finished; a dry run goes on and lists it."""
    if problems and not DRY_RUN:
        raise WorkflowError("; ".join(problems))


def cell_json(cell):
    """A cell's resolved config as canonical JSON: what the rules hand to the verbs, and what triggers a re-run when it changes."""
    return json.dumps(cell.model_dump(mode="json"), sort_keys=True)


def table_cells(table):
    return [name for row in table_rows(STUDY, table) for name in row.cells]


def table_groups(table):
    return study_groups(STUDY, table)


def table_models(table):
    """The models a table shows beside its cells: its own rows', and the teachers of its students."""
    rows = [*table_rows(STUDY, table), *teacher_rows(STUDY, table)]
    return list(dict.fromkeys(model_id(row.model) for row in rows if row.model))


def table_scores(table):
    """Every score file of a table, with its summary."""
    return expand(
        f"{ROOT}/scores/{{group}}/{{subject}}.{{form}}",
        form=["csv", "json"],
        group=table_groups(table),
        subject=[*table_cells(table), *table_models(table)],
    )


def weights(model):
    """The file behind a model's name, so that other weights under the same name make new results; nothing for names of a hub."""
    problem = missing_weights(model)
    require([problem] if problem and not hub_repository(model) else [])
    path = (
        os.path.join(PACKAGE, "models", f"{model}.safetensors")
        if model.startswith("zoo/")
        else model
    )
    return [path] if os.path.isfile(path) else []


def table_manifest(table):
    """The photos of a table's first student; nothing for a table without students."""
    cells = table_cells(table)[:1]
    return [f"{ROOT}/{manifest_name(CELLS[cell].photos)}" for cell in cells]


def table_weights(table):
    """The files of a table's teachers."""
    return [path for name in table_models(table) for path in weights(MODELS[name])]


def label_inputs(wildcards):
    cell = CELLS[wildcards.cell]
    if cell.labels.mode == "online":
        return []
    return expand(
        f"{ROOT}/labels/{{labels}}/{{view}}/index.json",
        labels=[label_id(plan) for plan in cell.label_plans.values()],
        view=label_views(cell),
    )


def label_options(wildcards):
    cell = CELLS[wildcards.cell]
    options = {"teacher": "--labels", "assistant": "--assistant-labels"}
    if cell.labels.mode == "online":
        return ""
    return " ".join(
        f"{options[role]} {ROOT}/labels/{label_id(plan)}"
        for role, plan in cell.label_plans.items()
    )


def group_benchmarks(group):
    return [b for b in STUDY.scored if dataset_group(STUDY, b.dataset) == group]


def benchmark_markers(groups):
    """What says that the rendered benchmarks of these groups are there."""
    require(
        [line for g in groups for b in group_benchmarks(g) for line in missing_data(b)]
    )
    return [
        f"{ROOT}/benchmarks/{b.dataset}/scenes.json"
        for group in groups
        for b in group_benchmarks(group)
        if b.root is None
    ]


def benchmark_inputs(wildcards):
    return benchmark_markers([wildcards.group])


def benchmark_options(wildcards):
    options = []
    for b in group_benchmarks(wildcards.group):
        root = b.root or f"{ROOT}/benchmarks/{b.dataset}"
        options.append(f"--dataset {b.dataset} --root {shlex.quote(root)}")
        if b.list is not None:
            options.append(f"--list {shlex.quote(f'{b.dataset}={b.list}')}")
    return " ".join(options)


def figure_inputs(wildcards):
    """What a figure is drawn from; nothing where the study can not make it, and the figure says why."""
    needs = figure_needs(STUDY, wildcards.figure)
    if needs.reason:
        return []
    return [
        *(f"{ROOT}/runs/{cell}/model.safetensors" for cell in needs.cells),
        *(f"{ROOT}/scores/{group}/{subject}.csv" for group, subject in needs.scores),
        *(path for model in needs.models for path in weights(model)),
        *(
            f"{ROOT}/benchmarks/{dataset}/scenes.json"
            for dataset in needs.datasets
            if dataset in RENDERED
        ),
        *([f"{ROOT}/{needs.manifest}"] if needs.manifest else []),
    ]


def smaller_set(wildcards):
    counts = rendered_counts(CELLS.values(), wildcards.kind)
    smaller = [count for count in counts if count < int(wildcards.scenes)]
    return [
        f"{ROOT}/photos/{wildcards.kind}/upto-{count}.json" for count in smaller[-1:]
    ]


def photo_kinds(wildcards):
    """How many scenes of each kind a manifest holds; empty for a folder of the user's."""
    photos = MANIFESTS[wildcards.manifest]
    kinds = photos.kinds if photos.source == "scenes" else ()
    counts = {kind: of_kind(photos, kind, photos.count) for kind in kinds}
    return {kind: count for kind, count in counts.items() if count}


def manifest_inputs(wildcards):
    require(missing_photos(STUDY))
    return [
        f"{ROOT}/photos/{kind}/upto-{count}.json"
        for kind, count in photo_kinds(wildcards).items()
    ]


def manifest_folders(wildcards):
    return " ".join(
        f"--only {kind}/rgb:{count}" for kind, count in photo_kinds(wildcards).items()
    )


def zoo_scene_folder(kind, scenes):
    return (
        f"results/zoo/scenes/{kind}-{sha256_json(scenes.model_dump(mode='json'))[:8]}"
    )


def held_out(member):
    """Unseen scenes that a member's scores are of: 100 of each kind, in the style and size of its own."""
    rich = ZOO[member].scenes.style == "rich"
    height, width = (384, 512) if rich else (192, 256)
    return ZooScenes(
        kinds=("indoor", "outdoor", "driving"),
        count=100,
        seed=900000,
        height=height,
        width=width,
        samples=2,
        style="rich" if rich else "plain",
    )


def zoo_scene_options(wildcards):
    sets = [recipe.scenes for recipe in ZOO.values()] + [held_out(name) for name in ZOO]
    folder = f"results/zoo/scenes/{wildcards.kind}-{wildcards.recipe}"
    scenes = next(
        one for one in sets if zoo_scene_folder(wildcards.kind, one) == folder
    )
    options = {
        "count": scenes.count,
        "seed": scenes.seed,
        "height": scenes.height,
        "width": scenes.width,
        "samples": scenes.samples,
        "style": scenes.style,
        "textures": scenes.textures,
    }
    return [
        text
        for key, value in options.items()
        if value is not None
        for text in (f"--{key}", str(value))
    ]


def zoo_scene_inputs(wildcards):
    scenes = ZOO[wildcards.member].scenes
    return [f"{zoo_scene_folder(kind, scenes)}/scenes.json" for kind in scenes.kinds]


def held_out_inputs(wildcards):
    scenes = held_out(wildcards.member)
    return [f"{zoo_scene_folder(kind, scenes)}/scenes.json" for kind in scenes.kinds]
