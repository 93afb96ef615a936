"""The command line: thin verbs over the package. Heavy modules are imported by the verb that needs them."""

import argparse
import os
import sys

from dad import verbs
from dad.errors import CollapseError, UserError

DEFAULT_STUDY = "config/mini.yaml"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


class _Parser(argparse.ArgumentParser):
    """argparse, with mistakes in one line and exit code 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="dad", description="Distill Any Depth: train, label, evaluate and report. `dad VERB --help` explains each verb."
    )
    top = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(parent: argparse._SubParsersAction, name: str, run: object, text: str, example: str) -> argparse.ArgumentParser:
        formatter = argparse.RawDescriptionHelpFormatter
        added = parent.add_parser(name, help=text, description=text, epilog=f"example:\n  {example}", formatter_class=formatter)
        added.set_defaults(run=run)
        return added

    p = verb(
        top,
        "matrix",
        verbs.matrix,
        "list a study's cells and what they cost, or print one cell's config",
        "dad matrix --table table1",
    )
    p.add_argument("--config", default=DEFAULT_STUDY, help="study file (default: %(default)s)")
    p.add_argument("--table", help="only this table")
    p.add_argument("--cell", metavar="ID", help="print this cell's config and loss terms (a unique beginning of its id is enough)")
    p.add_argument("--format", choices=["tsv", "json"], default="tsv")

    data = top.add_parser("data", help="scenes, photos and benchmarks").add_subparsers(
        dest="data_verb", required=True, metavar="VERB"
    )
    example = "dad data scenes --out scenes/indoor --kind indoor --count 100 --seed 0"
    p = verb(data, "scenes", verbs.data_scenes, "render procedural scenes: RGB, exact depth, camera", example)
    p.add_argument("--out", required=True)
    p.add_argument("--count", type=_positive, required=True)
    p.add_argument("--seed", type=int, required=True, help="scene i has the seed SEED + i")
    p.add_argument("--kind", required=True, help="indoor, outdoor or driving")
    p.add_argument("--height", type=_positive, default=192)
    p.add_argument("--width", type=_positive, default=256)
    p.add_argument("--samples", type=_positive, default=2, help="rays per pixel and axis (default: %(default)s)")
    p.add_argument("--workers", type=_positive, default=1, help="processes")
    p = verb(
        data,
        "check",
        verbs.data_check,
        "verify a benchmark's or photo folder's layout and files",
        "dad data check photos ~/photos",
    )
    datasets = "nyuv2, kitti, eth3d, scannet, diode, samples, scenes-indoor, scenes-outdoor or scenes-driving"
    p.add_argument("dataset", help=f"photos, {datasets}")
    p.add_argument("root", help="folder or, for the five published benchmarks, .tar")
    p.add_argument("--list", metavar="FILE", help="published benchmarks: the images, one per line (default: all that are there)")
    p.add_argument("--decode", type=_positive, metavar="N", help="how many images are decoded (default: by the data set's size)")
    p.add_argument("--min-crop", type=_positive, help="photos: count those whose short side is smaller")
    p = verb(data, "manifest", verbs.data_manifest, "hash photos into a manifest", "dad data manifest ~/photos --out photos.jsonl")
    p.add_argument("root", help="folder (recursive) with images or .tar shards")
    p.add_argument("--out", required=True)
    p.add_argument("--seed", type=int, default=0, help="seed of the order whose prefixes are the nested subsets")
    p.add_argument("--only", action="append", metavar="FOLDER[:N]", help="only this folder in ROOT, or its first N photos")

    example = "dad pretrain --recipe config/zoo/vit-small.yaml --scenes scenes/indoor scenes/outdoor --out zoo --work work/zoo"
    p = verb(top, "pretrain", verbs.pretrain, "train a model of the procedural zoo on labelled scenes", example)
    p.add_argument("--recipe", required=True)
    p.add_argument("--scenes", nargs="+", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--work", required=True, help="folder of the resumable checkpoint; the same call continues an interrupted run")

    def cell_options(p: argparse.ArgumentParser, cell_group: argparse._ActionsContainer | None = None) -> None:
        cell_help = "a cell id (with --config), a run's config.json, or JSON text"
        (cell_group or p).add_argument("--cell", required=cell_group is None, help=cell_help)
        p.add_argument("--config", default=DEFAULT_STUDY, help="the study that the id belongs to (default: %(default)s)")
        p.add_argument("--manifest", required=True, help="the photos, as written by `dad data manifest`")
        p.add_argument("--workers", type=int, default=0, help="loader processes; results do not depend on it")

    example = "dad label --cell shared-hybrid --manifest photos.jsonl --out labels"
    p = verb(top, "label", verbs.label, "compute the pseudo-labels that a cell trains on", example)
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--plan", help="JSON text of a label plan, in the place of a cell")
    cell_options(p, which)
    p.add_argument("--view", choices=["square", "patches"], help="only this view (default: all the cell's mode needs)")
    p.add_argument("--role", choices=["teacher", "assistant"], default="teacher", help="whose maps (default: %(default)s)")
    p.add_argument("--out", required=True, help="folder of the label cache")
    p.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")

    example = "dad train --cell shared-hybrid --manifest photos.jsonl --labels labels --out results/runs/mine"
    p = verb(top, "train", verbs.train, "train one cell's student", example)
    cell_options(p)
    p.add_argument("--labels", help="the cell's label cache (labels.mode: cached)")
    p.add_argument("--assistant-labels", help="the assistant's, where the cell has one")
    p.add_argument("--out", required=True, help="run folder: config.json, model.safetensors, metrics.csv, provenance.json")
    p.add_argument("--work", help="folder of the resumable checkpoint (default: ../../work/CELL beside the run)")
    p.add_argument("--resume", choices=["auto", "never"], default="auto")
    p.add_argument("--tracking", metavar="URI", help="log to this MLflow store while training")

    example = "dad evaluate --model zoo/vit-large --dataset scenes-indoor --root scenes/indoor --out scores.csv"
    p = verb(top, "evaluate", verbs.evaluate, "score a model or a folder of predictions, image by image", example)
    source = p.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="a model name or a run folder")
    source.add_argument("--predictions", help="folder of .npy maps at the ground truth's resolution, named like the RGB files")
    p.add_argument("--kind", choices=["disparity", "depth"], help="what the predictions are (with --predictions)")
    p.add_argument("--dataset", action="append", required=True, help="may be repeated, each with its --root")
    p.add_argument("--root", action="append", required=True, help="folder or, for the five published benchmarks, .tar")
    value = "[DATASET=]"
    which = "which images of a published benchmark, in Marigold's form (default: all that are there)"
    crops = "where it is scored; nyuv2: eigen, none; kitti: eigen, garg, none (default: eigen)"
    p.add_argument("--list", action="append", default=[], metavar=f"{value}FILE", help=which)
    p.add_argument("--crop", action="append", default=[], metavar=f"{value}CROP", help=crops)
    p.add_argument("--protocol", default="marigold", help="one or more, separated by commas, or all (default: %(default)s)")
    p.add_argument("--out", required=True, help="CSV with one row per image and protocol")
    p.add_argument("--summary", help="JSON with the means")
    p.add_argument("--previews", metavar="DIR", help="also pictures: photo, truth, aligned prediction, error (first protocol)")
    p.add_argument("--previews-count", type=_positive, metavar="N", help="of how many images of each data set (default: 8)")
    p.add_argument("--label", help="value of the CSV's model column (default: the model's name)")
    p.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")
    p.add_argument("--strict", action="store_true", help="upstream's behaviour on NaN predictions and empty images")

    example = "dad predict photos/ --model zoo/vit-large --out maps"
    p = verb(top, "predict", verbs.predict, "predict images: float NPY, 16-bit PNG, coloured PNG; with --points, PLY", example)
    p.add_argument("images", nargs="+", metavar="IMAGE", help="image files or folders of them")
    model_help = (
        "zoo name, run folder, weights file, Hugging Face name or folder, network name, or NETWORK:PATH (docs/checkpoints.md)"
    )
    p.add_argument("--model", required=True, help=model_help)
    p.add_argument("--out", required=True, help="folder; outputs are named like the images")
    p.add_argument(
        "--size", type=int, help="input size in pixels (default: the model's own; what it measures is the model's policy)"
    )
    p.add_argument(
        "--square", action="store_true", help="give up the image's aspect, as Distill Any Depth's scripts do with --size 700"
    )
    p.add_argument("--batch", type=_positive, default=8, help="images of equal size per forward pass (default: %(default)s)")
    p.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda, cuda:1, ...")
    p.add_argument(
        "--points", action="store_true", help="also write coloured points; distances are assumed, for the map is relative"
    )
    p.add_argument(
        "--camera", metavar="JSON", help="fx, fy, cx, cy in pixels (default: a lens of 60 degrees across the longer side)"
    )
    p.add_argument("--near", type=float, default=1.0, help="distance of the nearest point (default: %(default)s)")
    p.add_argument("--far", type=float, default=10.0, help="distance of the farthest point (default: %(default)s)")

    example = "dad export --run results/mini/runs/CELL --format hf --out exported"
    p = verb(
        top,
        "export",
        verbs.export,
        "write a trained network for use elsewhere, check it against its source, add a model card",
        example,
    )
    p.add_argument("--run", dest="run_folder", required=True, help="run folder, or any model that `predict` takes")
    p.add_argument("--format", choices=["safetensors", "hf", "onnx"], required=True)
    p.add_argument("--out", required=True, help="a new folder")
    p.add_argument("--size", type=int, help="input size to record (default: the model's own)")

    def report_options(p: argparse.ArgumentParser) -> None:
        p.add_argument("--config", default=DEFAULT_STUDY, help="study file (default: %(default)s)")
        p.add_argument("--results", default="results", help="where the runs and scores are (default: %(default)s)")
        p.add_argument("--out", default="reports", help="where to write (default: %(default)s)")

    p = verb(top, "table", verbs.table, "render a table of the paper: CSV, Markdown and a plot (PNG, SVG)", "dad table table1")
    p.add_argument("name", help="table1 to table5, or scaling: the numbers behind Fig. 7")
    report_options(p)
    p = verb(top, "claims", verbs.claims, "the paper's claims on our cells, and the log of its discrepancies", "dad claims")
    report_options(p)
    p = verb(
        top, "figure", verbs.figure, "render a figure of the paper: PNG, SVG and caption; or a contact sheet", "dad figure fig7"
    )
    p.add_argument("name", help="fig2, fig4 to fig11, or contact-sheet: what a table's students make of some pictures")
    p.add_argument("--table", default="table1", help="whose contact sheet (default: %(default)s)")
    report_options(p)

    p = verb(top, "report", verbs.report, "one HTML page of the whole study, which opens from disk without a network", "dad report")
    report_options(p)
    p.add_argument("--reports", default="reports", help="where the tables, figures and claims are (default: %(default)s)")

    track = top.add_parser("track", help="MLflow as a view of the files").add_subparsers(
        dest="track_verb", required=True, metavar="VERB"
    )
    p = verb(
        track,
        "import",
        verbs.track_import,
        "rebuild MLflow's runs from files: an experiment per table of the study",
        "dad track import results --uri sqlite:///mlflow.db --config config/mini.yaml",
    )
    p.add_argument("results")
    p.add_argument("--uri", required=True)
    p.add_argument("--config", help="the study, which says which tables a cell belongs to")
    p.add_argument("--reports", default="reports", help="rendered tables and figures to attach (default: %(default)s)")
    p.add_argument("--table", action="append", default=[], help="only this table (with --config); may be repeated")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code: 0, 2 for a user's mistake, 3 for a collapsed training."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except UserError as error:
        print(f"dad: {error}", file=sys.stderr)
        return 2
    except CollapseError as error:
        print(f"dad: training stopped: {error}", file=sys.stderr)
        return 3
    except BrokenPipeError:  # `dad matrix | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
