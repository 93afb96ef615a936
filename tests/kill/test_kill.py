"""Every stage is killed (SIGKILL) at a random moment and started again: the results are those of an undisturbed run.

`make kill` kills 100 times, Snakemake among the rest; the tests take the first ten. DAD_KILLS is the number, DAD_KILL_SEED draws
the moments. A kill counts only if the process was alive; the moments are drawn from the last three quarters of the time that the
undisturbed command took, because a verb spends the first on importing.
"""

import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("DAD_KILLS", "10"))
SEED = int(os.environ.get("DAD_KILL_SEED", "0"))
WITH_SNAKEMAKE = KILLS > 10
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}

_spec = importlib.util.spec_from_file_location("kill_stages", Path(__file__).parent / "stages.py")
stages = importlib.util.module_from_spec(_spec)
sys.modules["kill_stages"] = stages
_spec.loader.exec_module(stages)


def start(command, folder):
    return subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def finish(command, folder):
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(map(str, command[2:]))}\n{done.stderr[-3000:]}"
    return done


def killed(command, folder, seconds):
    """Whether the process, with everything that it started, was alive when it was killed after `seconds`."""
    process = start(command, folder)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def leftovers(folder):
    """Temporary files: hidden ones of ours, and whatever says of itself that it is temporary."""
    names = [path for path in folder.rglob("*") if ".snakemake" not in path.parts]
    return [str(path) for path in names if path.name.startswith(".dad-") or ".tmp" in path.name]


class Flow:
    """All stages, made once without disturbance: their times, and what they leave."""

    def __init__(self, folder):
        self.folder, self.stages = folder, stages.stages(folder)
        self.seconds, self.expected, self.counts = {}, {}, Counter()
        for stage in self.stages:
            begun = time.monotonic()
            finish(stage.command, folder)
            self.seconds[stage.name] = time.monotonic() - begun
            self.expected[stage.name] = stage.left(folder)
            assert self.expected[stage.name], stage.name
        # its times go into what is made of it
        self.provenance = next(folder.glob("results/tiny/runs/*/provenance.json"))
        self.told = self.provenance.read_bytes()

    def remove(self, stage):
        for made in stage.makes:
            path = self.folder / made
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    flow = Flow(tmp_path_factory.mktemp("kill"))
    yield flow
    print(f"\nkills: {sum(flow.counts.values())} {dict(flow.counts)}", file=sys.__stderr__)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The same study through Snakemake, made once without disturbance."""
    folder = tmp_path_factory.mktemp("snakemake")
    stages.stages(folder)
    begun = time.monotonic()
    finish(snakemake(folder), folder)
    return folder, time.monotonic() - begun, made_by_workflow(folder)


def snakemake(folder, *more):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(folder),
        "--cores",
        "2",
    ]
    return [*command, "--configfile", str(folder / "study.yaml"), "--rerun-incomplete", *(more or ("reports/tiny/one.csv",))]


def made_by_workflow(folder):
    """Every result: what the verbs made, without logs and times."""
    found = {}
    for path in sorted([*folder.glob("results/**/*"), *folder.glob("reports/**/*")]):
        # times.json and the details of a table tell when and how long; the tables, pictures and results themselves do not
        told = path.name == "times.json" or path.name.endswith("_details.md")
        if path.is_file() and not told and not {"logs", "benchmarks.tsv", "work"} & set(path.parts):
            found[path.relative_to(folder).as_posix()] = stages.without_times(path)
    return found


def moment(number, attempt, seconds):
    return random.Random(f"{SEED}/{number}/{attempt}").uniform(0.25, 1.0) * seconds


def turns():
    """Which stage each kill is for: all in turn, Snakemake last."""
    names = [*range(10), *([None] if WITH_SNAKEMAKE else [])]
    return [pytest.param(number, names[number % len(names)], id=str(number)) for number in range(KILLS)]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("number", "which"), turns())
def test_killed_and_started_again(number, which, request):
    if which is None:
        the_workflow(number, *request.getfixturevalue("study"))
        request.getfixturevalue("flow").counts["snakemake"] += 1
        return
    flow = request.getfixturevalue("flow")
    stage, folder = flow.stages[which], flow.folder
    for attempt in range(20):
        flow.remove(stage)
        if killed(stage.command, folder, moment(number, attempt, flow.seconds[stage.name])):
            break
    else:
        pytest.fail(f"{stage.name} was never alive when it was to be killed")
    flow.counts[stage.name] += 1
    expected = flow.expected[stage.name]
    if stage.read is not stages.tracked:
        # whatever is there already under its own name is whole
        partial = {name: digest for name, digest in stage.left(folder).items() if not Path(name).name.startswith(".")}
        grows = {name for name in partial if Path(name).name in ("recipe.json", "previous.pt", "last.pt", "lock")}
        assert {name: partial[name] for name in partial.keys() - grows} == {name: expected[name] for name in partial.keys() - grows}
    logged = steps_logged(folder) if stage.name == "train" else 0
    # an export refuses a folder that is not empty: one that was finished when the kill came is finished
    if stage.name != "export" or stage.left(folder) != expected:
        finish(stage.command, folder)
    assert stage.left(folder) == expected
    assert leftovers(folder) == []
    if stage.name == "train":
        assert not any(folder.glob("results/tiny/work/*"))
        resumed = json.loads(flow.provenance.read_text())["segments"][-1]["from"]
        assert logged - resumed <= stages.STUDY["optim"]["checkpoint_every"]
        flow.provenance.write_bytes(flow.told)


def steps_logged(folder):
    """How many steps the killed training had written down."""
    logs = list(folder.glob("results/tiny/work/*/metrics.csv"))
    return len(re.findall(r"\n\d", logs[0].read_text())) if logs else 0


def the_workflow(number, folder, seconds, expected):
    """Snakemake itself, with the jobs that run at that moment."""
    for attempt in range(20):
        shutil.rmtree(folder / "results"), shutil.rmtree(folder / "reports")
        if killed(snakemake(folder), folder, moment(number, attempt, seconds)):
            break
    finish(snakemake(folder, "--unlock"), folder)
    finish(snakemake(folder), folder)
    assert made_by_workflow(folder) == expected
    assert leftovers(folder) == []
    assert not any(folder.glob("results/tiny/work/*"))
