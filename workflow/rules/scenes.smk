wildcard_constraints:
    kind="indoor|outdoor|driving",
    scenes="\\d+",
    dataset=alternatives(JOBS.rendered),
    manifest=alternatives(JOBS.manifests),


# the sets are nested: each is rendered into the same folder, on top of the next smaller one
rule photo_scenes:
    input:
        lambda wildcards: JOBS.smaller_set(wildcards.kind, int(wildcards.scenes)),
    output:
        f"{ROOT}/photos/{{kind}}/upto-{{scenes}}.json",
    log:
        f"{ROOT}/logs/photos/{{kind}}-{{scenes}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/photos-{{kind}}-{{scenes}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        out=subpath(output[0], parent=True),
        seed=lambda wildcards: STUDY.photos.seed,
        height=lambda wildcards: STUDY.photos.height,
        width=lambda wildcards: STUDY.photos.width,
        style=lambda wildcards: STUDY.photos.style,
        version=STAGE_VERSION["scenes"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad data scenes --out {params.out:q} --kind {wildcards.kind}"
        " --count {wildcards.scenes} --seed {params.seed} --height {params.height} --width {params.width}"
        " --style {params.style} > {log:q} 2>&1 && cp {params.out:q}/scenes.json {output:q}"


rule benchmark_scenes:
    output:
        f"{ROOT}/benchmarks/{{dataset}}/scenes.json",
    log:
        f"{ROOT}/logs/benchmarks/{{dataset}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/{{dataset}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        out=subpath(output[0], parent=True),
        kind=lambda wildcards: wildcards.dataset.split("-")[1],
        scenes=lambda wildcards: JOBS.rendered[wildcards.dataset].count,
        seed=lambda wildcards: JOBS.rendered[wildcards.dataset].seed,
        height=lambda wildcards: JOBS.rendered[wildcards.dataset].height,
        width=lambda wildcards: JOBS.rendered[wildcards.dataset].width,
        style=lambda wildcards: JOBS.rendered[wildcards.dataset].style,
        version=STAGE_VERSION["scenes"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad data scenes --out {params.out:q} --kind {params.kind:q}"
        " --count {params.scenes} --seed {params.seed} --height {params.height} --width {params.width}"
        " --style {params.style} > {log:q} 2>&1"


rule manifest:
    input:
        photos=lambda wildcards: JOBS.photos(JOBS.manifests[wildcards.manifest]),
    output:
        f"{ROOT}/{{manifest}}",
    log:
        f"{ROOT}/logs/{{manifest}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/{{manifest}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        root=lambda wildcards: getattr(STUDY.photos, "root", f"{ROOT}/photos"),
        only=lambda wildcards: JOBS.manifest_options(wildcards.manifest),
        seed=lambda wildcards: STUDY.photos.seed,
        version=STAGE_VERSION["manifest"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad data manifest {params.root:q} {params.only:q} --out {output:q}"
        " --seed {params.seed} > {log:q} 2>&1"
