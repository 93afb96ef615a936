"""The shipped networks are what the study says they are: small, described by their own files, and a teacher worth learning from."""

import json

import numpy as np
import pytest
import torch

from dad.data.scenes import render_scene
from dad.distill.pretrain import stages
from dad.evaluation import score
from dad.models import load
from dad.models.checkpoints import ZOO, load_network, read_header
from dad.study.base import parse_model, read_yaml
from dad.study.zoo import ZooRecipe

MEMBERS = ("vit-large", "vit-small")
HELD_OUT = 950000  # far from the seeds of training (0 and up), of the studies' photos and of the benchmarks


def best_constant(depth, mask):
    """The smallest AbsRel any constant can have: the constant is a weighted median of the truth, with weights 1 / truth."""
    values = np.sort(depth[mask].astype(np.float64))
    weights = np.cumsum(1 / values)
    constant = values[np.searchsorted(weights, weights[-1] / 2)]
    return float(np.mean(np.abs(constant - values) / values))


def test_the_best_constant_is_the_best():
    depth = np.random.default_rng(0).uniform(1, 9, (20, 30))
    mask = np.ones_like(depth, bool)
    tried = [np.mean(np.abs(constant - depth) / depth) for constant in np.linspace(0.5, 9, 2000)]
    assert best_constant(depth, mask) == pytest.approx(min(tried), abs=1e-3)


@pytest.mark.parametrize("member", MEMBERS)
def test_files_describe_themselves_and_follow_their_recipe(member):
    recipe = parse_model(ZooRecipe, read_yaml(ZOO.parents[2] / "config" / "zoo" / f"{member}.yaml"), source=member)
    header = read_header(ZOO / f"{member}.safetensors")
    assert header.network == recipe.network
    assert header.input_size == recipe.size
    assert (ZOO / f"{member}.safetensors").stat().st_size < 5e6
    log = (ZOO / f"{member}.csv").read_text().splitlines()
    assert int(log[-1].split(",")[0]) == sum(stage.optim.steps for stage in stages(recipe)) - 1
    scores = json.loads((ZOO / f"{member}.json").read_text())
    assert {entry["dataset"] for entry in scores["results"]} == {"scenes-indoor", "scenes-outdoor", "scenes-driving"}
    assert all(entry["images"] == 100 for entry in scores["results"])


def test_large_is_larger_than_small():
    sizes = [sum(p.numel() for p in load_network(f"zoo/{member}")[0].parameters()) for member in MEMBERS]
    assert sizes[0] > 3 * sizes[1]


def test_the_teacher_is_worth_learning_from():
    teacher = load("zoo/vit-large")
    errors, constants, shares = [], [], []
    for kind in ("indoor", "outdoor", "driving"):
        for seed in range(HELD_OUT, HELD_OUT + 8):
            scene = render_scene(kind, seed, height=144, width=192, samples=1)
            rgb = torch.from_numpy(scene.rgb).permute(2, 0, 1)[None] / 255
            values = score(teacher(rgb)[0, 0].numpy(), scene.depth, scene.depth > 0, kind="disparity", dataset=f"scenes-{kind}")
            errors.append(values["abs_rel"])
            shares.append(values["delta1"])
            constants.append(best_constant(scene.depth, scene.depth > 0))
    assert np.mean(errors) < 0.5 * np.mean(constants)
    assert np.mean(shares) > 0.7
