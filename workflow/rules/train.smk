rule train:
    input:
        manifest=lambda wildcards: f"{ROOT}/{manifest_name(CELLS[wildcards.cell].photos)}",
        labels=label_inputs,
        student=lambda wildcards: weights(CELLS[wildcards.cell].student.model),
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
        mem_mb=2500,
        runtime=2880,
    params:
        cell=lambda wildcards: cell_json(CELLS[wildcards.cell]),
        labels=label_options,
        # not an output: Snakemake deletes outputs before a retry, and the checkpoint must survive it
        work=lambda wildcards: f"{ROOT}/work/{wildcards.cell}",
        tracking=(
            f"--tracking {STUDY.tracking_uri} --config {shlex.quote(STUDY_JSON)}"
            if STUDY.live_tracking
            else ""
        ),
        version=STAGE_VERSION["train"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad train --cell {params.cell:q} --manifest {input.manifest} {params.labels}"
        " --out $(dirname {output.model}) --work {params.work} --workers $(({threads} - 1)) {params.tracking} > {log} 2>&1"
