"""At least a thousand wrong inputs, each with what must come of it: no traceback, no hang, nothing accepted in silence.

`make fuzz` runs all; the tests take a seeded sample of every kind. DAD_FUZZ is "all" or how many, DAD_FUZZ_SEED draws
them.
"""

import importlib.util
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest


def _module(name):
    """A file of this folder, as a module of its own name: the tests are no package."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"fuzz_{name}"] = module
    spec.loader.exec_module(module)
    return module


NAMES = ("running", "pixels", "texts", "places", "verbs", "made")
running, pixels, texts, places, verbs, made = map(_module, NAMES)
ALL = [case for module in (pixels, texts, places, verbs, made) for case in module.cases()]
ASKED = os.environ.get("DAD_FUZZ", "40")


def _chosen():
    """All cases, or so many of them, every kind in turn."""
    if ASKED == "all":
        return ALL
    draw = random.Random(int(os.environ.get("DAD_FUZZ_SEED", "0")))
    kinds = {}
    for case in draw.sample(ALL, len(ALL)):
        kinds.setdefault(case.kind, []).append(case)
    turns = [
        case
        for turn in range(max(map(len, kinds.values())))
        for cases in kinds.values()
        for case in cases[turn : turn + 1]
    ]
    return turns[: int(ASKED)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", _chosen(), ids=lambda case: case.name)
def test_a_wrong_input_has_one_outcome(case, tmp_path):
    running.run(case, tmp_path / "case")


def test_there_are_enough_cases_of_every_kind():
    counts = Counter(case.kind for case in ALL)
    assert len({case.name for case in ALL}) == len(ALL) >= 1000
    assert min(counts.values()) >= 30
