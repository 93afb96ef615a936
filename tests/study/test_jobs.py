"""What the workflow's jobs are told and ask for."""

import pytest

from dad.study.cells import load_study
from dad.study.config import EvaluationConfig
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.needs import score_needs, scoring_gib


@pytest.mark.parametrize(("precision", "more"), [("no", []), ("bf16", ["--precision=bf16"])])
def test_scores_in_half_precision_are_other_scores(tmp_path, precision, more):
    """Snakemake scores again where these options differ; in float32 they are what they always were."""
    study = load_study("config/mini.yaml").model_copy(update={"evaluation": EvaluationConfig(precision=precision)})
    made = Jobs(Layout(study, tmp_path / "results", tmp_path / "reports"))
    assert made.score_options() == ["--protocol=marigold", *more]


def test_scoring_on_a_gpu_has_threads_and_their_memory():
    large, small = score_needs("depth-anything-v2-large"), score_needs("zoo/vit-small")
    assert (large.gpu, large.threads, small.gpu, small.threads) == (1, 4, 0, 1)
    assert large.mem_mb > (scoring_gib("depth-anything-v2-large") + 3) * 1024
