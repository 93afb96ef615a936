"""`dad data labels`."""

import argparse
from pathlib import Path

from dad.cli._options import positive

HELP = "pseudo-labels as a data set for other projects' trainers"
ABOUT = """\
Writes the crops and the teacher's maps that `dad label` stored as images/, depth/ and data.yaml, the layout of
Ultralytics' depth data sets. The depths have no true unit: every map runs from --near to --far.
"""
EXAMPLE = "dad data labels --labels labels/square --manifest photos.jsonl --out for_yolo"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad data labels`."""
    parser.add_argument("--labels", required=True, help="one view of a label cache: LABELS/square or LABELS/patches")
    parser.add_argument("--manifest", required=True, help="the photos that were labelled")
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument(
        "--depth",
        choices=["npy", "png"],
        default="npy",
        help="float32 metres, or 16-bit millimetres (default: %(default)s)",
    )
    parser.add_argument("--count", type=positive, metavar="N", help="only the first N crops (default: all)")
    parser.add_argument(
        "--val", type=float, default=0.1, help="share of the photos for validation (default: %(default)s)"
    )
    parser.add_argument(
        "--near", type=float, default=1.0, help="assumed metres of a map's nearest pixel (default: %(default)s)"
    )
    parser.add_argument(
        "--far", type=float, default=10.0, help="assumed metres of its farthest one (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Export labels."""
    from dad.distill.label_export import export_labels

    written = export_labels(
        Path(arguments.labels),
        Path(arguments.manifest),
        Path(arguments.out),
        depth_format=arguments.depth,
        count=arguments.count,
        val=arguments.val,
        near=arguments.near,
        far=arguments.far,
    )
    print(f"{written['train']} pairs to train on and {written['val']} to validate: {Path(arguments.out) / 'data.yaml'}")
