rule label:
    input:
        manifest=lambda wildcards: f"{ROOT}/{manifest_name(LABELS[wildcards.labels].photos)}",
        teacher=lambda wildcards: weights(LABELS[wildcards.labels].teacher),
    output:
        f"{ROOT}/labels/{{labels}}/{{view}}/index.json",
    log:
        f"{ROOT}/logs/labels/{{labels}}-{{view}}.log",
    benchmark:
        f"{ROOT}/benchmarks.tsv/labels-{{labels}}-{{view}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2500,
        runtime=1440,
    params:
        plan=lambda wildcards: json.dumps(
            LABELS[wildcards.labels].model_dump(mode="json"), sort_keys=True
        ),
        version=STAGE_VERSION["label"],
    shell:
        "OMP_NUM_THREADS={threads} python -m dad label --plan {params.plan:q} --view {wildcards.view}"
        " --manifest {input.manifest} --out $(dirname $(dirname {output})) > {log} 2>&1"
