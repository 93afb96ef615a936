import json
import os
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from dad.errors import UserError
from dad.study.base import parse_model, read_yaml
from dad.study.cells import TABLES, all_cells, label_id, label_views, table_rows
from dad.study.config import StudyConfig
from dad.study.stages import STAGE_VERSION
from dad.study.environment import use_this_interpreter
from dad.study.zoo import ZooRecipe

use_this_interpreter(workflow.basedir)

try:
    STUDY = parse_model(StudyConfig, dict(config), source="the study's configuration")
    CELLS = all_cells(STUDY)
except UserError as error:
    raise WorkflowError(str(error))

PACKAGE = os.path.join(workflow.basedir, "dad")
ROOT = f"results/{STUDY.name}"
RENDERED = {
    benchmark.dataset: benchmark for benchmark in STUDY.scored if benchmark.root is None
}
LABELS = {label_id(cell.label_plan): cell.label_plan for cell in CELLS.values()}
STUDY_JSON = json.dumps(STUDY.model_dump(mode="json"), sort_keys=True)

for place in [
    getattr(STUDY.photos, "root", None),
    STUDY.samples,
    *(benchmark.root for benchmark in STUDY.benchmarks),
]:
    if place is not None and not os.path.exists(place):
        raise WorkflowError(
            f"the folder {place!r} named in the study's configuration does not exist"
        )


# The shipped weights are re-made by `snakemake --cores N results/zoo/vit-large.safetensors results/zoo/vit-large.json` and copied by
# hand, with their log and scores, into dad/models/zoo: a study never overwrites what it was built on.
ZOO = {
    name: parse_model(
        ZooRecipe, read_yaml(f"{workflow.basedir}/config/zoo/{name}.yaml"), source=name
    )
    for name in ("vit-large", "vit-small")
}
HELD_OUT = [f"scenes-{kind}" for kind in ("indoor", "outdoor", "driving")]


wildcard_constraints:
    cell="|".join(map(re.escape, CELLS)),
    kind="indoor|outdoor|driving",
    dataset="|".join(map(re.escape, RENDERED)) or "none",
    labels="|".join(map(re.escape, LABELS)),
    view="square|patches",
    table="|".join(TABLES),
    member="|".join(ZOO),


def cell_json(cell):
    """A cell's resolved config as canonical JSON: what the rules hand to the verbs, and what triggers a re-run when it changes."""
    return json.dumps(cell.model_dump(mode="json"), sort_keys=True)


def table_cells(table):
    return [name for row in table_rows(STUDY, table) for name in row.cells]


def weights(model):
    """The file behind a model's name, so that other weights under the same name make new results; nothing for names of a hub."""
    path = (
        os.path.join(PACKAGE, "models", f"{model}.safetensors")
        if model.startswith("zoo/")
        else model
    )
    return [path] if os.path.isfile(path) else []


def label_inputs(wildcards):
    cell = CELLS[wildcards.cell]
    if cell.labels.mode == "online":
        return []
    return expand(
        f"{ROOT}/labels/{label_id(cell.label_plan)}/{{view}}/index.json",
        view=label_views(cell),
    )


def benchmark_inputs(wildcards):
    return expand(f"{ROOT}/benchmarks/{{dataset}}/scenes.json", dataset=RENDERED)


def benchmark_options():
    return " ".join(
        f"--dataset {b.dataset} --root {b.root or f'{ROOT}/benchmarks/{b.dataset}'}"
        for b in STUDY.scored
    )


def zoo_scene_inputs(wildcards):
    scenes = ZOO[wildcards.member].scenes
    return [
        f"results/zoo/scenes/{kind}-{scenes.count}-{scenes.seed}-{scenes.height}x{scenes.width}x{scenes.samples}/scenes.json"
        for kind in scenes.kinds
    ]


def manifest_root(wildcards, input):
    """The folder of photos: the user's, or the one that holds the rendered kinds."""
    return (
        STUDY.photos.root
        if STUDY.photos.source == "folder"
        else os.path.dirname(os.path.dirname(input[0]))
    )
