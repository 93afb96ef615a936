"""Every stage is killed (SIGKILL) at a random moment and started again: the results are those of an undisturbed run.

`make kill` kills 100 times, Snakemake among the rest; the tests take ten, of the stages up to scores. DAD_KILLS is the
number, DAD_KILL_SEED draws the moments. A kill counts only if the process was alive; the moments are drawn from the
last three quarters of the time that the undisturbed command took, because a verb spends the first on importing.
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
FEW = {"scenes": 3, "held-out scenes": 1, "manifest": 2, "label": 1, "train": 1, "evaluate": 1, "predict": 1}
"""Ten kills by stage."""
MANY = {
    "scenes": 18,
    "held-out scenes": 12,
    "manifest": 20,
    "label": 8,
    "train": 8,
    "evaluate": 4,
    "predict": 5,
    "export": 3,
} | {
    "table": 5,
    "track import": 3,
    "figure": 1,
    "claims": 2,
    "report": 1,
    "snakemake": 10,
}
"""A hundred, most of them of what is quick; other numbers go through these again and again."""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}

_spec = importlib.util.spec_from_file_location("kill_stages", Path(__file__).parent / "stages.py")
stages = importlib.util.module_from_spec(_spec)
sys.modules["kill_stages"] = stages
_spec.loader.exec_module(stages)


def start(command, folder):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT | {"TMPDIR": str(folder / "system")}, **quiet)


def finish(command, folder):
    environment = ENVIRONMENT | {"TMPDIR": str(folder / "system")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)
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
    """Whatever is hidden or says of itself that it is temporary or half made; of the system's temporary files, ours."""
    names = [path for path in folder.rglob("*") if ".snakemake" not in path.parts and path.parent.name != "system"]
    found = [path for path in names if path.name.startswith(".") or ".tmp" in path.name or ".new" in path.name]
    return [str(path) for path in [*found, *(folder / "system").glob("*dad-*")] if path.name != "dad-gpus-0"]


class Flow:
    """The stages, made once without disturbance as far as they are needed: their times, and what they leave."""

    def __init__(self, folder):
        self.folder, self.stages = folder, {stage.name: stage for stage in stages.stages(folder)}
        (folder / "system").mkdir()
        self.seconds, self.expected, self.counts, self.told = {}, {}, Counter(), b""

    def stage(self, name):
        """A stage, once it and all before it are made."""
        for stage in self.stages.values():
            if stage.name not in self.expected:
                begun = time.monotonic()
                finish(stage.command, self.folder)
                self.seconds[stage.name] = time.monotonic() - begun
                self.expected[stage.name] = stage.left(self.folder)
                assert self.expected[stage.name], stage.name
                if stage.name == "train":  # its times go into what is made of it
                    self.told = self.provenance.read_bytes()
            if stage.name == name:
                return stage
        raise KeyError(name)

    @property
    def provenance(self):
        return next(self.folder.glob("results/tiny/runs/*/provenance.json"))

    def remove(self, stage):
        for made in stage.makes:
            path = self.folder / made
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


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
    (folder / "system").mkdir()
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
    return [
        *command,
        "--configfile",
        str(folder / "study.yaml"),
        "--rerun-incomplete",
        *(more or ("reports/tiny/one.csv",)),
    ]


def made_by_workflow(folder):
    """Every result: what the verbs made, without logs and times."""
    found = {}
    for path in sorted([*folder.glob("results/**/*"), *folder.glob("reports/**/*")]):
        # times.json tells when; so do tables and their details, in words that are left out
        if path.is_file() and path.name != "times.json" and not {"logs", "benchmarks.tsv", "work"} & set(path.parts):
            found[path.relative_to(folder).as_posix()] = stages.without_times(path)
    return found


def moment(number, attempt, seconds):
    return random.Random(f"{SEED}/{number}/{attempt}").uniform(0.25, 1.0) * seconds


def turns():
    """Which stage each kill is for."""
    shares = FEW if sum(FEW.values()) >= KILLS else MANY
    names = [name for name, count in shares.items() for _ in range(count)]
    # in the order of the flow, so that nothing is made that no kill needs; Snakemake last
    chosen = sorted((names[number % len(names)] for number in range(KILLS)), key=list(MANY).index)
    return [pytest.param(number, name, id=f"{number}-{name.replace(' ', '-')}") for number, name in enumerate(chosen)]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("number", "which"), turns())
def test_killed_and_started_again(number, which, request):
    flow = request.getfixturevalue("flow")
    if which == "snakemake":
        the_workflow(number, *request.getfixturevalue("study"))
        flow.counts["snakemake"] += 1
        return
    stage, folder = flow.stage(which), flow.folder
    for attempt in range(20):
        flow.remove(stage)
        if killed(stage.command, folder, moment(number, attempt, flow.seconds[stage.name])):
            break
    else:
        pytest.fail(f"{stage.name} was never alive when it was to be killed")
    expected = flow.expected[stage.name]
    if stage.read is not stages.tracked:
        # whatever is there already under its own name is whole
        partial = {name: digest for name, digest in stage.left(folder).items() if not hidden(name)}
        grows = {name for name in partial if Path(name).name in ("recipe.json", "previous.pt", "last.pt", "lock")}
        assert {name: partial[name] for name in partial.keys() - grows} == {
            name: expected[name] for name in partial.keys() - grows
        }
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
    flow.counts[stage.name] += 1


def hidden(name):
    """Whether a file, or a folder it is in, is not under its own name yet."""
    return any(part.startswith(".") for part in Path(name).parts)


def steps_logged(folder):
    """How many steps the killed training had written down."""
    logs = list(folder.glob("results/tiny/work/*/metrics.csv"))
    return len(re.findall(r"\n\d", logs[0].read_text())) if logs else 0


def the_workflow(number, folder, seconds, expected):
    """Snakemake itself, with the jobs that run at that moment."""
    for attempt in range(20):
        shutil.rmtree(folder / "results", ignore_errors=True), shutil.rmtree(folder / "reports", ignore_errors=True)
        if killed(snakemake(folder), folder, moment(number, attempt, seconds)):
            break
    finish(snakemake(folder, "--unlock"), folder)
    finish(snakemake(folder), folder)
    assert made_by_workflow(folder) == expected
    assert leftovers(folder) == []
    assert not any(folder.glob("results/tiny/work/*"))
