if STUDY.photos.source == "scenes":

    rule photo_scenes:
        output:
            f"{ROOT}/photos/{{kind}}/scenes.json",
        params:
            scenes=STUDY.photos.count // len(STUDY.photos.kinds),
            seed=STUDY.photos.seed,
            size=f"--height {STUDY.photos.height} --width {STUDY.photos.width}",
            version=STAGE_VERSION["scenes"],
        log:
            f"{ROOT}/logs/photos/{{kind}}.log",
        benchmark:
            f"{ROOT}/benchmarks.tsv/photos-{{kind}}.tsv"
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
            runtime=60,
        shell:
            "OMP_NUM_THREADS=1 python -m dad data scenes --out $(dirname {output}) --kind {wildcards.kind}"
            " --count {params.scenes} --seed {params.seed} {params.size} > {log} 2>&1"


rule benchmark_scenes:
    output:
        f"{ROOT}/benchmarks/{{dataset}}/scenes.json",
    params:
        kind=lambda wildcards: wildcards.dataset.removeprefix("scenes-"),
        scenes=lambda wildcards: RENDERED[wildcards.dataset].count,
        seed=lambda wildcards: RENDERED[wildcards.dataset].seed,
        size=lambda wildcards: (
            f"--height {RENDERED[wildcards.dataset].height} --width {RENDERED[wildcards.dataset].width}"
        ),
        version=STAGE_VERSION["scenes"],
    log:
        f"{ROOT}/logs/benchmarks/{{dataset}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/{{dataset}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=60,
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
    params:
        root=f"{ROOT}/photos" if STUDY.photos.source == "scenes" else STUDY.photos.root,
        seed=STUDY.photos.seed,
        version=STAGE_VERSION["manifest"],
    log:
        f"{ROOT}/logs/manifest.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/manifest.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    shell:
        "OMP_NUM_THREADS=1 python -m dad data manifest {params.root:q} --out {output} --seed {params.seed} > {log} 2>&1"
