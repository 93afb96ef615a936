"""The study folder: found in the current folder or as it ships, written whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dad.cli import main
from dad.errors import UserError
from dad.study import folder as module
from dad.study.folder import DEFAULT, PARTS, default_study, find_snakefile, study_files, write_study_folder

ROOT = Path(__file__).parents[2]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_git_knows_of_its_parts():
    known = subprocess.run(["git", "ls-files", *PARTS], cwd=ROOT, capture_output=True, text=True)
    if known.returncode:
        pytest.skip("not a git checkout")
    assert set(known.stdout.split()) <= set(study_files(ROOT))


def test_it_is_written_with_what_comes_next(tmp_path, capsys):
    assert main(["init", str(tmp_path / "study")]) == 0
    written = tree(tmp_path / "study")
    assert written == {name: (ROOT / name).read_bytes() for name in study_files(ROOT)}
    assert {"Snakefile", "environment.yml", "config/mini.yaml", "config/photos.yaml", "config/paper.yaml"} <= set(
        written
    )
    assert any(name.startswith("config/tables/") for name in written) and any(
        name.startswith("config/zoo/") for name in written
    )
    said = capsys.readouterr().out
    assert f"cd {tmp_path / 'study'} && dad check && dad run reports/table1.csv" in said and "config/mini.yaml" in said


def test_other_files_of_the_folder_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "own.yaml").write_text("name: own")
    write_study_folder(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine" and (
        tmp_path / "config" / "own.yaml"
    ).read_text() == "name: own"


@pytest.mark.parametrize(
    "path",
    ["Snakefile", "config/mini.yaml", "config", "workflow/rules"],
    ids=["file", "inner file", "folder", "inner folder"],
)
def test_a_file_of_ones_own_is_never_replaced(tmp_path, path, capsys):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("mine")
    before = tree(tmp_path)
    assert main(["init", str(tmp_path)]) == 2
    assert tree(tmp_path) == before
    assert "give another folder" in capsys.readouterr().err


def test_a_link_is_a_file_of_ones_own(tmp_path):
    (tmp_path / "Snakefile").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"\(Snakefile\)"):
        write_study_folder(tmp_path)
    assert not (tmp_path / "nowhere").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "study").write_text("mine")
    assert main(["init", str(tmp_path / "study")]) == 2
    assert (tmp_path / "study").read_text() == "mine"
    assert "no folder" in capsys.readouterr().err


@pytest.mark.parametrize("there", [False, True], ids=["new", "with files"])
def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch, there):
    target = tmp_path / "a" / "study"
    if there:
        target.mkdir(parents=True)
        (target / "notes.txt").write_text("mine")
    calls = []

    def full(path, data):
        calls.append(path)
        if len(calls) == 12:
            raise OSError(28, "No space left on device")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)

    monkeypatch.setattr(module, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_study_folder(target)
    assert len(calls) == 12
    assert tree(tmp_path) == ({"a/study/notes.txt": b"mine"} if there else {})
    assert sorted(path.name for path in tmp_path.rglob("*")) == (["a", "notes.txt", "study"] if there else [])


def test_an_interrupted_call_is_finished_by_the_next(tmp_path):
    names = list(study_files(ROOT))
    for name in names[: len(names) // 2]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    assert write_study_folder(tmp_path) == names
    assert set(tree(tmp_path)) == set(names)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write_study_folder(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_the_current_folder_comes_before_what_ships(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(default_study()).resolve() == ROOT / DEFAULT and find_snakefile().resolve() == ROOT / "Snakefile"
    write_study_folder(tmp_path)
    assert default_study() == str(DEFAULT) and find_snakefile() == Path("Snakefile")


def test_verbs_work_in_an_empty_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["matrix", "--table", "table1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 8
    assert not list(tmp_path.iterdir())


def test_rules_find_the_package_alone_where_it_is_installed(tmp_path):
    """What stands on PYTHONPATH for a rule holds `dad` and no package beside it; in a checkout it is the checkout."""
    code = (
        "import os, sys; from dad.study.environment import use_this_interpreter; use_this_interpreter(sys.argv[1]); "
        "print(os.environ['PYTHONPATH'].split(os.pathsep)[0])"
    )

    def first(root: Path) -> Path:
        done = subprocess.run(
            [sys.executable, "-c", code, str(root)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(done.stdout.strip())

    assert first(ROOT) == ROOT
    for _ in range(2):
        alone = first(tmp_path)
        assert [path.name for path in alone.iterdir()] == ["dad"] and (alone / "dad").resolve() == ROOT / "dad"
