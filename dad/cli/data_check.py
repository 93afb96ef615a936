"""`dad data check`."""

import argparse
from pathlib import Path

from dad.cli._options import positive

HELP = "verify a benchmark's or photo folder's layout and files"
ABOUT = """\
Looks whether a data set is whole: are all its files there, can they be read, do they have the published counts. What is
missing is named, with how to get it.
"""
EXAMPLE = "dad data check photos ~/photos"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad data check`."""
    datasets = "nyuv2, kitti, eth3d, scannet, diode, samples, scenes-indoor, scenes-outdoor or scenes-driving"
    parser.add_argument("dataset", help=f"photos, {datasets}")
    parser.add_argument("root", help="folder or, for the five published benchmarks, .tar")
    parser.add_argument(
        "--list", metavar="FILE", help="published benchmarks: the images, one per line (default: all that are there)"
    )
    parser.add_argument(
        "--decode", type=positive, metavar="N", help="how many images are decoded (default: by the data set's size)"
    )
    parser.add_argument("--min-crop", type=positive, help="photos: count those whose short side is smaller")


def run(arguments: argparse.Namespace) -> None:
    """Verify a data set; exit code 2 if something is missing."""
    from dad.data.check import check

    listed = Path(arguments.list) if arguments.list else None
    report = check(
        arguments.dataset, arguments.root, min_crop=arguments.min_crop, decode=arguments.decode, list_file=listed
    )
    print(report.text)
    if not report.ok:
        raise SystemExit(2)
