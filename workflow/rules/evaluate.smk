rule evaluate:
    input:
        model=f"{ROOT}/runs/{{cell}}/model.safetensors",
        benchmarks=benchmark_inputs,
    output:
        scores=f"{ROOT}/scores/{{group}}/{{cell}}.csv",
        summary=f"{ROOT}/scores/{{group}}/{{cell}}.json",
    log:
        f"{ROOT}/logs/evaluate/{{group}}-{{cell}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/evaluate-{{group}}-{{cell}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=240,
    params:
        benchmarks=benchmark_options,
        protocols=",".join(STUDY.protocols),
        version=STAGE_VERSION["evaluate"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model $(dirname {input.model}) {params.benchmarks}"
        " --protocol {params.protocols} --label {wildcards.cell} --out {output.scores} --summary {output.summary} > {log} 2>&1"


rule evaluate_model:
    input:
        benchmarks=benchmark_inputs,
        weights=lambda wildcards: weights(MODELS[wildcards.model]),
    output:
        scores=f"{ROOT}/scores/{{group}}/{{model}}.csv",
        summary=f"{ROOT}/scores/{{group}}/{{model}}.json",
    log:
        f"{ROOT}/logs/evaluate/{{group}}-{{model}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/evaluate-{{group}}-{{model}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=240,
    params:
        model=lambda wildcards: MODELS[wildcards.model],
        benchmarks=benchmark_options,
        protocols=",".join(STUDY.protocols),
        version=STAGE_VERSION["evaluate"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model {params.model:q} {params.benchmarks}"
        " --protocol {params.protocols} --label {wildcards.model} --out {output.scores} --summary {output.summary} > {log} 2>&1"
