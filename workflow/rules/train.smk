wildcard_constraints:
    cell=alternatives(JOBS.cells),


# a cell's id holds the hash of its config, so that another config is another cell; the study only says what the id stands for, and
# whether and where the training is followed live
rule train:
    input:
        study=ancient(study_file),
        manifest=lambda wildcards: LAYOUT.manifest(JOBS.cells[wildcards.cell].photos),
        photos=lambda wildcards: JOBS.photos(JOBS.cells[wildcards.cell].photos),
        labels=lambda wildcards: JOBS.label_caches(wildcards.cell),
        weights=lambda wildcards: JOBS.trained_from(wildcards.cell),
    output:
        config=f"{ROOT}/runs/{{cell}}/config.json",
        model=f"{ROOT}/runs/{{cell}}/model.safetensors",
        metrics=f"{ROOT}/runs/{{cell}}/metrics.csv",
        provenance=f"{ROOT}/runs/{{cell}}/provenance.json",
    log:
        f"{ROOT}/logs/train/{{cell}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/train-{{cell}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards: JOBS.train_needs(wildcards.cell).mem_mb,
        runtime=lambda wildcards: JOBS.train_needs(wildcards.cell).runtime,
        gpu=lambda wildcards: JOBS.train_needs(wildcards.cell).gpu,
    params:
        out=subpath(output.model, parent=True),
        labels=lambda wildcards: JOBS.label_options(wildcards.cell),
        # not an output: Snakemake deletes outputs before a retry, and the checkpoint must survive it
        work=f"{ROOT}/work/{{cell}}",
        version=STAGE_VERSION["train"],
    shell:
        "DAD_GPUS={resources.gpu} OMP_NUM_THREADS={threads} python -m dad train --cell {wildcards.cell:q} --config {input.study:q}"
        " --manifest {input.manifest:q} {params.labels:q} --out {params.out:q} --work {params.work:q} --workers $(({threads} - 1)) > {log:q} 2>&1"
