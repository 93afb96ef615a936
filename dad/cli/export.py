"""`dad export`."""

import argparse

HELP = "write a trained network for use elsewhere, check it against its source, add a model card"
ABOUT = """\
Writes a trained network in a form that other programs read. What is written is compared with its source before it is kept, and a
card beside it says what it was trained on, how it scores and what its licence allows.
"""
EXAMPLE = "dad export --run results/mini/runs/CELL --format hf --out exported"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad export`."""
    parser.add_argument("--run", dest="run_folder", required=True, help="run folder, or any model that `predict` takes")
    parser.add_argument("--format", choices=["safetensors", "hf", "onnx"], required=True)
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument("--size", type=int, help="input size to record (default: the model's own)")


def run(arguments: argparse.Namespace) -> None:
    """Export a model."""
    from dad.export import export

    for parity in export(arguments.run_folder, arguments.out, form=arguments.format, short_side=arguments.size):
        print(parity.line)
