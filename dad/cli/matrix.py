"""`dad matrix`."""

import argparse
import json
import sys

from dad.cli._options import set_option, study_option

HELP = "list a study's cells and what they cost, or print one cell's config"
ABOUT = """\
Lists the students that a study trains (its cells), table by table, and what they cost, before anything starts. With
--cell it prints everything that decides one student's training.
"""
EXAMPLE = "dad matrix --table table1"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `dad matrix`."""
    study_option(parser)
    set_option(parser)
    parser.add_argument(
        "--table", help="only this table: the paper's, the study's own, or one of the library (config/tables)"
    )
    parser.add_argument(
        "--cell", metavar="ID", help="print this cell's config and loss terms (a unique beginning of its id is enough)"
    )
    parser.add_argument("--format", choices=["tsv", "json"], default="tsv")


def run(arguments: argparse.Namespace) -> None:
    """List a study's rows and cells with their cost, or print one cell's resolved config."""
    from dad.study.cells import all_cells, find_cell, load_study, loss_terms, table_rows
    from dad.study.check import check
    from dad.study.cost import cost_lines, estimate
    from dad.study.settings import with_settings
    from dad.study.tables import table_names

    study = load_study(arguments.config)
    if arguments.cell:
        cell = with_settings(find_cell(study, arguments.cell), arguments.settings, what="the cell")
        print(json.dumps({"cell": cell.model_dump(mode="json"), "loss_terms": loss_terms(cell)}, indent=2))
        return
    study = with_settings(study, arguments.settings, what=arguments.config)
    rows = []
    for table in [arguments.table] if arguments.table else table_names(study):
        for row in table_rows(study, table):
            about = {"table": table, "row": row.name, **row.factors, "reason": row.reason or ""}
            rows += [{"id": name} | about | {"steps": cell.optim.steps} for name, cell in row.cells.items()]
            if not row.cells:
                rows.append({"id": row.model or "-"} | about)
    if arguments.format == "json":
        print(json.dumps(rows, indent=2))
        return
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in ("reason", "steps"))) + [
        "steps",
        "reason",
    ]
    print("\t".join(columns))
    for row in rows:
        print("\t".join(str(row.get(key, "")) for key in columns))
    if arguments.table:
        cells = all_cells(study, [arguments.table])
        print(
            f"{arguments.table}: {estimate(cells.values(), study.rates, study.students_per_job).line()}",
            file=sys.stderr,
        )
        return
    findings = [finding for finding in check(study) if finding.severity != "note"]
    for line in [*cost_lines(study), *map(str, findings)]:
        print(line, file=sys.stderr)
    if any(finding.wrong for finding in findings):  # what is only missing here may be there where the study will run
        sys.exit(2)
