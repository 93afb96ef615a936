rule zoo_scenes:
    output:
        "results/zoo/scenes/{kind}-{recipe}/scenes.json",
    log:
        "results/zoo/logs/scenes-{kind}-{recipe}.log",
    benchmark:
        "results/zoo/benchmarks.tsv/scenes-{kind}-{recipe}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        options=zoo_scene_options,
        version=STAGE_VERSION["scenes"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad data scenes --out $(dirname {output}) --kind {wildcards.kind} {params.options:q}"
        " --workers {threads} > {log} 2>&1"


rule pretrain:
    input:
        recipe="config/zoo/{member}.yaml",
        scenes=zoo_scene_inputs,
    output:
        weights="results/zoo/{member}.safetensors",
        log="results/zoo/{member}.csv",
    log:
        "results/zoo/logs/pretrain-{member}.log",
    benchmark:
        "results/zoo/benchmarks.tsv/pretrain-{member}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=720,
    params:
        scenes=lambda wildcards, input: [os.path.dirname(path) for path in input.scenes],
        work=lambda wildcards: f"results/zoo/work/{wildcards.member}",
    shell:
        "OMP_NUM_THREADS={threads} python -m dad pretrain --recipe {input.recipe} --scenes {params.scenes}"
        " --out $(dirname {output.weights}) --work {params.work} > {log} 2>&1"


rule zoo_scores:
    input:
        weights="results/zoo/{member}.safetensors",
        scenes=held_out_inputs,
    output:
        scores="results/zoo/{member}-scores.csv",
        summary="results/zoo/{member}.json",
    log:
        "results/zoo/logs/scores-{member}.log",
    benchmark:
        "results/zoo/benchmarks.tsv/scores-{member}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2500,
    params:
        benchmarks=lambda wildcards, input: " ".join(
            f"--dataset {name} --root {os.path.dirname(path)}"
            for name, path in zip(HELD_OUT, input.scenes)
        ),
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model {input.weights} {params.benchmarks} --label zoo/{wildcards.member}"
        " --out {output.scores} --summary {output.summary} > {log} 2>&1"
