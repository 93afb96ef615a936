"""`dad export`."""

import argparse

HELP = "write a trained network for use elsewhere, check it against its source, add a model card"
ABOUT = """\
Writes a trained network in a form that other programs read. What is written is compared with its source before it is
kept, and a card beside it says what it was trained on, how it scores and what its licence allows.
"""
EXAMPLE = "dad export --run results/mini/runs/CELL --format hf --out exported"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad export`."""
    parser.add_argument("--run", dest="run_folder", required=True, help="run folder, or any model that `predict` takes")
    parser.add_argument("--format", choices=["safetensors", "hf", "onnx", "onnx-int8"], required=True)
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument(
        "--photos",
        metavar="DIR",
        help="photographs that it is compared with the source on, five at most (default: drawn pictures)",
    )
    parser.add_argument("--size", type=int, help="input size to record (default: the model's own)")


def run(arguments: argparse.Namespace) -> None:
    """Export a model."""
    from dad.export import export
    from dad.outputs import check_outputs, model_files

    check_outputs(folders={"--out": arguments.out}, read={"--run": model_files(arguments.run_folder)})
    options = {"form": arguments.format, "short_side": arguments.size, "photos": arguments.photos}
    for parity in export(arguments.run_folder, arguments.out, **options):
        print(parity.line)
    print(f"written to {arguments.out}; its README.md says how to use it")
