"""What each verb of the command line does: parsed arguments to calls into the package.

Heavy modules are imported inside the verb that needs them.
"""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

from dad.errors import UserError


def _device(name: str) -> str:
    """The device that a name stands for; `auto` is the first GPU, or the CPU where there is none."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def matrix(arguments: argparse.Namespace) -> None:
    """List a study's rows and cells with their cost, or print one cell's resolved config."""
    from dad.study.cells import TABLES, find_cell, load_study, loss_terms, table_rows
    from dad.study.cost import cost_lines, estimate
    from dad.study.missing import missing

    study = load_study(arguments.config)
    if arguments.cell:
        cell = find_cell(study, arguments.cell)
        print(json.dumps({"cell": cell.model_dump(mode="json"), "loss_terms": loss_terms(cell)}, indent=2))
        return
    rows = []
    for table in [arguments.table] if arguments.table else TABLES:
        for row in table_rows(study, table):
            about = {"table": table, "row": row.name, **row.factors, "reason": row.reason or ""}
            rows += [{"id": name} | about | {"steps": cell.optim.steps} for name, cell in row.cells.items()]
            if not row.cells:
                rows.append({"id": row.model or "-"} | about)
    if arguments.format == "json":
        print(json.dumps(rows, indent=2))
        return
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("reason", "steps"))) + ["steps", "reason"]
    print("\t".join(columns))
    for row in rows:
        print("\t".join(str(row.get(key, "")) for key in columns))
    if arguments.table:
        cells = [cell for row in table_rows(study, arguments.table) for cell in row.cells.values()]
        print(f"{arguments.table}: {estimate(cells, study.rates).line()}", file=sys.stderr)
        return
    for line in [*cost_lines(study), *(f"missing here: {line}" for line in missing(study))]:
        print(line, file=sys.stderr)


def data_scenes(arguments: argparse.Namespace) -> None:
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
        workers=arguments.workers,
    )


def data_check(arguments: argparse.Namespace) -> None:
    """Verify a data set; exit code 2 if something is missing."""
    from dad.data.check import check

    listed = Path(arguments.list) if arguments.list else None
    report = check(arguments.dataset, arguments.root, min_crop=arguments.min_crop, decode=arguments.decode, list_file=listed)
    print(report.text)
    if not report.ok:
        raise SystemExit(2)


def data_manifest(arguments: argparse.Namespace) -> None:
    """Hash photos into a manifest."""
    from dad.data.manifest import describe, make_manifest

    print(describe(make_manifest(arguments.root, arguments.out, seed=arguments.seed, only=arguments.only)))


def pretrain(arguments: argparse.Namespace) -> None:
    """Train a member of the zoo."""
    from dad.distill.pretrain import pretrain
    from dad.study.base import parse_model, read_yaml
    from dad.study.zoo import ZooRecipe

    recipe = parse_model(ZooRecipe, read_yaml(arguments.recipe), source=arguments.recipe)
    pretrain(recipe, [Path(root) for root in arguments.scenes], Path(arguments.out), Path(arguments.work))


def label(arguments: argparse.Namespace) -> None:
    """Compute a cell's pseudo-labels."""
    from dad.distill.labels import compute_labels
    from dad.study.base import parse_model
    from dad.study.cells import label_views, load_cell
    from dad.study.config import LabelPlan

    if arguments.plan:
        plan, views = parse_model(LabelPlan, json.loads(arguments.plan), source="label plan"), ("square", "patches")
    else:
        cell = load_cell(arguments.cell, arguments.config)
        if arguments.role not in cell.label_plans:
            raise UserError(f"cell {arguments.cell} has no {arguments.role}: its labels are the teacher's alone")
        plan, views = cell.label_plans[arguments.role], label_views(cell)
    for view in [arguments.view] if arguments.view else views:
        out = Path(arguments.out) / view
        compute_labels(plan, Path(arguments.manifest), view, out, device=_device(arguments.device), workers=arguments.workers)


def train(arguments: argparse.Namespace) -> None:
    """Train one cell's student."""
    from dad.distill.train import train as train_cell
    from dad.study.cells import cell_id, load_cell

    cell = load_cell(arguments.cell, arguments.config)
    with contextlib.ExitStack() as stack:
        listeners = ()
        if arguments.tracking and os.environ.get("RANK", "0") == "0":
            from dad.study.cells import load_study
            from dad.tracking import LiveTracker, tables_by_cell

            study = load_study(arguments.config)
            tables = tables_by_cell(study).get(cell_id(cell), ())
            listeners = (stack.enter_context(LiveTracker(arguments.tracking, cell, study=study.name, tables=tables)),)
        train_cell(
            cell,
            manifest=Path(arguments.manifest),
            labels=Path(arguments.labels) if arguments.labels else None,
            assistant_labels=Path(arguments.assistant_labels) if arguments.assistant_labels else None,
            out=Path(arguments.out),
            work=Path(arguments.work or Path(arguments.out).parent.parent / "work" / cell_id(cell)),
            resume=arguments.resume == "auto",
            workers=arguments.workers,
            listeners=listeners,
        )


