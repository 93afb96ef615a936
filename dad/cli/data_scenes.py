"""`dad data scenes`."""

import argparse

from dad.cli._options import positive

HELP = "render procedural scenes: RGB, exact depth, camera"
ABOUT = """\
Renders rooms, landscapes or streets with exact depth, as images to train on or as a benchmark where no real one is at
hand. The same seed gives the same scenes.
"""
EXAMPLE = "dad data scenes --out scenes/indoor --kind indoor --count 100 --seed 0"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad data scenes`."""
    parser.add_argument("--out", required=True)
    parser.add_argument("--count", type=positive, required=True)
    parser.add_argument("--seed", type=int, required=True, help="scene i has the seed SEED + i")
    parser.add_argument("--kind", required=True, help="indoor, outdoor or driving")
    parser.add_argument("--height", type=positive, default=192)
    parser.add_argument("--width", type=positive, default=256)
    parser.add_argument(
        "--samples", type=positive, default=2, help="rays per pixel and axis, style plain (default: %(default)s)"
    )
    parser.add_argument(
        "--style",
        default="plain",
        help="plain: simple bodies; rich: things with parts, real lenses and light; foreign: other places, lenses and "
        "light than rich, for benchmarks (default: %(default)s)",
    )
    parser.add_argument("--textures", metavar="DIR", help="photographs for some of the surfaces, not in style plain")
    parser.add_argument("--workers", type=positive, default=1, help="processes")


def run(arguments: argparse.Namespace) -> None:
    """Render scenes."""
    from dad.data.scenes import write_scenes

    write_scenes(
        arguments.out,
        kind=arguments.kind,
        count=arguments.count,
        seed=arguments.seed,
        height=arguments.height,
        width=arguments.width,
        samples=arguments.samples,
        style=arguments.style,
        textures=arguments.textures,
        workers=arguments.workers,
    )
