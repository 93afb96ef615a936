import functools
import os
import re
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from dad.errors import UserError
from dad.files import read_json, write_json
from dad.gpus import memory_gib
from dad.report.figures import FIGURES, figure_needs
from dad.study.cells import study_groups
from dad.study.check import check
from dad.study.copies import note_times, restore_times
from dad.study.environment import use_this_interpreter
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.settings import workflow_study
from dad.study.stages import STAGE_VERSION
from dad.study.tables import known_tables, table_names
from dad.study.together import Lanes
from dad.workflow.outcome import outcome

use_this_interpreter(workflow.basedir)


# what the command line or a profile sets for the rule `train` holds for jobs of several students, too
SET_FOR_TRAININGS = workflow.resource_settings.overwrite_resources.get("train", {})


def lanes(study):
    """What this call of the workflow has for the trainings of a study."""

    def limit(name, otherwise):
        value = getattr(workflow.global_resources.get(name), "value", None)
        return value if isinstance(value, int) else otherwise

    each = SET_FOR_TRAININGS.get("gpu")
    return Lanes(
        gpus=limit("gpu", 1),
        # on a cluster there are jobs (_nodes) and not cores
        cores=limit("_cores", limit("_nodes", 1)),
        gpu_gib=memory_gib() if study.students_per_job > 1 else None,
        each=None if each is None or each.is_evaluable() else each.value,
    )


try:
    # read again rather than taken from Snakemake, which knows YAML 1.1 only and no key that is given twice
    STUDY = workflow_study(workflow.configfiles, workflow.config_settings.config_args)
    LAYOUT = Layout(STUDY)
    JOBS = Jobs(LAYOUT, lanes=lanes(STUDY), targets=sys.argv[1:])
except UserError as error:
    raise WorkflowError(str(error))

if not workflow.is_main_process:
    # a job of a cluster, which is called by its name
    JOBS.trainings.read()

ROOT, REPORTS = LAYOUT.root, LAYOUT.reports
# asked of the command line: Snakemake would say only that there is no rule
for target in sys.argv[1:]:
    if re.fullmatch(r"reports/[^/]+\.\w+", target) and str(REPORTS) != "reports":
        raise WorkflowError(
            f"{target} is the default study's; study {STUDY.name} writes {REPORTS}/{os.path.basename(target)}"
        )
TABLES = table_names(STUDY)
restore_times(LAYOUT)


def alternatives(names):
    """A wildcard's constraint: one of these names, each as it stands."""
    return "|".join(map(re.escape, names)) or "none"


@functools.cache
def ready():
    """Refuse to start what cannot be finished, all reasons at once; a dry run lists them and the cost, and goes on."""
    findings = check(STUDY)
    stops = [finding.line for finding in findings if finding.stops]
    # asked of the command line, because while jobs are planned Snakemake does not say
    dry = any(re.fullmatch(r"--dry-?run|-[a-zA-Z]*n[a-zA-Z]*", a) for a in sys.argv)
    if stops and not dry:
        raise WorkflowError("\n".join(stops))
    for finding in findings:
        if dry or finding.severity == "warning":
            logger.info(str(finding))


def study_file(wildcards):
    """The study as a file, written where it says something else than before."""
    ready()
    text = STUDY.model_dump(mode="json")
    if not LAYOUT.study_file.is_file() or read_json(LAYOUT.study_file) != text:
        write_json(LAYOUT.study_file, text)
    return str(LAYOUT.study_file)


def made(targets):
    """The tables among the targets, where they lie and what can be done next."""
    files = workflow.overwrite_configfiles
    named = os.path.relpath(files[0]) if len(files) == 1 else None
    return outcome(REPORTS, sorted(targets), config=named, uri=STUDY.tracking_uri)
