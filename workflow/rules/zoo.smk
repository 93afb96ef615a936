from pathlib import Path

from dad.study.zoo import recipes

# The shipped weights are re-made by `snakemake --cores N results/zoo/vit-large.safetensors results/zoo/vit-large.json`
# and copied by hand, with their log and scores, into dad/models/zoo: a study never overwrites what it was built on.
ZOO = recipes(Path(workflow.basedir, "config", "zoo"))
ZOO_SCENES = {
    scenes.key: scenes for one in ZOO.values() for scenes in (one.scenes, one.held_out)
}
ZOO_SET = "results/zoo/scenes/{kind}-{recipe}/scenes.json"


wildcard_constraints:
    member=alternatives(ZOO),
    recipe=alternatives(ZOO_SCENES),


rule zoo_scenes:
    output:
        ZOO_SET,
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
        out=subpath(output[0], parent=True),
        options=lambda wildcards: ZOO_SCENES[wildcards.recipe].options,
        version=STAGE_VERSION["scenes"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad data scenes --out {params.out} --kind {wildcards.kind} {params.options:q}"
        " --workers {threads} > {log} 2>&1"


rule pretrain:
    input:
        recipe="config/zoo/{member}.yaml",
        scenes=lambda wildcards: expand(
            ZOO_SET,
            kind=ZOO[wildcards.member].scenes.kinds,
            recipe=ZOO[wildcards.member].scenes.key,
        ),
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
        scenes=lambda wildcards, input: [
            subpath(path, parent=True) for path in input.scenes
        ],
        out=subpath(output.weights, parent=True),
        work="results/zoo/work/{member}",
    shell:
        "OMP_NUM_THREADS={threads} python -m dad pretrain --recipe {input.recipe} --scenes {params.scenes}"
        " --out {params.out} --work {params.work} > {log} 2>&1"


rule zoo_scores:
    input:
        weights="results/zoo/{member}.safetensors",
        scenes=lambda wildcards: expand(
            ZOO_SET,
            kind=ZOO[wildcards.member].held_out.kinds,
            recipe=ZOO[wildcards.member].held_out.key,
        ),
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
        benchmarks=lambda wildcards, input: [
            option
            for kind, path in zip(ZOO[wildcards.member].held_out.kinds, input.scenes)
            for option in (
                f"--dataset=scenes-{kind}",
                f"--root={subpath(path, parent=True)}",
            )
        ],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model {input.weights} {params.benchmarks:q}"
        " --label zoo/{wildcards.member} --out {output.scores} --summary {output.summary} > {log} 2>&1"
