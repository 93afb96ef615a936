wildcard_constraints:
    labels=alternatives(JOBS.labels),
    view="square|patches",


# the id of a label cache holds the hash of its plan, so that another plan is another cache; the study only says what it
# stands for
rule label:
    input:
        study=ancient(study_file),
        manifest=lambda wildcards: LAYOUT.manifest(JOBS.labels[wildcards.labels].photos),
        photos=lambda wildcards: JOBS.photos(JOBS.labels[wildcards.labels].photos),
        teacher=lambda wildcards: JOBS.weights(JOBS.labels[wildcards.labels].teacher),
    output:
        f"{ROOT}/labels/{{labels}}/{{view}}/index.json",
    log:
        f"{ROOT}/logs/labels/{{labels}}-{{view}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/labels-{{labels}}-{{view}}.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wildcards: JOBS.label_needs(wildcards.labels).threads
    resources:
        mem_mb=lambda wildcards: JOBS.label_needs(wildcards.labels).mem_mb,
        runtime=lambda wildcards: JOBS.label_needs(wildcards.labels).runtime,
        gpu=lambda wildcards: JOBS.label_needs(wildcards.labels).gpu,
    params:
        out=subpath(output[0], ancestor=2),
        version=STAGE_VERSION["label"],
    shell:
        "DAD_GPUS={resources.gpu} OMP_NUM_THREADS={threads} python -m dad label --plan {wildcards.labels:q}"
        " --config {input.study:q} --view {wildcards.view} --manifest {input.manifest:q} --out {params.out:q}"
        " --workers $(({threads} - 1)) > {log:q} 2>&1"
