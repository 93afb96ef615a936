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
        expand(f"{ROOT}/runs/{{cell}}/model.safetensors", cell=CELLS),
        [path for table in TABLES for path in table_scores(table)],
        expand("reports/{table}.csv", table=TABLES),
        expand("reports/{figure}.png", figure=FIGURES),
        "reports/claims.md",
        "reports/index.html",
        f"{ROOT}/tracked",
