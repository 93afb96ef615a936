if STUDY.photos.source == "scenes":

    # the sets are nested: each is rendered into the same folder, on top of the next smaller one
    rule photo_scenes:
        input:
            smaller_set,
        output:
            f"{ROOT}/photos/{{kind}}/upto-{{scenes}}.json",
        log:
            f"{ROOT}/logs/photos/{{kind}}-{{scenes}}.log",
        benchmark:
            f"{ROOT}/benchmarks.tsv/photos-{{kind}}-{{scenes}}.tsv"
        conda:
            "../../environment.yml"
        resources:
            mem_mb=1000,
            runtime=60,
        params:
            seed=STUDY.photos.seed,
            size=f"--height {STUDY.photos.height} --width {STUDY.photos.width}",
            version=STAGE_VERSION["scenes"],
        shell:
            "OMP_NUM_THREADS=1 python -m dad data scenes --out $(dirname {output}) --kind {wildcards.kind}"
            " --count {wildcards.scenes} --seed {params.seed} {params.size} > {log} 2>&1"
            " && cp $(dirname {output})/scenes.json {output}"


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
        kind=lambda wildcards: wildcards.dataset.split("-")[1],
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
        manifest_inputs,
    output:
        f"{ROOT}/{{manifest}}",
    log:
        f"{ROOT}/logs/{{manifest}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/{{manifest}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        root=getattr(STUDY.photos, "root", f"{ROOT}/photos"),
        only=manifest_folders,
        seed=STUDY.photos.seed,
        version=STAGE_VERSION["manifest"],
    shell:
        "OMP_NUM_THREADS=1 python -m dad data manifest {params.root:q} {params.only} --out {output} --seed {params.seed} > {log} 2>&1"
