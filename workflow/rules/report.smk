localrules:
    all,
    track,
    table,
    contact_sheet,
    claims,
    page,


rule contact_sheet:
    input:
        models=lambda wildcards: expand(
            f"{ROOT}/runs/{{cell}}/model.safetensors",
            cell=table_cells(wildcards.table),
        ),
        photos=lambda wildcards: table_manifest(wildcards.table),
        benchmarks=lambda wildcards: benchmark_markers(table_groups(wildcards.table)),
        weights=lambda wildcards: table_weights(wildcards.table),
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
        scores=lambda wildcards: table_scores(wildcards.table),
        provenance=lambda wildcards: expand(
            f"{ROOT}/runs/{{cell}}/provenance.json",
            cell=table_cells(wildcards.table),
        ),
        sheet=lambda wildcards: (
            []
            if wildcards.table == "scaling"
            else f"reports/{wildcards.table}_photos.png"
        ),
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
        drawing="reports/{table}.svg",
    log:
        table=f"{ROOT}/logs/table/{{table}}.log",
        track=f"{ROOT}/logs/track/{{table}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/table-{{table}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        tracking=1,
    params:
        study=STUDY_JSON,
        uri=STUDY.tracking_uri,
        version=STAGE_VERSION["table"],
    shell:
        # files are the truth and MLflow a view of them: a view that can not be made is a warning, never a failed study
        "OMP_NUM_THREADS=1 python -m dad table {wildcards.table} --config {params.study:q} --results results"
        " --out $(dirname {output.csv}) > {log.table} 2>&1 && "
        "{{ python -m dad track import results --uri {params.uri} --config {params.study:q} --table {wildcards.table}"
        " --reports $(dirname {output.csv}) > {log.track} 2>&1"
        " || echo 'warning: MLflow was not updated, see {log.track}'; }}"


rule figure:
    input:
        figure_inputs,
    output:
        png=report(
            "reports/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        svg="reports/{figure}.svg",
        caption="reports/{figure}.md",
    log:
        f"{ROOT}/logs/figure/{{figure}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/figure-{{figure}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        study=STUDY_JSON,
        version=STAGE_VERSION["figure"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad figure {wildcards.figure} --config {params.study:q} --results results"
        " --out $(dirname {output.png}) > {log} 2>&1"


rule claims:
    input:
        tables=expand("reports/{table}.csv", table=TABLES),
        scores=lambda wildcards: [
            path for table in TABLES for path in table_scores(table)
        ],
    output:
        page=report(
            "reports/claims.md", caption="../report/claims.rst", category="Claims"
        ),
        numbers="reports/claims.csv",
        discrepancies="reports/discrepancies.md",
    log:
        f"{ROOT}/logs/claims.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/claims.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
    params:
        study=STUDY_JSON,
        version=STAGE_VERSION["table"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad claims --config {params.study:q} --results results --out $(dirname {output.page})"
        " > {log} 2>&1"


rule page:
    input:
        tables=expand("reports/{table}.csv", table=TABLES),
        figures=expand("reports/{figure}.png", figure=FIGURES),
        claims="reports/claims.csv",
        discrepancies="reports/discrepancies.md",
    output:
        report("reports/index.html", caption="../report/page.rst", category="Page"),
    log:
        f"{ROOT}/logs/page.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/page.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=3000,
    params:
        study=STUDY_JSON,
        version=STAGE_VERSION["page"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad report --config {params.study:q} --results results --reports $(dirname {output})"
        " --out $(dirname {output}) > {log} 2>&1"


rule track:
    input:
        expand("reports/{table}.csv", table=TABLES),
        expand("reports/{figure}.png", figure=FIGURES),
    output:
        touch(f"{ROOT}/tracked"),
    log:
        f"{ROOT}/logs/track.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/track.tsv"
    conda:
        "../../environment.yml"
    resources:
        tracking=1,
    params:
        study=STUDY_JSON,
        uri=STUDY.tracking_uri,
    shell:
        "python -m dad track import results --uri {params.uri} --config {params.study:q} --reports reports > {log} 2>&1"
        " || echo 'warning: MLflow was not updated, see {log}'"
