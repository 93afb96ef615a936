"""Every command that the README and the docs show works: planned by Snakemake, its options taken by `dad`."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dad.cli import _parsed

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
_PROMPT = re.compile(r"(?:    |\$ )?((?:[A-Z_]+=\S+ )*(?:snakemake|dad|make|mlflow) .*)")


def commands() -> list[tuple[str, str]]:
    """(page, command) of all code blocks and of all code in running text."""
    found = []
    for page in PAGES:
        fenced, block = False, []
        for line in page.read_text().splitlines():
            if line.startswith("```"):
                fenced = not fenced
            elif fenced or line.startswith("    "):
                block.append(line)
            else:
                block += [code for code in re.findall(r"`([^`]+)`", line) if re.match(r"(snakemake|make) [a-z-]", code)]
        joined = "\n".join(block).replace("\\\n", " ").splitlines()
        found += [
            (page.name, " ".join(match[1].split(" #")[0].split()))
            for line in joined
            if (match := _PROMPT.fullmatch(line.rstrip()))
        ]
    return list(dict.fromkeys(found))


def is_whole(command: str) -> bool:
    """Whether a command can be given as it stands: no mention of a verb, nothing about a reader's own example table."""
    return not re.search(r"\blambda\b|\.\.\.|\bVERB\b|--cores N|/(\w+),", command)


COMMANDS = [(page, command) for page, command in commands() if is_whole(command)]


@pytest.fixture
def folder(tmp_path):
    """A folder as the commands' placeholders mean it."""
    from PIL import Image

    for name in ("FOLDER", "FOLDER2"):
        (tmp_path / name).mkdir()
    for index in range(8):
        Image.new("RGB", (160, 140), (index, 0, 0)).save(tmp_path / "FOLDER" / f"{index}.jpg")
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    return tmp_path


def test_commands_are_found():
    assert len([command for page, command in COMMANDS if page == "README.md"]) > 12
    assert any("config/paper.yaml" in command and "gpu" in command for _, command in COMMANDS)


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            command
            for _, command in COMMANDS
            if command.startswith("snakemake") and "--profile profiles/slurm" not in command
        }
    ),
)
def test_a_workflow_is_planned(command, folder):
    words = shlex.split(command)[1:]
    if words == ["--unlock"]:
        pytest.skip("acts on a lock that is not there")
    if "--report" in words:
        pytest.skip("of a finished study: tests/workflow/test_workflow.py makes one")
    if not {"--cores", "-c", "--dry-run", "-n"} & set(words):
        words += ["--cores", "1"]
    run = [sys.executable, "-m", "snakemake", *words, "--dry-run", "--nolock", "--snakefile", str(ROOT / "Snakefile")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(run, capture_output=True, text=True, cwd=folder, env=environment, timeout=170)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]


def test_trainings_at_the_papers_scale_ask_for_a_gpu(folder):
    (command,) = {
        command for _, command in COMMANDS if re.match(r"snakemake .*config/paper.yaml .*--resources gpu", command)
    }
    run = [
        sys.executable,
        "-m",
        "snakemake",
        *shlex.split(command)[1:],
        "--dry-run",
        "--nolock",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    done = subprocess.run(run, capture_output=True, text=True, cwd=folder, timeout=170)
    jobs = re.findall(
        r"rule train\w*:\n(?:    .*\n)*?    output: (.*)\n(?:    .*\n)*?    resources: (.*)\n",
        done.stdout + done.stderr,
    )
    # the paper's eight students of Table 1, four of them to a job
    assert [outputs.count("model.safetensors") for outputs, _ in jobs] == [4, 4]
    trainings = [resources for _, resources in jobs]
    assert all("gpu=1" in resources for resources in trainings)
    assert all(int(re.search(r"mem_mb=(\d+)", resources)[1]) > 12000 for resources in trainings)


@pytest.mark.parametrize("command", sorted({command for _, command in COMMANDS if command.startswith("dad ")}))
def test_a_verb_takes_the_options_shown(command):
    words = shlex.split(command)[1:]
    if {"--help", "--version"} & set(words):
        with pytest.raises(SystemExit) as caught:
            _parsed(words)
        assert caught.value.code == 0
        return
    assert hasattr(_parsed(words), "run")


@pytest.mark.parametrize("command", sorted({command for _, command in COMMANDS if command.startswith("make ")}))
def test_make_knows_the_target(command):
    done = subprocess.run(
        ["make", "-n", *shlex.split(command)[1:]], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
