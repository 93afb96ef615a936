rule evaluate:
    input:
        model=f"{ROOT}/runs/{{cell}}/model.safetensors",
        benchmarks=benchmark_inputs,
    output:
        scores=f"{ROOT}/scores/{{cell}}.csv",
        summary=f"{ROOT}/scores/{{cell}}.json",
    log:
        f"{ROOT}/logs/evaluate/{{cell}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/evaluate-{{cell}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=240,
    params:
        benchmarks=benchmark_options(),
        protocols=",".join(STUDY.protocols),
        version=STAGE_VERSION["evaluate"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model $(dirname {input.model}) {params.benchmarks}"
        " --protocol {params.protocols} --label {wildcards.cell} --out {output.scores} --summary {output.summary} > {log} 2>&1"


rule evaluate_teacher:
    input:
        benchmarks=benchmark_inputs,
        teacher=weights(STUDY.teacher),
    output:
        scores=f"{ROOT}/scores/teacher.csv",
        summary=f"{ROOT}/scores/teacher.json",
    log:
        f"{ROOT}/logs/evaluate/teacher.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/evaluate-teacher.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=240,
    params:
        teacher=STUDY.teacher,
        benchmarks=benchmark_options(),
        protocols=",".join(STUDY.protocols),
        version=STAGE_VERSION["evaluate"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model {params.teacher} {params.benchmarks}"
        " --protocol {params.protocols} --label teacher --out {output.scores} --summary {output.summary} > {log} 2>&1"
