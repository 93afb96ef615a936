"""The study as data: what is accepted, what is refused and in which words, and what identifies a cell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dad.errors import UserError
from dad.study.base import parse_model, read_yaml
from dad.study.cells import all_cells, cell_id, dataset_group, find_cell, label_id, load_study, loss_terms, table_rows
from dad.study.config import Cell, OptimConfig, StudyConfig
from dad.study.zoo import ZooRecipe

ROOT = Path(__file__).parents[2]
MINI = ROOT / "config" / "mini.yaml"


def mini(**changes):
    return parse_model(StudyConfig, read_yaml(MINI) | changes, source="mini")


@pytest.mark.parametrize("file", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_are_valid_and_named_like_their_file(file):
    assert load_study(str(file)).name == file.stem


@pytest.mark.parametrize("file", sorted((ROOT / "config" / "zoo").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(file):
    assert parse_model(ZooRecipe, read_yaml(file), source=file.name).name == file.stem


def test_table_1_is_two_modes_by_four_normalizations_in_the_papers_order():
    rows = table_rows(mini(), "table1")
    assert [row.name for row in rows] == [
        f"{mode}-{normalization}"
        for mode in ("shared", "local-global")
        for normalization in ("global", "none", "local", "hybrid")
    ]
    assert all(len(row.cells) == 1 for row in rows)
    assert len({name for row in rows for name in row.cells}) == 8


def cells_of(study, table):
    return {name: cell for row in table_rows(study, table) for name, cell in row.cells.items()}


def test_cells_of_a_table_share_photos_crops_and_labels():
    cells = cells_of(mini(), "table1")
    assert len({label_id(cell.label_plans["teacher"]) for cell in cells.values()}) == 1


def test_seeds_multiply_cells_and_separate_labels():
    cells = cells_of(mini(seeds=[0, 1, 2]), "table1")
    assert len(cells) == 24
    assert len({label_id(cell.label_plans["teacher"]) for cell in cells.values()}) == 3


def test_the_id_is_the_config():
    cell = next(iter(all_cells(mini()).values()))
    assert cell_id(cell) == cell_id(Cell.model_validate(json.loads(cell.model_dump_json())))
    longer = cell.model_copy(update={"optim": cell.optim.model_copy(update={"steps": cell.optim.steps + 1})})
    assert cell_id(longer) != cell_id(cell)
    # known across processes and machines: results are found again by it
    code = f"from dad.study.cells import *; print(list(all_cells(load_study({str(MINI)!r})))[0])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()
    assert printed == next(iter(all_cells(load_study(str(MINI)))))


def test_loss_terms_are_equation_9():
    terms = {name: loss_terms(cell) for name, cell in cells_of(mini(), "table1").items()}
    for name, weights in terms.items():
        expected = {"feature": 1.0, "gradient": 2.0} | (
            {"shared": 1.0} if name.startswith("shared") else {"local_global": 0.5}
        )
        assert weights == expected


def test_an_impossible_combination_is_listed_with_its_reason():
    study = mini(loss={"local_global": 0})
    rows = {row.name: row for row in table_rows(study, "table1")}
    assert rows["local-global-hybrid"].cells == {}
    assert "no distillation term left" in rows["local-global-hybrid"].reason
    assert rows["shared-hybrid"].reason is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": [1]}, "sedes: unknown key"),
        ({"seeds": []}, "seeds"),
        ({"teacher": None}, "teacher"),
        ({"optim": {"steps": 5, "batch": 2, "encoder_rate": "fast", "head_rate": 1e-3}}, "optim.encoder_rate.*'fast'"),
        ({"crop": {"size": 0, "min_crop": 5, "patches": 1}}, "crop.size"),
        ({"photos": {"source": "web"}}, "photos"),
        (
            {
                "photos": {
                    "source": "scenes",
                    "kinds": ["indoor", "driving"],
                    "count": 1,
                    "seed": 0,
                    "height": 9,
                    "width": 9,
                }
            },
            "at least the number of kinds",
        ),
        ({"benchmarks": [{"dataset": "kitti"}]}, "kitti is not rendered here: give root"),
        ({"benchmarks": [{"dataset": "scenes-indoor", "count": 3}]}, "needs seed, height, width"),
    ],
)
def test_mistakes_are_one_line_naming_key_and_value(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        mini(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["5e-5", "5E-5", "5.0e-5", "0.00005", "'5e-5'"])
def test_scientific_notation_is_a_number_in_every_spelling(tmp_path, text):
    file = tmp_path / "optim.yaml"
    file.write_text(f"steps: 10\nbatch: 2\nencoder_rate: 5.0e-6\nhead_rate: {text}\n")
    assert parse_model(OptimConfig, read_yaml(file), source="optim").head_rate == 5e-5


def test_a_plain_string_is_a_folder_of_photos():
    assert mini(photos="some/folder").photos.root == "some/folder"


def test_samples_are_scored_beside_the_benchmarks():
    study = mini(samples="pairs")
    assert [benchmark.dataset for benchmark in study.scored] == [*(b.dataset for b in mini().scored), "samples"]
    assert dataset_group(study, "samples") == "ablation"


def test_models_are_frozen():
    with pytest.raises(ValueError):
        mini().teacher = "other"


def test_cells_are_found_by_a_unique_beginning():
    study = mini()
    assert find_cell(study, "shared-hybrid").normalization == "hybrid"
    with pytest.raises(UserError, match="6 cells begin with 'shared'"):
        find_cell(study, "shared")
    with pytest.raises(UserError, match="no cell 'global'"):
        find_cell(study, "global")


def test_unknown_table():
    with pytest.raises(UserError, match="unknown table 'table9'; known: table1"):
        table_rows(mini(), "table9")


@pytest.mark.parametrize(
    ("content", "message"), [("[1, 2]", "must hold a mapping"), ("a: [", "not valid YAML"), (None, "cannot read")]
)
def test_unreadable_files(tmp_path, content, message):
    file = tmp_path / "study.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=message):
        load_study(str(file))


@given(st.sampled_from(["global", "hybrid", "local", "none"]), st.integers(0, 2**31))
def test_ids_are_file_names(normalization, seed):
    cell = next(iter(all_cells(mini()).values())).model_copy(update={"normalization": normalization, "seed": seed})
    name = cell_id(cell)
    assert name.startswith(f"shared-{normalization}-vit-large-to-vit-small-n500-s{seed}-")
    assert "/" not in name


def test_changes_are_of_a_table_that_there_is_and_of_fields_of_a_cell():
    values = read_yaml(MINI)
    for changes, message in (
        ({"table9": {"student.init": "full"}}, "changes: there is no table 'table9'"),
        ({"table4": {"student.unit": "full"}}, "student.unit is no field of a cell"),
    ):
        with pytest.raises(UserError, match=message):
            load_study(json.dumps(values | {"changes": changes}))
