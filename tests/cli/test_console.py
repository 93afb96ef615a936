"""What the console says before and beside the work: sentences of help, near names, single values, a study's check."""

import json
import re
from pathlib import Path

import pytest

from dad import __version__
from dad.cli import main, verbs
from dad.study.cells import cell_id, find_cell, load_study
from dad.study.config import Cell

ROOT = Path(__file__).parents[2]
MINI = str(ROOT / "config" / "mini.yaml")


def failed(arguments, capsys) -> str:
    """The one line with which a command ends in exit code 2."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    assert code == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    return told[0]


def test_dad_alone_is_help(capsys):
    assert main([]) == 0
    told = capsys.readouterr().out
    assert "dad predict photo.jpg" in told
    assert all(name.split()[0] in told for name in verbs())


def test_the_first_word_of_a_verb_is_help(capsys):
    assert main(["data"]) == 0
    assert "manifest" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"dad {__version__}"


@pytest.mark.parametrize("name", sorted(verbs()))
def test_every_verb_explains_itself_in_sentences_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*name.split(), "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    about = told.split("\n\n")[1]
    assert re.match(r"[A-Z].*\.$", about.strip(), re.DOTALL)
    assert max(map(len, about.splitlines())) <= 140
    assert f"example:\n  dad {name}" in told


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["tarin"], "unknown verb 'tarin'; did you mean 'train'?"),
        (["data", "mainfest"], "unknown verb 'mainfest'; did you mean 'manifest'?"),
        (["matrix", "--tabel", "table1"], "unknown option --tabel; did you mean '--table'?"),
        (["matrix", "--formt=tsv"], "unknown option --formt; did you mean '--format'?"),
        (["matrix", "table1"], "unexpected table1"),
        (["matrix", "--format", "jsn"], "--format: unknown value 'jsn'; did you mean 'json'?"),
        (["zzz"], "unknown verb 'zzz'; known are "),
    ],
)
def test_the_nearest_name_is_offered(arguments, line, capsys):
    assert line in failed(arguments, capsys)


def test_an_ambiguous_cell_lists_those_it_could_be(capsys):
    line = failed(["matrix", "--config", MINI, "--cell", "shared"], capsys)
    assert "cells begin with 'shared' in study mini: " in line
    assert "shared-hybrid-" in line and "shared-none-" in line
    assert "did you mean 'shared-hybrid'?" in failed(["matrix", "--config", MINI, "--cell", "shared-hybird"], capsys)


def test_a_value_is_set_on_the_study_and_on_a_cell(capsys):
    assert (
        main(["matrix", "--config", MINI, "--set", "optim.steps=40", "--set", "seeds=[0, 1]", "--table", "table1"]) == 0
    )
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 1 + 16
    assert "16 students, 640 steps" in told.err
    assert main(["matrix", "--config", MINI, "--cell", "local-global-hybrid", "--set", "loss.local_global=0.25"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["loss_terms"]["local_global"] == 0.25
    named = find_cell(load_study(MINI), "local-global-hybrid")
    assert cell_id(Cell.model_validate(shown["cell"])) != cell_id(named)
    assert Cell.model_validate(shown["cell"]).model_dump(exclude={"loss"}) == named.model_dump(exclude={"loss"})


def test_set_reaches_labels_and_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for verb in ("label", "train"):
        arguments = [verb, "--config", MINI, "--cell", "shared-hybrid", "--manifest", "none.jsonl", "--out", "out"]
        assert "optim.stps: unknown key; did you mean 'steps'?" in failed([*arguments, "--set", "optim.stps=3"], capsys)


def test_check_says_everything_and_exits_with_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--config", MINI]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing stands in the way of this study"
    settings = ["protocols=[marigolt]", "crop.size=100", "photos=none"]
    with pytest.raises(SystemExit) as caught:
        main(["check", "--config", MINI, *(part for setting in settings for part in ("--set", setting))])
    assert caught.value.code == 2
    lines = capsys.readouterr().out.splitlines()
    for part in ("marigolt", "crop.size: 100", "'none'"):
        assert any(line.startswith("stop: ") and part in line for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_matrix_refuses_what_no_machine_could_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["matrix", "--config", MINI, "--set", "crop.size=100"])
    assert caught.value.code == 2
