"""The rehearsal (`make rehearsal`) is of the whole of the paper's study, and of ViT-L once."""

import importlib.util
from pathlib import Path

import pytest

from dad.report.figures import FIGURES, figure_needs
from dad.study.base import parse_model
from dad.study.cells import all_cells, table_rows
from dad.study.config import StudyConfig
from dad.study.tables import table_names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rehearsal():
    spec = importlib.util.spec_from_file_location("rehearsal", ROOT / "benchmarks" / "rehearsal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def study(rehearsal):
    return parse_model(StudyConfig, rehearsal.rehearsed(Path("folder"), {}), source="rehearsal")


def test_every_table_has_all_of_the_papers_students_and_every_figure_can_be_made(study):
    absent = {
        (table, row.name)
        for table in table_names(study)
        for row in table_rows(study, table)
        if not row.cells and not row.model
    }
    # of methods beside the paper's, scored as they are, one of the study's three is enough; the rest are in print only
    assert absent == {("table5", name) for name in ("diversedepth", "leres", "omnidata", "hdn", "dpt", "marigold")}
    assert [name for name in FIGURES if figure_needs(study, name).reason] == []


def test_vit_l_is_the_teacher_of_one_student_at_the_papers_size(study, rehearsal):
    cells = all_cells(study, table_names(study)).values()
    [cell] = [one for one in cells if rehearsal.LARGE in (one.teacher, one.student.model)]
    assert (cell.teacher, cell.crop.size) == (rehearsal.LARGE, 560)
    assert {(one.optim.steps, one.optim.batch) for one in cells} == {(2, 1)}


@pytest.mark.parametrize(
    ("words", "stage"),
    [
        ("-m dad figure fig7 --config x", "figure"),
        ("-m dad figure contact-sheet --table vit-l --config x", "sheet with ViT-L"),
        (
            "-m dad train --cell x-depth-anything-v2-large-to-y",
            "training depth-anything-v2-large to depth-anything-v2-small, 560 pixels",
        ),
        ("-m dad data manifest data/sa1b", "data manifest"),
        ("-m snakemake --snakefile Snakefile", "Snakemake"),
        ("-c import dad", None),
    ],
)
def test_a_process_is_known_by_its_command_line(rehearsal, words, stage):
    assert rehearsal.stage(words.split()) == stage
