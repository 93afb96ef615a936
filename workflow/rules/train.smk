wildcard_constraints:
    cell=alternatives(JOBS.cells),


# a cell's id holds the hash of its config, so that another config is another cell; the study only says what the id
# stands for, and whether and where the training is followed live
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
    wildcard_constraints:
        cell=alternatives(JOBS.alone),
    conda:
        "../../environment.yml"
    threads: lambda wildcards: JOBS.train_needs(wildcards.cell).threads
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
        "DAD_GPUS={resources.gpu} OMP_NUM_THREADS={threads} python -m dad train --cell {wildcards.cell:q}"
        " --config {input.study:q} --manifest {input.manifest:q} {params.labels:q} --out {params.out:q}"
        " --work {params.work:q} --workers $(({threads} - 1)) > {log:q} 2>&1"


# students_per_job: what `train` does, for several students that read the same labels in one process. What Snakemake
# keeps of a job (the command as it stands here, its inputs, the version) is the same however students are grouped;
# which students they are is in `output`
for GROUP, COMPANY in JOBS.together.items():

    rule:
        name:
            f"train_{GROUP}".replace("-", "_")
        input:
            study=ancient(study_file),
            manifest=LAYOUT.manifest(JOBS.cells[COMPANY.cells[0]].photos),
            photos=lambda wildcards, group=GROUP: JOBS.together_reads(group)["photos"],
            labels=lambda wildcards, group=GROUP: JOBS.together_reads(group)["labels"],
            weights=lambda wildcards, group=GROUP: JOBS.together_reads(group)["weights"],
        output:
            [str(path) for cell in COMPANY.cells for path in LAYOUT.run_files(cell)],
        log:
            f"{ROOT}/logs/train/{GROUP}.log",
        benchmark:
            f"{ROOT}/benchmarks.tsv/train-{GROUP}.tsv"
        conda:
            "../../environment.yml"
        threads: JOBS.train_needs(*COMPANY.cells).threads
        resources:
            mem_mb=JOBS.train_needs(*COMPANY.cells).mem_mb,
            runtime=JOBS.train_needs(*COMPANY.cells).runtime,
            gpu=JOBS.train_needs(*COMPANY.cells).gpu,
        params:
            students=lambda wildcards, output, group=GROUP: JOBS.together_options(group),
            version=STAGE_VERSION["train"],
        shell:
            "DAD_GPUS={resources.gpu} OMP_NUM_THREADS={threads} python -m dad train {params.students:q}"
            " --config {input.study:q} --manifest {input.manifest:q} --workers $(({threads} - 1)) > {log:q} 2>&1"

    workflow.get_rule(f"train_{GROUP}".replace("-", "_")).resources.update(
        SET_FOR_TRAININGS
    )
