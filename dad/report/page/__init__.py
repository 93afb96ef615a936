"""One HTML page of a whole study, in one file without a network: the reports' own Markdown, and what only a browser can show."""

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import markupsafe

from dad.files import write_text
from dad.report.claims import ORDER
from dad.report.claims_page import discrepancies_page
from dad.report.frame import row_label
from dad.report.page.cells import cell_links, learning_curves, read_runs
from dad.report.page.clouds import clouds_view
from dad.report.page.comparer import comparer_view
from dad.report.page.facts import study_facts
from dad.report.page.figures import data_address, figure_views
from dad.report.page.sheets import markdown_html
from dad.report.provenance import short_name
from dad.report.scores import read_csv
from dad.report.templates import environment
from dad.study.cells import Row, all_cells, table_rows
from dad.study.config import StudyConfig
from dad.study.layout import DEFAULT_STUDY, Layout
from dad.study.paper import paper
from dad.study.table import Table
from dad.study.tables import table_names, table_of

HERE = Path(__file__).parent

MEDIA = {".csv": "text/csv", ".tex": "text/x-tex"}


@dataclass(frozen=True)
class Section:
    """A table, or the claims: its text and what stands behind it; without text it is not made yet."""

    name: str
    heading: str
    title: str
    text: markupsafe.Markup | str = ""
    details: markupsafe.Markup | str = ""
    files: tuple[tuple[str, str], ...] = ()
    """Name and data address of the files behind it."""
    stale: bool = False
    """The files' cells are not this study's: their numbers belong to another configuration."""


def write_page(study: StudyConfig, results: Path, reports: Path, out: Path) -> Path:
    """Write OUT/index.html and return its path. The same files give the same bytes.

    Reads the Markdown, CSV and pictures of tables, figures and claims in REPORTS; RESULTS/<study>/runs/<cell> and
    benchmarks/<dataset>. What does not exist is shown as not made yet, with the command that makes it. Raises UserError for a file
    that is there and damaged.
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
            tables=[table_section(table_of(study, name), rows, reports, targets) for name, rows in tables.items()],
            figures=figure_views(study, reports),
            clouds=clouds_view(reports / "fig10"),
            comparer=comparer_view(study, layout),
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


def table_section(layout: Table, rows: list[Row], reports: Path, targets: dict[str, str]) -> Section:
    """A table's own page and its details, with the way from each row to its cells."""
    name = layout.key
    page, details = reports / f"{name}.md", reports / f"{name}_details.md"
    if not page.is_file():
        return Section(name, layout.name, layout.title)
    extras = [cell_links(row.cells, row_label(layout, row)) if row.cells else short_name(row.model or "") for row in rows]
    more = details.read_text(encoding="utf-8") if details.is_file() else ""
    return Section(
        name,
        layout.name,
        layout.title,
        markdown_html(page.read_text(encoding="utf-8"), name=name, deeper=2, extras=extras, targets=targets),
        markdown_html(more, name=f"{name}-more", deeper=2, extras=extras, targets=targets),
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
    page = layout.premises / "premises.md"
    if not page.is_file():
        return Section("premises", "Premises", "")
    verdicts, _, rest = page.read_text(encoding="utf-8").partition("\n## ")
    more = markdown_html(f"## {rest}", name="premises-more", targets=targets) if rest else ""
    return Section("premises", "Premises", "", markdown_html(verdicts, name="premises", targets=targets), more)


def claims_section(reports: Path, targets: dict[str, str]) -> tuple[Section, list[tuple[str, int]]]:
    """The claims' own page, the overview apart from what it rests on, and how many claims have which verdict."""
    path, numbers = reports / "claims.md", reports / "claims.csv"
    if not path.is_file() or not numbers.is_file():
        return Section("claims", "Claims", ""), []
    found = read_csv(numbers, "a table of claims", "; make it again", usecols=["claim", "verdict"], dtype=str)
    counted = Counter(found.drop_duplicates("claim")["verdict"])
    overview, _, rest = path.read_text(encoding="utf-8").partition("\n## How a verdict is reached")
    section = Section(
        "claims",
        "Claims",
        "",
        markdown_html(overview, name="claims", targets=targets),
        markdown_html(f"## How a verdict is reached{rest}", name="claims-more", targets=targets),
        downloads(numbers),
    )
    return section, [(verdict, counted[verdict]) for verdict in ORDER if counted[verdict] or verdict != ORDER[-1]]
