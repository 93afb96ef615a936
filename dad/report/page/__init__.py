"""One HTML page of a whole study, one file without a network: the reports' Markdown, and what only a browser shows."""

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import markupsafe

from dad.analysis.claims import ORDER
from dad.analysis.columns import row_label
from dad.analysis.provenance import short_name
from dad.analysis.scores import read_csv
from dad.files import write_text
from dad.report.claims_page import discrepancies_page
from dad.report.page.cells import cell_links, learning_curves, read_runs
from dad.report.page.clouds import clouds_view
from dad.report.page.comparer import comparer_view
from dad.report.page.facts import study_facts
from dad.report.page.figures import data_address, figure_views
from dad.report.page.sheets import markdown_html, report_html
from dad.report.templates import environment
from dad.study.cells import Row, all_cells, table_rows
from dad.study.config import StudyConfig
from dad.study.layout import DEFAULT_STUDY, Layout
from dad.study.paper import paper
from dad.study.tables import table_names, table_of

HERE = Path(__file__).parent

MEDIA = {".csv": "text/csv", ".tex": "text/x-tex"}


@dataclass(frozen=True)
class Section:
    """A table, the claims or the premises: its text and what stands behind it; without text it is not made yet."""

    text: str = ""
    details: str = ""
    files: tuple[tuple[str, str], ...] = ()
    """Name and data address of the files behind it."""
    stale: bool = False
    """The files' cells are not this study's: their numbers belong to another configuration."""


def write_page(study: StudyConfig, results: Path, reports: Path, out: Path) -> Path:
    """Write OUT/index.html and return its path. The same files give the same bytes.

    Reads the Markdown, CSV and pictures of tables, figures and claims in REPORTS; RESULTS/<study>/runs/<cell> and
    benchmarks/<dataset>. What does not exist is shown as not made yet, with the command that makes it. Raises UserError
    for a file that is there and damaged.
    """
    layout = Layout(study, results)
    tables = {name: table_rows(study, name) for name in table_names(study)}
    cells = {name: [cell for row in rows for cell in row.cells] for name, rows in tables.items()}
    runs = read_runs(layout, all_cells(study), cells)
    targets = link_targets(study)
    claims, verdicts = claims_section(reports, targets)
    text = (
        environment()
        .get_template("page.html")
        .render(
            study=study,
            paper=paper(),
            facts=study_facts(study, runs),
            claims=claims,
            verdicts=verdicts,
            premises=premises_section(layout, targets),
            tables=[(table_of(study, name), table_section(study, name, reports, targets)) for name in tables],
            figures=figure_views(study, reports),
            clouds=clouds_view(reports / "fig10"),
            comparer=comparer_view(layout),
            cells=runs,
            learning=learning_curves(runs),
            notes=markdown_html(discrepancies_page(), name="notes", targets=targets),
            asset=asset,
            command=functools.partial(_command, study),
        )
    )
    write_text(out / "index.html", text)
    return out / "index.html"


def asset(name: str) -> markupsafe.Markup:
    """A script or style sheet of this folder, to stand inside the page."""
    return markupsafe.Markup((HERE / name).read_text(encoding="utf-8"))


def _command(study: StudyConfig, file: str) -> str:
    """What makes a file of the reports; a study that is not the default one is named by its file."""
    if study.name == DEFAULT_STUDY:
        return f"snakemake --cores 1 reports/{file}"
    shipped = f"config/{study.name}.yaml"
    config = shipped if Path(shipped).is_file() else f"FILE_OF_{study.name}.yaml"
    return f"snakemake --cores 1 reports/{study.name}/{file} --configfile {config}"


def link_targets(study: StudyConfig) -> dict[str, str]:
    """Words in the reports' text -> where on the page they lead: notes, claims, and the other files of tables."""
    targets = {note: note for note in paper().notes} | {"discrepancies.md": "discrepancies", "scaling.md": "scaling"}
    for name in table_names(study):
        targets |= {f"{name}.md": name, f"{name}_details.md": f"{name}-details"}
        targets |= {claim.id: f"claim-{claim.id}" for claim in table_of(study, name).claims}
    return targets


def table_section(study: StudyConfig, name: str, reports: Path, targets: dict[str, str]) -> Section:
    """A table's own page and its details, with the way from each row to its cells."""
    layout, rows = table_of(study, name), table_rows(study, name)
    page, details = (reports / f"{name}{suffix}.md" for suffix in ("", "_details"))
    if not page.is_file():
        return Section()
    extras = [
        cell_links(row.cells, row_label(layout, row)) if row.cells else short_name(row.model or "") for row in rows
    ]
    options: dict[str, Any] = {"deeper": 2, "extras": extras, "targets": targets}
    more = details.read_text(encoding="utf-8") if details.is_file() else ""
    return Section(
        markdown_html(page.read_text(encoding="utf-8"), name=name, **options),
        markdown_html(more, name=f"{name}-more", **options),
        downloads(reports / f"{name}.csv", reports / f"{name}.tex"),
        is_stale(reports / f"{name}.csv", rows),
    )


def downloads(*paths: Path) -> tuple[tuple[str, str], ...]:
    """Files inside the page, as far as they exist."""
    return tuple((path.name, data_address(MEDIA[path.suffix], path.read_bytes())) for path in paths if path.is_file())


def is_stale(path: Path, rows: list[Row]) -> bool:
    """Whether a table's CSV was made from other cells than the study's; UserError where it is no table of results."""
    if not path.is_file():
        return True
    cells = set(read_csv(path, "a table of results", "; make it again", usecols=["cell"], dtype=str)["cell"].dropna())
    return any("+".join(row.cells) not in cells for row in rows if row.cells)


def premises_section(layout: Layout, targets: dict[str, str]) -> Section:
    """The premises as they were measured, their verdicts apart from what they rest on; without text they were not."""
    return Section(*report_html(layout.premises / "premises.md", name="premises", targets=targets))


def claims_section(reports: Path, targets: dict[str, str]) -> tuple[Section, list[tuple[str, int]]]:
    """The claims' own page, the overview apart from what it rests on, and how many claims have which verdict."""
    numbers = reports / "claims.csv"
    if not numbers.is_file():
        return Section(), []
    found = read_csv(numbers, "a table of claims", "; make it again", usecols=["claim", "verdict"], dtype=str)
    counted = Counter(found.drop_duplicates("claim")["verdict"])
    parts = report_html(reports / "claims.md", name="claims", at="## How a verdict is reached", targets=targets)
    verdicts = [(verdict, counted[verdict]) for verdict in ORDER if counted[verdict] or verdict != ORDER[-1]]
    return Section(*parts, downloads(numbers)), verdicts
