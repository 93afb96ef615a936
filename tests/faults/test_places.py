"""No room, no inodes, read-only: every verb says so in one line, leaves nothing that passes for a result, and finishes
later.

Each stage of the flow (`tests/kill/stages.py`) runs in a small tmpfs that holds what it reads, and fails; then the
place is given room and the same command must finish, with the files of an undisturbed run. `make faults` takes every
stage in every condition; the tests a few. Mounting needs root.
"""

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ALL = os.environ.get("DAD_FAULTS") == "all"
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "COLUMNS": "200",
}
PAGE = 4096
CONDITIONS = ("no room", "40 % of the room", "80 % of the room", "no inodes", "half the inodes", "read-only")
STAGES = ("scenes", "manifest", "label", "train", "evaluate", "predict", "export", "table", "track import") + (
    "figure",
    "claims",
    "report",
)
FEW = [
    ("scenes", "40 % of the room"),
    ("scenes", "half the inodes"),
    ("manifest", "no room"),
    ("manifest", "read-only"),
]

_spec = importlib.util.spec_from_file_location("kill_stages", Path(__file__).parents[1] / "kill" / "stages.py")
stages = importlib.util.module_from_spec(_spec)
sys.modules["kill_stages"] = stages
_spec.loader.exec_module(stages)


def run(command, folder):
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)


def left(stage, folder):
    """What a stage has left, with its digests; where it is, which a manifest says, does not count."""
    read = stage.read
    return dataclasses.replace(stage, read=lambda path: read(path).replace(os.fsencode(folder), b"HERE")).left(folder)


class Flow:
    """The stages, made once on a usual disk as far as they are needed."""

    def __init__(self, folder):
        self.folder, self.stages = folder, {stage.name: stage for stage in stages.stages(folder)}
        self.expected, self.counts = {}, Counter()

    def until(self, name):
        """A stage and those before it, made."""
        made = []
        for stage in self.stages.values():
            if stage.name not in self.expected:
                done = run(stage.command, self.folder)
                assert done.returncode == 0, done.stderr
                self.expected[stage.name] = left(stage, self.folder)
            if stage.name == name:
                return stage, made
            made.append(stage)
        raise KeyError(name)

    def size(self, stage):
        """Bytes of what a stage leaves, in whole pages."""
        files = [self.folder / name for name in self.expected[stage.name]]
        return sum(-(-file.stat().st_size // PAGE) * PAGE for file in files)


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    flow = Flow(tmp_path_factory.mktemp("flow"))
    yield flow
    print(f"\nplaces: {sum(flow.counts.values())} {dict(flow.counts)}", file=sys.__stderr__)


@pytest.fixture
def room(tmp_path):
    """A tmpfs of its own."""
    place = tmp_path / "room"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0 and mount(place, "size=64m,nr_inodes=10000")
    if not mounted:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    # lazily: where results are compared, MLflow keeps its database open in this process
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def mount(place, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def remount(place, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True, capture_output=True)


def narrow(place, condition, needed, files):
    """Leave the place with no more than the condition says."""
    facts = os.statvfs(place)
    used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    if condition == "read-only":
        remount(place, "ro")
    elif condition.endswith("inodes"):
        count = 0 if condition.startswith("no") else files // 2
        remount(place, f"nr_inodes={facts.f_files - facts.f_ffree + count}")
    else:
        share = 0 if condition.startswith("no") else int(condition.split()[0]) / 100
        remount(place, f"size={used + int(needed * share) // PAGE * PAGE}")


def cases():
    chosen = [(stage, condition) for stage in STAGES for condition in CONDITIONS] if ALL else FEW
    return [pytest.param(*case, id="-".join(case).replace(" ", "_").replace("%", "percent")) for case in chosen]


@pytest.mark.parametrize(("name", "condition"), cases())
def test_one_line_and_the_same_command_finishes_once_there_is_room(flow, room, name, condition):
    stage, before = flow.until(name)
    shutil.copy(flow.folder / "study.yaml", room)
    for made in [made for earlier in before for made in earlier.makes]:
        place = room / made
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (flow.folder / made).is_dir() else shutil.copy2)(flow.folder / made, place)
    there = set(room.rglob("*"))
    narrow(room, condition, flow.size(stage), len(flow.expected[name]))

    failed = run(stage.command, room)

    told = [line for line in failed.stderr.splitlines() if line.startswith("dad: ")]
    assert (failed.returncode, len(told)) == (2, 1), failed.stderr
    assert "Traceback" not in failed.stderr
    new = [path for path in room.rglob("*") if path not in there]
    assert [str(path) for path in new if any(mark in path.name for mark in (".dad-", ".tmp", ".new"))] == []
    if condition == "read-only":
        assert new == []
    if stage.read is not stages.tracked:
        partial, expected = left(stage, room), flow.expected[name]
        whole = partial.keys() - {file for file in partial if Path(file).name == "recipe.json"}
        assert {file: partial[file] for file in whole} == {file: expected[file] for file in whole}

    remount(room, "rw,size=512m,nr_inodes=10000")
    done = run(stage.command, room)
    assert done.returncode == 0, done.stderr
    assert left(stage, room) == flow.expected[name]
    flow.counts[condition] += 1
