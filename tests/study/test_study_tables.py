"""Tables 2 to 5 and Fig. 7 as cells, nested photo sets, the estimate of cost, what is missing on a machine."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dad.data.photos import SUFFIXES
from dad.errors import UserError
from dad.study.base import parse_model, read_yaml
from dad.study.cells import all_cells, all_models, dataset_group, load_study, model_id, study_groups, table_rows
from dad.study.changes import impossible
from dad.study.check import check
from dad.study.config import FolderPhotos, LabelConfig, ScenePhotos, StudyConfig
from dad.study.cost import cost_lines, estimate
from dad.study.jobs import Jobs
from dad.study.layout import Layout
from dad.study.paper import paper
from dad.study.photos import manifest_name, of_kind, rendered_counts

CONFIG = Path(__file__).parents[2] / "config"


def mini(**changes):
    return parse_model(StudyConfig, read_yaml(CONFIG / "mini.yaml") | changes, source="mini")


def rows(study, table):
    return {row.name: row for row in table_rows(study, table)}


def only(row):
    (cell,) = row.cells.values()
    return cell


def test_table_2_isolates_the_two_contexts():
    found = {name: only(row) for name, row in rows(mini(), "table2").items()}
    assert {name: (cell.mode, cell.normalization) for name, cell in found.items()} == {
        "baseline": ("baseline", "global"),
        "baseline-hybrid": ("baseline", "hybrid"),
        "local-global": ("local-global", "hybrid"),
        "shared": ("shared", "hybrid"),
        "cross": ("cross", "hybrid"),
    }


def test_shared_cells_are_trained_once():
    study = mini()
    assert rows(study, "table1")["shared-hybrid"].cells == rows(study, "table2")["shared"].cells
    assert rows(study, "table2")["cross"].cells == rows(study, "table4")["teacher-student"].cells
    assert rows(study, "table2")["cross"].cells == rows(study, "scaling")["ours-500"].cells
    assert rows(study, "table2")["baseline"].cells == rows(study, "scaling")["ssi-500"].cells
    listed = [name for table in paper().tables for row in table_rows(study, table) for name in row.cells]
    assert len(all_cells(study)) == len(set(listed)) == 33 < len(listed)


def test_table_3_changes_teacher_student_and_what_the_student_can_not_take():
    found = {name: only(row) for name, row in rows(mini(), "table3").items()}
    midas = found["midas-l-midas-s-ours"]
    assert (midas.teacher, midas.student.model, midas.crop.size, midas.loss.feature) == (
        "zoo/midas-large",
        "zoo/midas-small",
        128,
        0,
    )
    base, ours = found["da-l-midas-l-base"], found["da-l-midas-l-ours"]
    assert (base.mode, base.normalization, ours.mode, ours.normalization) == ("baseline", "global", "cross", "hybrid")
    same = {"mode", "normalization"}
    assert base.model_dump(exclude=same) == ours.model_dump(exclude=same)


def test_table_4_has_estimators_and_students():
    found = rows(mini(), "table4")
    assert (found["teacher"].model, found["assistant"].model) == ("zoo/vit-large", "zoo/genpercept")
    assert only(found["assistant-student"]).teacher == "zoo/genpercept"
    select = only(found["select"])
    assert (select.supervision, select.assistant.share) == ("select", 0.3)
    assert set(select.label_plans) == {"teacher", "assistant"}
    assert only(found["average"]).label_plans == select.label_plans


def test_a_study_can_change_the_students_of_one_table():
    study = mini(changes={"table4": {"student.init": "full"}})
    assert {cell.student.init for row in table_rows(study, "table4") for cell in row.cells.values()} == {"full"}
    assert table_rows(study, "table2") == table_rows(mini(), "table2")
    paper = load_study(str(CONFIG / "paper.yaml"))
    for table, init in {"table1": "encoder", "table4": "full", "table5": "encoder"}.items():
        assert {cell.student.init for row in table_rows(paper, table) for cell in row.cells.values()} == {init}
    rates = {only(row).optim.head_rate for name, row in rows(paper, "table3").items() if "-midas-" in name}
    assert rates == {1e-4}


def test_the_study_small_has_the_papers_ratios_and_more_seeds_where_the_argument_rests():
    study = load_study(str(CONFIG / "small.yaml"))
    seeds = {table: {len(row.cells) for row in table_rows(study, table) if row.cells} for table in paper().tables}
    assert seeds == {"table1": {11}, "table2": {11}, "table3": {5}, "table4": {9}, "table5": {3}, "scaling": {3}}
    sides, full = np.arange(study.crop.min_crop, study.photos.height + 1), np.arange(644, 1501)
    for of, like in zip(study.crop.size / sides[[0, -1]], 560 / full[[0, -1]], strict=True):
        assert of == pytest.approx(like, abs=0.05)
    assert np.mean(study.crop.size / sides) == pytest.approx(np.mean(560 / full), abs=0.04)
    assert study.photos.style == "rich" and {one.style for one in study.benchmarks} == {"foreign"}
    assert min(one.count for one in study.benchmarks) >= 200
    with pytest.raises(UserError, match="table_seeds: there is no table 'table9'"):
        load_study(json.dumps(read_yaml(CONFIG / "mini.yaml") | {"table_seeds": {"table9": [1]}}))


def test_table_5_trains_on_the_largest_set_and_scores_what_the_study_names():
    found = rows(mini(estimators={"dpt": "zoo/vit-small"}), "table5")
    assert only(found["ours-midas"]).photos.count == 2000
    assert {name: row.model for name, row in found.items() if row.model} == {
        "dpt": "zoo/vit-small",
        "depth-anything-v2": "zoo/vit-large",
        "genpercept": "zoo/genpercept",
        "midas-v3.1": "zoo/midas-large",
    }
    assert "printed only" in found["leres"].reason
    with pytest.raises(UserError, match="no method 'zoedepth'"):
        table_rows(mini(estimators={"zoedepth": "zoo/vit-small"}), "table5")


def test_what_a_study_does_not_name_is_left_out_with_the_reason():
    study = mini(assistant=None, architectures={}, scaling=[])
    assert "no assistant" in rows(study, "table4")["select"].reason
    assert "no midas-l and no midas-s" in rows(study, "table3")["midas-l-midas-s-ours"].reason
    assert "no da-l" in rows(study, "table5")["ours-depth-anything-v2"].reason
    assert set(rows(study, "scaling")) == {"teacher-0"}


def test_an_unnormalised_loss_against_an_assistant_is_refused_unless_asked_for():
    select = only(rows(mini(), "table4")["select"])
    raw = select.model_copy(update={"normalization": "none"})
    allowed = raw.model_copy(update={"loss": raw.loss.model_copy(update={"allow_raw_assistant": True})})
    assert "bounded per image" in impossible(raw)
    assert impossible(allowed) is None
    assert impossible(select) is None


def test_groups_of_benchmarks():
    study = mini()
    assert study_groups(study, "table1") == ("ablation",)
    assert study_groups(study, "table5") == ("ablation", "zero-shot")
    assert [dataset_group(study, one.dataset) for one in study.scored] == ["ablation"] * 2 + ["zero-shot"] * 3
    assert study_groups(mini(benchmarks=read_yaml(CONFIG / "mini.yaml")["benchmarks"][:2]), "table5") == ("ablation",)


def test_models_with_equal_slugs_have_different_ids():
    assert model_id("zoo/vit-large") == "model-vit-large"
    assert len({model_id(name) for name in ("zoo/vit-large", "other/vit-large", "other/vit-large.safetensors")}) == 3


@given(st.integers(1, 3), st.integers(3, 500), st.integers(0, 500))
def test_sets_of_rendered_photos_are_nested_and_complete(kinds, count, more):
    photos = ScenePhotos(
        source="scenes", kinds=("indoor", "outdoor", "driving")[:kinds], count=count, seed=0, height=8, width=8
    )
    small = [of_kind(photos, kind, count) for kind in photos.kinds]
    large = [of_kind(photos, kind, count + more) for kind in photos.kinds]
    assert sum(small) == count
    assert max(small) - min(small) <= 1
    assert all(one <= other for one, other in zip(small, large, strict=True))


def test_manifests_and_counts_of_the_mini_study():
    cells = all_cells(mini()).values()
    assert {manifest_name(cell.photos) for cell in cells} == {f"photos-{n}.jsonl" for n in (100, 250, 500, 1000, 2000)}
    assert rendered_counts(cells, "indoor") == [34, 84, 167, 334, 667]
    folder = {"source": "folder", "root": "photos"}
    assert manifest_name(FolderPhotos(**folder)) == "photos.jsonl"
    assert manifest_name(FolderPhotos(**folder, count=7)) == "photos-7.jsonl"


def test_cost_by_hand():
    study = mini(
        rates={"device": "a made-up one", "train": {"default": 10, "zoo/vit-large": 5}, "label": {"default": 100}}
    )
    cells = [cell for row in table_rows(study, "table1") for cell in row.cells.values()]
    cost = estimate(cells, study.rates)
    crops = 160 * 8
    assert (cost.cells, cost.steps, cost.trained) == (8, 8 * 160, 8 * crops)
    assert cost.labelled == crops + 2 * crops  # one square and two patches, shared by all cells
    assert cost.storage == 3 * crops * 112 * 112 * 2
    assert cost.train_hours == pytest.approx(8 * crops / 10 / 3600)
    assert cost.label_hours == pytest.approx(3 * crops / 100 / 3600)
    online = estimate(
        [cell.model_copy(update={"labels": cell.labels.model_copy(update={"mode": "online"})}) for cell in cells], None
    )
    assert (online.storage, online.labelled, online.train_hours) == (0, 4 * crops + 4 * 2 * crops, None)
    four = estimate(
        [cell.model_copy(update={"labels": LabelConfig(mode="online")}) for cell in cells], None, together=4
    )
    # shared and local-global cells alternate in fours: the first four need squares only, the others patches only
    assert four.labelled == crops + 2 * crops


def test_an_online_assistant_runs_in_its_share_of_steps():
    select = only(rows(mini(labels={"mode": "online"}), "table4")["select"])
    assert estimate([select], None).labelled == 160 * 8 * 3  # teacher and assistant share the steps


def test_the_papers_study_is_whole_and_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    study = load_study(str(CONFIG / "paper.yaml"))
    assert len(all_cells(study)) == 36
    assert all(
        row.reason is None
        for table in ("table1", "table2", "table3", "table4", "scaling")
        for row in table_rows(study, table)
    )
    assert len(all_models(study)) == 10
    absent = "\n".join(map(str, check(study)))
    for name in (
        "data/sa1b",
        "eth3d",
        "diode",
        "nyuv2",
        "kitti",
        "scannet",
        "V2-Large",
        "dpt_beit_large_512.pt",
        "genpercept",
    ):
        assert name in absent
    assert "36 students, 720,000 steps" in cost_lines(study)[-2]
    (tmp_path / "data" / "sa1b").mkdir(parents=True)
    assert [line for line in map(str, check(study)) if "sa1b" in line] == [
        f"stop: photos.root: data/sa1b holds no photos ({' '.join(SUFFIXES)}) and no .tar shards of them"
    ]


def test_nothing_is_missing_for_the_mini_study():
    assert [str(finding) for finding in check(mini()) if finding.severity != "note"] == []


def test_of_a_folder_only_the_photos_that_a_study_draws_from_are_listed():
    study = mini(photos={"source": "folder", "root": "photos", "count": 7, "seed": 0}, scaling=[3, 5])
    jobs = Jobs(Layout(study))
    side = study.crop.min_crop
    assert {name: jobs.manifest_options(name) for name in jobs.manifests} == {
        f"photos-{count}.jsonl": [f"--count={count}", f"--min-side={side}"] for count in (3, 5, 7)
    }
    scenes = Jobs(Layout(mini()))
    assert scenes.manifest_options("photos-100.jsonl") == [
        "--only=indoor/rgb:34",
        "--only=outdoor/rgb:33",
        "--only=driving/rgb:33",
    ]
