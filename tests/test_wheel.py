"""What `pip install` brings: a wheel, installed and used in an unrelated folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml

from dad.study.folder import PARTS, study_files

ROOT = Path(__file__).parents[1]
SOURCES = (*PARTS, "dad", "setup.py", "pyproject.toml", "README.md", "LICENSE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def call(*words: object, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built once from a copy of the sources, since a build leaves files in them."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    call(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", copy / "dist", copy)
    return next((copy / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment in which the wheel's package is the one that is found."""
    site = tmp_path_factory.mktemp("site")
    call(*PIP, "install", "--no-deps", "--no-index", "--no-compile", "--quiet", "--target", site, wheel)
    return os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def study(installed, tmp_path_factory):
    """A study folder that the installed package wrote."""
    folder = tmp_path_factory.mktemp("elsewhere") / "study"
    call(sys.executable, "-m", "dad", "init", folder, cwd=folder.parent, env=installed)
    return folder


def test_it_carries_the_study_folder_once_and_the_networks(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.removeprefix("dad/study_folder/") for name in names if name.startswith("dad/study_folder/")}
    assert inside == set(study_files(ROOT))
    assert {"dad/py.typed", "dad/models/zoo/vit-large.safetensors"} <= set(names)
    assert not [name for name in names if not re.match(r"dad/|dad-[0-9.]+\.dist-info/", name)]


def test_its_description_can_be_read_away_from_the_repository(wheel):
    archive = zipfile.ZipFile(wheel)
    metadata = message_from_bytes(archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))))
    assert metadata["Description-Content-Type"] == "text/markdown"
    targets = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert targets and all(re.match(r"https://|#", target) for target in targets)
    assert any("arxiv.org/abs/2502.19204" in url for url in metadata.get_all("Project-URL"))
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert metadata["Keywords"] and metadata["License-Expression"] == "Apache-2.0"


def test_the_folder_it_writes_is_the_repositorys(study):
    for name in study_files(ROOT):
        assert (study / name).read_bytes() == (ROOT / name).read_bytes()


def test_the_study_is_listed_and_checked(study, installed):
    where = call(sys.executable, "-c", "import dad; print(dad.__file__)", cwd=study, env=installed).stdout
    assert not Path(where.strip()).is_relative_to(ROOT)
    listed = json.loads(
        call(sys.executable, "-m", "dad", "matrix", "--format", "json", cwd=study, env=installed).stdout
    )
    ours = json.loads(call(sys.executable, "-m", "dad", "matrix", "--format", "json", cwd=ROOT).stdout)
    assert [cell["id"] for cell in listed] == [cell["id"] for cell in ours]
    call(sys.executable, "-m", "dad", "check", cwd=study, env=installed)
    assert call(
        sys.executable, "-m", "dad", "matrix", "--table", "patches", cwd=study.parent, env=installed
    ).stdout.strip()


def test_snakemake_plans_it(study, installed):
    done = call(sys.executable, "-m", "snakemake", "-n", "--cores", "1", "reports/table1.csv", cwd=study, env=installed)
    assert len(re.findall(r"^rule train:", done.stdout + done.stderr, re.MULTILINE)) == 8


def test_dad_run_plans_it_where_there_is_no_study_folder(study, installed):
    """Outside of a study folder it is the one that ships: its Snakefile, its study, results in the current folder."""
    done = call(sys.executable, "-m", "dad", "run", "--dry-run", "reports/table1.csv", cwd=study.parent, env=installed)
    said = done.stdout + done.stderr
    assert re.search(r"^train +8$", said, re.MULTILINE) and "note: table1: 8 students" in said
    assert len(said.splitlines()) < 60  # what it costs and what is missing, not a page for each job


def test_condas_environment_is_the_locked_one_and_names_no_path():
    """Snakemake reads a copy of it in a folder of its own, where nothing given by a relative path would be found."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (packages,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    locked = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert packages == locked
    assert not [package for package in packages if package.startswith("-") or "/" in package]
