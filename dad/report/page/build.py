"""From a study's files to `index.html`: every section gathers what exists, and says what is missing and how it is made."""

from pathlib import Path

import jinja2
import markupsafe
from markdown_it import MarkdownIt

from dad.files import write_text
from dad.report.page.cells import cell_views, read_runs
from dad.report.page.claims import claims_view
from dad.report.page.comparer import comparer_view
from dad.report.page.facts import notes_view, study_facts
from dad.report.page.figures import figure_views
from dad.report.page.tables import table_views
from dad.study.cells import TABLES, all_cells, table_rows
from dad.study.config import StudyConfig

HERE = Path(__file__).parent


def write_page(study: StudyConfig, results: Path, reports: Path, out: Path) -> Path:
    """Write OUT/index.html and return its path. The same files give the same bytes.

    Reads REPORTS/<table>.csv, claims.csv, fig*.png and fig*.md; RESULTS/<study>/runs/<cell> and benchmarks/<dataset>. What
    does not exist is shown as not made yet, with the command that makes it. Raises UserError for a file that is there and damaged.
    """
    root = results / study.name
    runs = read_runs(root, all_cells(study))
    tables = table_views(study, reports)
    comparer = comparer_view(study, root)
    page = environment().get_template("page.html")
    text = page.render(
        facts=study_facts(study, runs, comparer),
        claims=claims_view(reports),
        tables=tables,
        figures=figure_views(study, reports),
        comparer=comparer,
        cells=cell_views(runs, {table: [row.cells for row in table_rows(study, table)] for table in TABLES}),
        notes=notes_view(),
    )
    write_text(out / "index.html", text)
    return out / "index.html"


def environment() -> jinja2.Environment:
    """Templates with escaping on, strict about names, and the filters `markdown` and `asset`."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["markdown"] = markdown_html
    made.globals["asset"] = lambda name: markupsafe.Markup((HERE / name).read_text())
    return made


def markdown_html(text: str) -> markupsafe.Markup:
    """Markdown as HTML: tables are on; HTML inside the text stays text, and pictures are left out, for a page must not load any."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return markupsafe.Markup(reader.render(text))
