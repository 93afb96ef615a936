"""`dad predict`."""

import argparse
from pathlib import Path

from dad.cli._options import device, device_option, positive
from dad.errors import UserError

HELP = "predict images: float NPY, 16-bit PNG, coloured PNG; with --points, PLY"
ABOUT = """\
Predicts how far away things are in your own images. For each image it writes the numbers (NPY), a 16-bit PNG and a
picture in colour; with --points also a point cloud. The numbers have no unit.
"""
EXAMPLE = "dad predict photos/ --model zoo/vit-large --out maps"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad predict`."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files or folders of them")
    model_help = (
        "zoo name, run folder, weights file, Hugging Face name or folder, network name, or NETWORK:PATH "
        "(docs/checkpoints.md)"
    )
    parser.add_argument("--model", required=True, help=model_help)
    parser.add_argument("--out", required=True, help="folder; outputs are named like the images")
    parser.add_argument(
        "--size",
        type=int,
        help="input size in pixels (default: the model's own; what it measures is the model's policy)",
    )
    parser.add_argument(
        "--square",
        action="store_true",
        help="give up the image's aspect, as Distill Any Depth's scripts do with --size 700",
    )
    parser.add_argument(
        "--batch", type=positive, default=8, help="images of equal size per forward pass (default: %(default)s)"
    )
    device_option(parser)
    parser.add_argument(
        "--points",
        action="store_true",
        help="also write coloured points; distances are assumed, for the map is relative",
    )
    parser.add_argument(
        "--camera",
        metavar="JSON",
        help="fx, fy, cx, cy in pixels (default: a lens of 60 degrees across the longer side)",
    )
    parser.add_argument("--near", type=float, default=1.0, help="distance of the nearest point (default: %(default)s)")
    parser.add_argument("--far", type=float, default=10.0, help="distance of the farthest point (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Predict images."""
    from dad.pointcloud import read_camera
    from dad.prediction import Points, predict

    points = None
    if arguments.points:
        points = Points(
            read_camera(Path(arguments.camera)) if arguments.camera else None, arguments.near, arguments.far
        )
    elif arguments.camera:
        raise UserError("--camera is for --points")
    written, problems = predict(
        arguments.images,
        arguments.model,
        arguments.out,
        device=device(arguments.device),
        batch=arguments.batch,
        short_side=arguments.size,
        square=arguments.square,
        points=points,
    )
    print(f"{written} images predicted into {arguments.out}" + (f", {len(problems)} skipped" if problems else ""))
    if not written:
        raise UserError("no image could be predicted")
