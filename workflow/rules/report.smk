wildcard_constraints:
    table=alternatives(known_tables(STUDY)),
    figure=alternatives(FIGURES),


# seconds each, and no model is run
localrules:
    all,
    table,
    claims,
    track,


rule contact_sheet:
    input:
        study=study_file,
        library=lambda wildcards: JOBS.library_file(wildcards.table),
        students=lambda wildcards: [
            path
            for cell in JOBS.table_cells(wildcards.table)
            for path in JOBS.subject(cell)
        ],
        models=lambda wildcards: JOBS.weights(
            *(JOBS.models[name] for name in JOBS.table_models(wildcards.table))
        ),
        # the photos of the table's first student
        photos=lambda wildcards: [
            path
            for cell in JOBS.table_cells(wildcards.table)[:1]
            for path in JOBS.training_photos(cell)
        ],
        benchmarks=lambda wildcards: JOBS.benchmarks(
            *study_groups(STUDY, wildcards.table)
        ),
    output:
        report(
            f"{REPORTS}/{{table}}_photos.png",
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
    threads: 1
    resources:
        mem_mb=lambda wildcards: JOBS.table_needs(wildcards.table).mem_mb,
        runtime=lambda wildcards: JOBS.table_needs(wildcards.table).runtime,
    params:
        out=subpath(output[0], parent=True),
        version=STAGE_VERSION["table"],
    shell:
        "DAD_GPUS=0 OMP_NUM_THREADS={threads} python -m dad figure contact-sheet --table {wildcards.table:q}"
        " --config {input.study:q} --out {params.out:q} > {log:q} 2>&1"


rule table:
    input:
        study=study_file,
        library=lambda wildcards: JOBS.library_file(wildcards.table),
        scores=lambda wildcards: JOBS.table_scores(wildcards.table),
        runs=lambda wildcards: [
            str(LAYOUT.run(cell) / name)
            for cell in JOBS.table_cells(wildcards.table)
            for name in ("config.json", "provenance.json", "metrics.csv")
        ],
        sheet=branch(
            lambda wildcards: wildcards.table != "scaling",
            then=f"{REPORTS}/{{table}}_photos.png",
            otherwise=[],
        ),
    output:
        csv=report(
            f"{REPORTS}/{{table}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "numbers"},
        ),
        markdown=f"{REPORTS}/{{table}}.md",
        details=f"{REPORTS}/{{table}}_details.md",
        latex=f"{REPORTS}/{{table}}.tex",
        plot=report(
            f"{REPORTS}/{{table}}.png",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}", "shows": "intervals"},
        ),
        drawing=f"{REPORTS}/{{table}}.svg",
    log:
        table=f"{ROOT}/logs/table/{{table}}.log",
        track=f"{ROOT}/logs/track/{{table}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/table-{{table}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
        tracking=1,
    params:
        out=subpath(output.csv, parent=True),
        version=STAGE_VERSION["table"],
    shell:
        # files are the truth and MLflow a view of them: a view that cannot be made is a warning, never a failed study
        "OMP_NUM_THREADS={threads} python -m dad table {wildcards.table:q} --config {input.study:q}"
        " --out {params.out:q} > {log.table:q} 2>&1 && {{ python -m dad track import results --config {input.study:q}"
        " --table {wildcards.table:q} --reports {params.out:q} > {log.track:q} 2>&1"
        " || echo 'warning: MLflow was not updated, see '{log.track:q}; }}"


rule figure:
    input:
        study=study_file,
        parts=lambda wildcards: JOBS.figure(figure_needs(STUDY, wildcards.figure)),
    output:
        png=report(
            f"{REPORTS}/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        svg=f"{REPORTS}/{{figure}}.svg",
        caption=f"{REPORTS}/{{figure}}.md",
    log:
        f"{ROOT}/logs/figure/{{figure}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/figure-{{figure}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: JOBS.figure_needs(
            figure_needs(STUDY, wildcards.figure)
        ).mem_mb,
        runtime=lambda wildcards: JOBS.figure_needs(
            figure_needs(STUDY, wildcards.figure)
        ).runtime,
    params:
        out=subpath(output.png, parent=True),
        version=STAGE_VERSION["figure"],
    shell:
        "DAD_GPUS=0 OMP_NUM_THREADS={threads} python -m dad figure {wildcards.figure:q} --config {input.study:q}"
        " --out {params.out:q} > {log:q} 2>&1"


rule claims:
    input:
        study=study_file,
        tables=expand(f"{REPORTS}/{{table}}.csv", table=TABLES),
        scores=lambda wildcards: JOBS.every_score(),
    output:
        page=report(
            f"{REPORTS}/claims.md", caption="../report/claims.rst", category="Claims"
        ),
        numbers=f"{REPORTS}/claims.csv",
        discrepancies=f"{REPORTS}/discrepancies.md",
    log:
        f"{ROOT}/logs/claims.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/claims.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        out=subpath(output.page, parent=True),
        version=STAGE_VERSION["table"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad claims --config {input.study:q} --out {params.out:q} > {log:q} 2>&1"


# whether the conditions of the paper's effects hold: asked for by name, before anything is trained
rule premises:
    input:
        study=study_file,
    output:
        facts=f"{ROOT}/premises/premises.json",
        page=f"{ROOT}/premises/premises.md",
        patches=f"{ROOT}/premises/premises.csv",
        picture=f"{ROOT}/premises/premises.png",
    log:
        f"{ROOT}/logs/premises.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/premises.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        out=subpath(output.facts, parent=True),
        version=STAGE_VERSION["table"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad premises --config {input.study:q} --out {params.out:q} > {log:q} 2>&1"


rule page:
    input:
        study=study_file,
        tables=expand(f"{REPORTS}/{{table}}.csv", table=TABLES),
        figures=expand(f"{REPORTS}/{{figure}}.png", figure=FIGURES),
        claims=f"{REPORTS}/claims.csv",
        discrepancies=f"{REPORTS}/discrepancies.md",
        scores=lambda wildcards: JOBS.every_score(),
    output:
        report(f"{REPORTS}/index.html", caption="../report/page.rst", category="Page"),
    log:
        f"{ROOT}/logs/page.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/page.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        out=subpath(output[0], parent=True),
        version=STAGE_VERSION["page"],
    shell:
        "DAD_GPUS=0 OMP_NUM_THREADS={threads} python -m dad report --config {input.study:q} --reports {params.out:q}"
        " --out {params.out:q} > {log:q} 2>&1"


rule track:
    input:
        study=study_file,
        tables=expand(f"{REPORTS}/{{table}}.csv", table=TABLES),
        figures=expand(f"{REPORTS}/{{figure}}.png", figure=FIGURES),
    output:
        touch(f"{ROOT}/tracked"),
    log:
        f"{ROOT}/logs/track.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/track.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
        tracking=1,
    params:
        reports=REPORTS,
    shell:
        "python -m dad track import results --config {input.study:q} --reports {params.reports:q} > {log:q} 2>&1"
        " || echo 'warning: MLflow was not updated, see '{log:q}"
