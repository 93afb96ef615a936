from dad.study.base import read_yaml
from dad.study.zoo import ZooRecipe

# The shipped weights are re-made by `snakemake --cores N results/zoo/vit-large.safetensors` (hours on a CPU) and copied by hand,
# with their log and scores, into dad/models/zoo: a study never overwrites what it was built on.
ZOO = {
    name: parse_model(ZooRecipe, read_yaml(f"{workflow.basedir}/config/zoo/{name}.yaml"), source=name)
    for name in ("vit-large", "vit-small")
}
HELD_OUT = [f"scenes-{kind}" for kind in ("indoor", "outdoor", "driving")]


wildcard_constraints:
    member="|".join(ZOO),


rule zoo_scenes:
    output:
        "results/zoo/scenes/{kind}-{count}-{seed}-{height}x{width}x{samples}/scenes.json",
    params:
        version=STAGE_VERSION["scenes"],
    log:
        "results/zoo/logs/{kind}-{count}-{seed}-{height}x{width}x{samples}.log",
    benchmark:
        "results/zoo/benchmarks.tsv/{kind}-{count}-{seed}-{height}x{width}x{samples}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=120,
    shell:
        "OMP_NUM_THREADS=1 python -m dad data scenes --out $(dirname {output}) --kind {wildcards.kind} --count {wildcards.count}"
        " --seed {wildcards.seed} --height {wildcards.height} --width {wildcards.width} --samples {wildcards.samples}"
        " --workers {threads} > {log} 2>&1"


def zoo_scene_inputs(wildcards):
    scenes = ZOO[wildcards.member].scenes
    return [
        f"results/zoo/scenes/{kind}-{scenes.count}-{scenes.seed}-{scenes.height}x{scenes.width}x{scenes.samples}/scenes.json"
        for kind in scenes.kinds
    ]


rule pretrain:
    input:
        recipe="config/zoo/{member}.yaml",
        scenes=zoo_scene_inputs,
    output:
        weights="results/zoo/{member}.safetensors",
        log="results/zoo/{member}.csv",
    params:
        scenes=lambda wildcards, input: [os.path.dirname(path) for path in input.scenes],
        work=lambda wildcards: f"results/zoo/work/{wildcards.member}",
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
    shell:
        "OMP_NUM_THREADS={threads} python -m dad pretrain --recipe {input.recipe} --scenes {params.scenes}"
        " --out $(dirname {output.weights}) --work {params.work} > {log} 2>&1"


rule zoo_scores:
    input:
        weights="results/zoo/{member}.safetensors",
        scenes=expand("results/zoo/scenes/{kind}-100-900000-192x256x2/scenes.json", kind=["indoor", "outdoor", "driving"]),
    output:
        scores="results/zoo/{member}-scores.csv",
        summary="results/zoo/{member}.json",
    params:
        benchmarks=lambda wildcards, input: " ".join(
            f"--dataset {name} --root {os.path.dirname(path)}" for name, path in zip(HELD_OUT, input.scenes)
        ),
    log:
        "results/zoo/logs/scores-{member}.log",
    benchmark:
        "results/zoo/benchmarks.tsv/scores-{member}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2500,
    shell:
        "OMP_NUM_THREADS={threads} python -m dad evaluate --model {input.weights} {params.benchmarks} --label zoo/{wildcards.member}"
        " --out {output.scores} --summary {output.summary} > {log} 2>&1"
