from snakemake.utils import min_version

min_version("9.10")


# --configfile replaces the default study; were both loaded, Snakemake would merge them key by key
if not workflow.overwrite_configfiles:

    configfile: "config/mini.yaml"


report: "workflow/report/study.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/scenes.smk"
include: "workflow/rules/zoo.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        # what lies between is named too: Snakemake makes a removed intermediate result again only when it is asked for
        lambda wildcards: JOBS.trained(),
        lambda wildcards: JOBS.every_score(),
        expand(f"{REPORTS}/{{table}}.csv", table=TABLES),
        expand(f"{REPORTS}/{{figure}}.png", figure=FIGURES),
        f"{REPORTS}/claims.md",
        f"{REPORTS}/index.html",
        f"{ROOT}/tracked",


onstart:
    JOBS.trainings.write()


onsuccess:
    note_times(LAYOUT)
    logger.info(made(workflow.dag_settings.targets))


onerror:
    note_times(LAYOUT)
