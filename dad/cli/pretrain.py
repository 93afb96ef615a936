"""`dad pretrain`."""

import argparse
from pathlib import Path

HELP = "train a model of the procedural zoo on labelled scenes"
ABOUT = """\
Trains one of the small networks that ship with the package from nothing, on rendered scenes with exact depth. A study
starts from these networks, so you need this only to make them again or to change them.
"""
EXAMPLE = (
    "dad pretrain --recipe config/zoo/vit-small.yaml --scenes scenes/indoor scenes/outdoor --out zoo --work work/zoo"
)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad pretrain`."""
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--scenes", nargs="+", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument(
        "--work", required=True, help="folder of the resumable checkpoint; the same call continues an interrupted run"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train a member of the zoo."""
    from dad.distill.pretrain import pretrain
    from dad.outputs import check_outputs
    from dad.study.base import parse_model, read_yaml
    from dad.study.zoo import ZooRecipe

    check_outputs(
        folders={"--out": arguments.out, "--work": arguments.work},
        searched={"--scenes": arguments.scenes},
        read={"--recipe": arguments.recipe},
    )
    recipe = parse_model(ZooRecipe, read_yaml(arguments.recipe), source=arguments.recipe)
    pretrain(recipe, [Path(root) for root in arguments.scenes], Path(arguments.out), Path(arguments.work))
