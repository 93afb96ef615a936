import json
import os
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError

# the rules' `python` is the one that runs Snakemake, and the package is found wherever it is called from, installed or not
sys.path.insert(0, workflow.basedir)
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(workflow.basedir), os.environ.get("PYTHONPATH")]))

from dad.errors import UserError
from dad.study.base import parse_model
from dad.study.cells import TABLES, all_cells, label_id, label_views, table_rows
from dad.study.config import StudyConfig
from dad.study.stages import STAGE_VERSION

try:
    STUDY = parse_model(StudyConfig, dict(config), source="the study's configuration")
    CELLS = all_cells(STUDY)
except UserError as error:
    raise WorkflowError(str(error))

ROOT = f"results/{STUDY.name}"
RENDERED = {benchmark.dataset: benchmark for benchmark in STUDY.scored if benchmark.root is None}
LABELS = {label_id(cell.label_plan): cell.label_plan for cell in CELLS.values()}
STUDY_JSON = json.dumps(STUDY.model_dump(mode="json"), sort_keys=True)

for place in [getattr(STUDY.photos, "root", None), STUDY.samples, *(benchmark.root for benchmark in STUDY.benchmarks)]:
    if place is not None and not os.path.exists(place):
        raise WorkflowError(f"the folder {place!r} named in the study's configuration does not exist")


wildcard_constraints:
    cell="|".join(map(re.escape, CELLS)),
    kind="indoor|outdoor|driving",
    dataset="|".join(map(re.escape, RENDERED)) or "none",
    labels="|".join(map(re.escape, LABELS)),
    view="square|patches",
    table="|".join(TABLES),


def cell_json(cell):
    """A cell's resolved config as canonical JSON: what the rules hand to the verbs, and what triggers a re-run when it changes."""
    return json.dumps(cell.model_dump(mode="json"), sort_keys=True)


def table_cells(table):
    return [name for row in table_rows(STUDY, table) for name in row.cells]


def label_inputs(wildcards):
    cell = CELLS[wildcards.cell]
    if cell.labels.mode == "online":
        return []
    return expand(f"{ROOT}/labels/{label_id(cell.label_plan)}/{{view}}/index.json", view=label_views(cell))


def benchmark_inputs(wildcards):
    return expand(f"{ROOT}/benchmarks/{{dataset}}/scenes.json", dataset=RENDERED)


def benchmark_options():
    return " ".join(
        f"--dataset {b.dataset} --root {b.root or f'{ROOT}/benchmarks/{b.dataset}'}" for b in STUDY.scored
    )
