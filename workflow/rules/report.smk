localrules:
    all,
    track,
    table,
    contact_sheet,


rule track:
    input:
        scores=lambda wildcards: expand(
            f"{ROOT}/scores/{{cell}}.json", cell=table_cells(wildcards.table)
        ),
        previews="reports/{table}_photos.png",
    output:
        touch(f"{ROOT}/tracked/{{table}}"),
    log:
        f"{ROOT}/logs/track/{{table}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/track-{{table}}.tsv"
    conda:
        "../../environment.yml"
    params:
        study=STUDY_JSON,
        uri=STUDY.tracking_uri,
    shell:
        # files are the truth and MLflow a view of them: a view that can not be made is a warning, never a failed study
        "python -m dad track import results --uri {params.uri} --config {params.study:q} > {log} 2>&1"
        " || echo 'warning: MLflow was not updated, see {log}'"


rule contact_sheet:
    input:
        models=lambda wildcards: expand(
            f"{ROOT}/runs/{{cell}}/model.safetensors",
            cell=table_cells(wildcards.table),
        ),
        photos=f"{ROOT}/photos.jsonl",
    output:
        report(
            "reports/{table}_photos.png",
            caption="../report/contact_sheet.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "predictions"},
        ),
    log:
        f"{ROOT}/logs/contact_sheet/{{table}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/contact_sheet-{{table}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2500,
    params:
        study=STUDY_JSON,
        version=STAGE_VERSION["table"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad figure contact-sheet --table {wildcards.table} --config {params.study:q}"
        " --results results --out $(dirname {output}) > {log} 2>&1"


rule table:
    input:
        scores=lambda wildcards: expand(
            f"{ROOT}/scores/{{cell}}.csv", cell=table_cells(wildcards.table)
        ),
        teacher=f"{ROOT}/scores/teacher.csv",
        sheet="reports/{table}_photos.png",
        tracked=f"{ROOT}/tracked/{{table}}",
    output:
        csv=report(
            "reports/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "numbers"},
        ),
        markdown="reports/{table}.md",
        plot=report(
            "reports/{table}.png",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "intervals"},
        ),
    log:
        f"{ROOT}/logs/table/{{table}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/table-{{table}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        study=STUDY_JSON,
        version=STAGE_VERSION["table"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad table {wildcards.table} --config {params.study:q} --results results"
        " --out $(dirname {output.csv}) > {log} 2>&1"
