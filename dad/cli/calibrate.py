"""`dad calibrate`."""

import argparse
from pathlib import Path

from dad.cli._options import device, device_option

HELP = "metres for one image from a few measured points"
ABOUT = """\
A depth map of this kind has no unit. Measure the distance of a few points of the photo (from the camera, along its
viewing direction), write them down as a CSV file with the columns x, y, metres, and this finds the scale and shift that
turn the map into metres, the error to expect, and the map in metres (.npy). Two points are the least, from three on the
error is known.
"""
EXAMPLE = "dad calibrate --points points.csv --image photo.jpg --model zoo/vit-large --out metres.npy"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad calibrate`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", help="the photo, which --model predicts")
    source.add_argument("--map", help="a map that is there already: .npy (H,W), with --kind")
    parser.add_argument("--model", help="as `dad predict` takes it (with --image)")
    parser.add_argument("--kind", choices=["disparity", "depth"], help="what the map is (with --map)")
    parser.add_argument(
        "--points", required=True, help="CSV with columns x, y (pixel, from 0 at the upper left) and metres"
    )
    parser.add_argument("--scale-only", action="store_true", help="fit no shift: the map is right up to a factor")
    parser.add_argument("--out", required=True, help="the map in metres: float32 .npy, NaN where there is no distance")
    parser.add_argument("--report", metavar="JSON", help="also the fit, with every point's error")
    device_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Calibrate a map."""
    import numpy as np

    from dad.evaluation.calibration import calibrate_to_files

    found, missing = calibrate_to_files(
        points=Path(arguments.points),
        out=Path(arguments.out),
        report=Path(arguments.report) if arguments.report else None,
        stored=Path(arguments.map) if arguments.map else None,
        kind=arguments.kind,
        image=Path(arguments.image) if arguments.image else None,
        model=arguments.model,
        scale_only=arguments.scale_only,
        device=device(arguments.device),
    )
    unit = "1/m" if found.kind == "disparity" else "m"
    print(f"{unit} = {found.scale:.6g} x {found.kind} + {found.shift:.6g}, from {len(found.metres)} points")
    if np.isnan(found.expected):
        print("error: not known, for the points are just enough for the fit: measure one more")
    else:
        print(
            f"error at a point that was left out: {found.expected:.1%} in the middle, {np.nanmax(found.errors):.1%} at "
            "most"
        )
    if missing:
        print(f"{missing} pixels have no distance: they lie beyond infinity in this fit, and are NaN")
    print(f"metres: {arguments.out}")
