"""Where results lie: one study's never meet another's."""

from pathlib import Path

from dad.study.cells import load_study
from dad.study.layout import Layout

ROOT = Path(__file__).parents[2]


def study(name):
    return load_study(str(ROOT / "config" / f"{name}.yaml"))


def test_the_default_studys_reports_are_directly_in_reports_and_every_others_in_a_folder_of_its_own():
    assert Layout(study("mini")).report("table1", "csv") == Path("reports/table1.csv")
    assert Layout(study("photos")).report("table1", "csv") == Path("reports/photos/table1.csv")
    assert Layout(study("photos"), "/r", "/p").reports == Path("/p/photos")


def test_paths_of_results():
    layout = Layout(study("mini"), results="elsewhere")
    assert layout.weights("c") == Path("elsewhere/mini/runs/c/model.safetensors")
    assert layout.scores("ablation", "model-vit.b-1") == Path("elsewhere/mini/scores/ablation/model-vit.b-1.csv")
    assert layout.summary("ablation", "model-vit.b-1") == Path("elsewhere/mini/scores/ablation/model-vit.b-1.json")
    assert layout.labels("l", "square") == Path("elsewhere/mini/labels/l/square")
    assert layout.manifest(layout.study.photos) == Path("elsewhere/mini/photos-500.jsonl")
    assert layout.scores("{group}", "{subject}") == Path("elsewhere/mini/scores/{group}/{subject}.csv")


def test_a_users_benchmark_is_where_the_user_says():
    assert Layout(study("paper")).benchmark("eth3d") == Path("data/eth3d")
    assert Layout(study("mini")).benchmark("scenes-indoor") == Path("results/mini/benchmarks/scenes-indoor")