def evaluate(arguments: argparse.Namespace) -> None:
    """Score a model or a folder of predictions."""
    from dad.evaluation.evaluate import evaluate_to_files

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
    written = evaluate_to_files(
        benchmarks=list(zip(arguments.dataset, map(Path, arguments.root), strict=True)),
        out=Path(arguments.out),
        model=arguments.model,
        predictions=Path(arguments.predictions) if arguments.predictions else None,
        kind=arguments.kind,
        protocols=arguments.protocol.split(","),
        options=options,
        summary=Path(arguments.summary) if arguments.summary else None,
        label=arguments.label,
        device=_device(arguments.device),
        strict=arguments.strict,
        on_scored=previews,
    )
    wide = max(len(f"{result['dataset']}  {result['protocol']}") for result in written["results"])
    for result in written["results"]:
        mean = result["mean"]
        apart = [f"{result[status]} of them {status}" for status in ("empty", "failed") if result[status]]
        images = ", ".join([f"{result['images']} images", *apart])
        name = f"{result['dataset']}  {result['protocol']}".ljust(wide)
        print(f"{name}  abs_rel {mean['abs_rel']:.4f}  delta1 {mean['delta1']:.4f}  ({images})")
    failures = written["failures"]
    for failure in failures[:20]:
        print(f"dad: {failure['dataset']}: {failure['message']}", file=sys.stderr)
    if failures:
        more = f"{len(failures) - 20} more; " if len(failures) > 20 else ""
        print(f"dad: {more}the rest was scored; {arguments.out} has a line for every image", file=sys.stderr)
        raise SystemExit(2)


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
            raise UserError(f"{option} {value!r}: with several data sets, write {option} DATASET=VALUE ({', '.join(datasets)})")
    return pairs


def predict(arguments: argparse.Namespace) -> None:
    """Predict images."""
    from dad.pointcloud import read_camera
    from dad.predict import Points, predict

    points = None
    if arguments.points:
        points = Points(read_camera(Path(arguments.camera)) if arguments.camera else None, arguments.near, arguments.far)
    elif arguments.camera:
        raise UserError("--camera is for --points")
    written, problems = predict(
        arguments.images,
        arguments.model,
        arguments.out,
        device=_device(arguments.device),
        batch=arguments.batch,
        short_side=arguments.size,
        square=arguments.square,
        points=points,
    )
    print(f"{written} images predicted into {arguments.out}" + (f", {len(problems)} skipped" if problems else ""))
    if not written:
        raise UserError("no image could be predicted")


def export(arguments: argparse.Namespace) -> None:
    """Export a model."""
    from dad.export import export

    for parity in export(arguments.run_folder, arguments.out, form=arguments.format, short_side=arguments.size):
        print(parity.line)


def table(arguments: argparse.Namespace) -> None:
    """Render a table."""
    from dad.report.tables import table_files
    from dad.study.cells import load_study

    table_files(load_study(arguments.config), arguments.name, Path(arguments.results), Path(arguments.out))


def claims(arguments: argparse.Namespace) -> None:
    """Hold the paper's claims against a study's results."""
    from dad.report.claims_page import claims_files
    from dad.study.cells import load_study

    for path in claims_files(load_study(arguments.config), Path(arguments.results), Path(arguments.out)):
        print(path)


def figure(arguments: argparse.Namespace) -> None:
    """Render a figure of the paper, or a table's contact sheet."""
    from dad.study.cells import load_study

    study, results, out = load_study(arguments.config), Path(arguments.results), Path(arguments.out)
    if arguments.name == "contact-sheet":
        from dad.report.previews import contact_sheet_of_table

        contact_sheet_of_table(study, arguments.table, results, out)
    else:
        from dad.report.paper_figures import write_paper_figure

        write_paper_figure(study, arguments.name, results, out)


def report(arguments: argparse.Namespace) -> None:
    """Write the page of the whole study."""
    from dad.report.page import write_page
    from dad.study.cells import load_study

    path = write_page(load_study(arguments.config), Path(arguments.results), Path(arguments.reports), Path(arguments.out))
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def track_import(arguments: argparse.Namespace) -> None:
    """Rebuild MLflow from files."""
    from dad.study.cells import load_study
    from dad.tracking import import_results

    studies = [load_study(arguments.config)] if arguments.config else []
    reports = Path(arguments.reports)
    report = import_results(Path(arguments.results), arguments.uri, studies=studies, reports=reports, tables=arguments.table)
    for what, reason in report.skipped.items():
        print(f"warning: {what}: {reason}", file=sys.stderr)
    print(report)
