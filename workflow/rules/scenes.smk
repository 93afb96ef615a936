if STUDY.photos.source == "scenes":

    rule photo_scenes:
        output:
            f"{ROOT}/photos/{{kind}}/scenes.json",
        log:
            f"{ROOT}/logs/photos/{{kind}}.log",
        benchmark:
            f"{ROOT}/benchmarks.tsv/photos-{{kind}}.tsv"
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
            runtime=60,
        params:
            scenes=STUDY.photos.count // len(STUDY.photos.kinds),
            seed=STUDY.photos.seed,
            size=f"--height {STUDY.photos.height} --width {STUDY.photos.width}",
            version=STAGE_VERSION["scenes"],
        shell:
            "OMP_NUM_THREADS=1 python -m dad data scenes --out $(dirname {output}) --kind {wildcards.kind}"
            " --count {params.scenes} --seed {params.seed} {params.size} > {log} 2>&1"


rule benchmark_scenes:
    output:
        f"{ROOT}/benchmarks/{{dataset}}/scenes.json",
    log:
        f"{ROOT}/logs/benchmarks/{{dataset}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/{{dataset}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        kind=lambda wildcards: wildcards.dataset.removeprefix("scenes-"),
        scenes=lambda wildcards: RENDERED[wildcards.dataset].count,
        seed=lambda wildcards: RENDERED[wildcards.dataset].seed,
        size=lambda wildcards: (
            f"--height {RENDERED[wildcards.dataset].height} --width {RENDERED[wildcards.dataset].width}"
        ),
        version=STAGE_VERSION["scenes"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad data scenes --out $(dirname {output}) --kind {params.kind}"
        " --count {params.scenes} --seed {params.seed} {params.size} > {log} 2>&1"


rule manifest:
    input:
        (
            expand(f"{ROOT}/photos/{{kind}}/scenes.json", kind=STUDY.photos.kinds)
            if STUDY.photos.source == "scenes"
            else []
        ),
    output:
        f"{ROOT}/photos.jsonl",
    log:
        f"{ROOT}/logs/manifest.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/manifest.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        root=manifest_root,
        seed=STUDY.photos.seed,
        version=STAGE_VERSION["manifest"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad data manifest {params.root:q} --out {output} --seed {params.seed} > {log} 2>&1"
