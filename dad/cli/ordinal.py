"""`dad ordinal`."""

import argparse
import sys
from pathlib import Path

from dad.cli._options import device, device_option, positive

HELP = "which of two points is nearer: accuracy on pairs"
ABOUT = """\
Asks a model, for pairs of points, which is the nearer one. No metres and no alignment are needed. The pairs are DA-2K's
(or any in its form), or are drawn from the ground truth of a data set: the same for every model.
"""
EXAMPLE = "dad ordinal --model zoo/vit-large --annotations DA-2K/annotations.json --out ordinal.csv"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad ordinal`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="a model name or a run folder")
    source.add_argument("--predictions", help="folder of .npy maps of the images' size, named like them")
    parser.add_argument("--kind", choices=["disparity", "depth"], help="what the predictions are (with --predictions)")
    pairs = parser.add_mutually_exclusive_group(required=True)
    pairs.add_argument("--annotations", metavar="JSON", help="pairs in DA-2K's form")
    pairs.add_argument("--dataset", help="a labelled data set at --root, from whose truth pairs are drawn")
    parser.add_argument(
        "--root", help="what the annotations' paths start from (default: the file's folder); the data set's folder"
    )
    parser.add_argument("--pairs", type=positive, default=1000, help="drawn per image (default: %(default)s)")
    parser.add_argument(
        "--ratio",
        type=float,
        default=1.05,
        help="drawn pairs count from this ratio of depths on (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: %(default)s)")
    parser.add_argument("--out", required=True, help="CSV with one row per image")
    parser.add_argument("--summary", help="JSON with the means")
    parser.add_argument("--label", help="value of the CSV's model column (default: the model's name)")
    device_option(parser)


def run(arguments: argparse.Namespace) -> None:
    """Score the order of pairs."""
    from dad.errors import UserError
    from dad.evaluation.ordinal import ordinal_to_files

    if arguments.dataset and not arguments.root:
        raise UserError("--dataset needs --root, its folder")
    annotations = Path(arguments.annotations) if arguments.annotations else None
    found = ordinal_to_files(
        out=Path(arguments.out),
        root=Path(arguments.root) if arguments.root or annotations is None else annotations.parent,
        annotations=annotations,
        dataset=arguments.dataset,
        count=arguments.pairs,
        seed=arguments.seed,
        ratio=arguments.ratio,
        model=arguments.model,
        predictions=Path(arguments.predictions) if arguments.predictions else None,
        kind=arguments.kind,
        summary=Path(arguments.summary) if arguments.summary else None,
        label=arguments.label,
        device=device(arguments.device),
    )
    shares = f"accuracy {found['accuracy']:.4f}  kendall_tau {found['kendall_tau']:.4f}"
    print(f"{found['dataset']}  {shares}  ({found['pairs']} pairs, {found['images']} images)")
    if len(found["scenes"]) > 1:
        print(f"mean over {len(found['scenes'])} scenes: {found['scene_mean']:.4f}")
    for message in found["failures"][:20]:
        print(f"dad: {message}", file=sys.stderr)
    if found["failures"]:
        count = len(found["failures"])
        print(f"dad: {count} images could not be scored; {arguments.out} has a line for every image", file=sys.stderr)
        raise SystemExit(2)
