"""`dad data manifest`."""

import argparse

from dad.cli._options import positive

HELP = "hash photos into a manifest"
ABOUT = """\
Lists the photos of a folder, with their contents' hashes and sizes, in a seeded order. Training and labels refer to
this list, so that a photo that changes later is noticed; its first n photos are the nested subset of n. With --count
only these are read.
"""
EXAMPLE = "dad data manifest ~/photos --out photos.jsonl"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad data manifest`."""
    parser.add_argument("root", help="folder (recursive) with images or .tar shards, or a URL of one")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0, help="seed of the order whose prefixes are the nested subsets")
    parser.add_argument(
        "--count", type=positive, metavar="N", help="read and list only the first N photos of that order"
    )
    parser.add_argument(
        "--min-side", type=positive, default=1, metavar="PIXELS", help="the N have at least this short side"
    )
    parser.add_argument(
        "--only", action="append", metavar="FOLDER[:N]", help="only this folder in ROOT, or its first N photos"
    )


def run(arguments: argparse.Namespace) -> None:
    """Hash photos into a manifest."""
    from dad.data.manifest import describe, make_manifest

    subset = {"only": arguments.only, "count": arguments.count, "min_side": arguments.min_side}
    print(describe(make_manifest(arguments.root, arguments.out, seed=arguments.seed, **subset)))
