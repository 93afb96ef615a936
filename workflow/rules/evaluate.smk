wildcard_constraints:
    group="ablation|zero-shot",
    subject=alternatives([*JOBS.cells, *JOBS.models]),


# a subject is a student of this study, or a model that is scored as it is
rule evaluate:
    input:
        model=lambda wildcards: JOBS.subject(wildcards.subject),
        benchmarks=lambda wildcards: JOBS.benchmarks(wildcards.group),
        protocols=lambda wildcards: JOBS.protocols(),
    output:
        scores=f"{ROOT}/scores/{{group}}/{{subject}}.csv",
        summary=f"{ROOT}/scores/{{group}}/{{subject}}.json",
    log:
        f"{ROOT}/logs/evaluate/{{group}}-{{subject}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/evaluate-{{group}}-{{subject}}.tsv"
    conda:
        "../../environment.yml"
    # on a GPU one predicts and the others score
    threads: lambda wildcards: JOBS.score_needs(wildcards.subject).threads
    resources:
        mem_mb=lambda wildcards: JOBS.score_needs(wildcards.subject).mem_mb,
        runtime=lambda wildcards: JOBS.score_needs(wildcards.subject).runtime,
        gpu=lambda wildcards: JOBS.score_needs(wildcards.subject).gpu,
    params:
        model=lambda wildcards: JOBS.model_of(wildcards.subject),
        benchmarks=lambda wildcards: JOBS.benchmark_options(wildcards.group),
        protocols=lambda wildcards: JOBS.score_options(),
        version=STAGE_VERSION["evaluate"],
    shell:
        # an image that cannot be scored is named in the log and counted in the summary and the table, and the others
        # are scored
        "DAD_GPUS={resources.gpu} OMP_NUM_THREADS={threads} python -m dad evaluate"
        " --model {params.model:q} {params.benchmarks:q} {params.protocols:q} --label {wildcards.subject:q}"
        " --failures allow --out {output.scores:q} --summary {output.summary:q} > {log:q} 2>&1"
