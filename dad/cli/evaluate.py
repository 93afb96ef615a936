"""`dad evaluate`."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dad.cli._options import device, device_option, not_negative, positive
from dad.errors import UserError

HELP = "score a model or a folder of predictions, image by image"
ABOUT = """\
Compares a model's depth maps with measured depth, image by image. Maps without a unit are aligned to metres first, as
the protocol says; several protocols can score the same maps at once, and several models the same images: --model and
--out (and --summary, --label) are then given once for each, and an image is decoded once for all.
"""
EXAMPLE = "dad evaluate --model zoo/vit-large --dataset scenes-indoor --root scenes/indoor --out scores.csv"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad evaluate`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--model", action="append", help="a model name or a run folder; may be repeated, each with its --out"
    )
    source.add_argument(
        "--predictions", help="folder of .npy maps at the ground truth's resolution, named like the RGB files"
    )
    parser.add_argument("--kind", choices=["disparity", "depth"], help="what the predictions are (with --predictions)")
    parser.add_argument("--dataset", action="append", required=True, help="may be repeated, each with its --root")
    parser.add_argument(
        "--root", action="append", required=True, help="folder or, for the five published benchmarks, .tar"
    )
    value = "[DATASET=]"
    which = "which images of a published benchmark, in Marigold's form (default: all that are there)"
    crops = "where it is scored; nyuv2: eigen, none; kitti: eigen, garg, none (default: eigen)"
    parser.add_argument("--list", action="append", default=[], metavar=f"{value}FILE", help=which)
    parser.add_argument("--crop", action="append", default=[], metavar=f"{value}CROP", help=crops)
    parser.add_argument(
        "--protocol",
        action="append",
        help=(
            "may be repeated; names may stand together, separated by commas; or all; or a .yaml file (default: "
            "marigold)"
        ),
    )
    parser.add_argument("--out", required=True, action="append", help="CSV with one row per image and protocol")
    parser.add_argument("--summary", action="append", help="JSON with the means")
    parser.add_argument(
        "--previews", metavar="DIR", help="also pictures: photo, truth, aligned prediction, error (first protocol)"
    )
    parser.add_argument(
        "--previews-count", type=positive, metavar="N", help="of how many images of each data set (default: 8)"
    )
    parser.add_argument("--label", action="append", help="value of the CSV's model column (default: the model's name)")
    device_option(parser)
    parser.add_argument(
        "--precision",
        choices=["no", "bf16"],
        default="no",
        help="in which networks of this package predict (default: float32)",
    )
    overlap = "threads that score while the next image is predicted (default: on a GPU OMP_NUM_THREADS - 1, else none)"
    parser.add_argument("--workers", type=not_negative, metavar="N", help=overlap)
    parser.add_argument(
        "--strict", action="store_true", help="upstream's behaviour on NaN predictions and empty images"
    )
    parser.add_argument(
        "--failures",
        choices=["refuse", "allow"],
        default="refuse",
        help="images that cannot be scored are named and counted, and the others scored; then exit 2, or, allowed, 0",
    )


def run(arguments: argparse.Namespace) -> None:
    """Score a model or a folder of predictions."""
    from dad.evaluation.to_files import Scoring, score_to_files

    scorings = [Scoring(Path(one.pop("out")), **one) for one in _subjects(arguments)]
    if len(arguments.dataset) != len(arguments.root):
        raise UserError(f"give one --root per --dataset, got {len(arguments.dataset)} and {len(arguments.root)}")
    if arguments.previews_count and not arguments.previews:
        raise UserError("--previews-count is for --previews")
    previews = None
    if arguments.previews:
        from dad.report.score_previews import ScorePreviews

        previews = ScorePreviews(Path(arguments.previews), count=arguments.previews_count or 8)
    options: dict[str, dict[str, str | Path]] = {name: {} for name in arguments.dataset}
    for name, value in _by_dataset(arguments.list, "--list", arguments.dataset):
        options[name]["list_file"] = Path(value)
    for name, value in _by_dataset(arguments.crop, "--crop", arguments.dataset):
        options[name]["crop"] = value
    chosen = device(arguments.device)
    written = score_to_files(
        scorings,
        benchmarks=list(zip(arguments.dataset, map(Path, arguments.root), strict=True)),
        protocols=_protocols(arguments.protocol or ["marigold"]),
        options=options,
        device=chosen,
        precision=arguments.precision,
        strict=arguments.strict,
        lenient=arguments.failures == "allow",
        on_scored=previews,
        workers=_workers(chosen) if arguments.workers is None else arguments.workers,
    )
    for one, scoring in zip(written, scorings, strict=True):
        if len(written) > 1:
            print(one["model"])
        _print(one, scoring.out)
    if any(one["failures"] for one in written) and arguments.failures == "refuse":
        raise SystemExit(2)


def _subjects(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is scored and where it goes, from options that are given once for each."""
    models = arguments.model or [None]
    if arguments.previews and len(models) > 1:
        raise UserError("--previews is for one model")
    for option in ("out", "summary", "label"):
        given = getattr(arguments, option)
        if given and len(given) != len(models):
            raise UserError(
                f"--{option} is given {len(given)} times for {len(models)} models: give one for each --model"
            )
    for number, model in enumerate(models):
        yield {
            "out": arguments.out[number],
            "model": model,
            "predictions": Path(arguments.predictions) if arguments.predictions else None,
            "kind": arguments.kind,
            "summary": Path(arguments.summary[number]) if arguments.summary else None,
            "label": arguments.label[number] if arguments.label else None,
        }


def _workers(device: str) -> int:
    """On a GPU the job's other threads score while it predicts; on the CPU predicting needs them itself."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return max(0, int(threads) - 1) if device.startswith("cuda") and threads.isdigit() else 0


def _print(written: dict[str, Any], out: Path) -> None:
    """The means of one subject, and what could not be scored."""
    wide = max(len(f"{result['dataset']}  {result['protocol']}") for result in written["results"])
    for result in written["results"]:
        mean = result["mean"]
        apart = [
            f"{result[status]} of them {status}" for status in ("partial", "empty", "failed") if result.get(status)
        ]
        images = ", ".join([f"{result['images']} images", *apart])
        name = f"{result['dataset']}  {result['protocol']}".ljust(wide)
        numbers = [
            f"{metric} {'none' if mean[metric] is None else format(mean[metric], '.4f')}"
            for metric in ("abs_rel", "delta1")
        ]
        print(f"{name}  {'  '.join(numbers)}  ({images})")
    failures = written["failures"]
    for failure in failures[:20]:
        print(f"dad: {failure['dataset']}: {failure['message']}", file=sys.stderr)
    if failures:
        more = f"{len(failures) - 20} more; " if len(failures) > 20 else ""
        print(f"dad: {more}the rest was scored; {out} has a line for every image", file=sys.stderr)


def _protocols(given: list[str]) -> list[str]:
    """Each protocol by itself; a path may hold commas."""
    return [name for text in given for name in ([text] if Path(text).is_file() else text.split(","))]


def _by_dataset(values: list[str], option: str, datasets: list[str]) -> list[tuple[str, str]]:
    """The (data set, value) pairs of an option written VALUE, for the only data set, or DATASET=VALUE."""
    pairs = []
    for value in values:
        name, _, rest = value.partition("=")
        if name in datasets and rest:
            pairs.append((name, rest))
        elif len(datasets) == 1:
            pairs.append((datasets[0], value))
        else:
            raise UserError(
                f"{option} {value!r}: with several data sets, write {option} DATASET=VALUE ({', '.join(datasets)})"
            )
    return pairs
