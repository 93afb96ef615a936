"""All claims about a study's tables: `claims.md` for people, `claims.csv` for programs, and the log of the paper's
discrepancies, which claims and tables cite.
"""

from pathlib import Path

from dad.analysis.claims import counts_of
from dad.analysis.verdicts import COLUMNS, Judged, csv_lines, judge
from dad.files import write_csv, write_text
from dad.report.templates import render
from dad.study.config import StudyConfig
from dad.study.paper import paper
from dad.study.tables import table_names, table_of


def claims_files(study: StudyConfig, results: Path, out: Path) -> list[Path]:
    """Judge every claim by the score files in RESULTS/<study>; writes OUT/claims.md, OUT/claims.csv and
    OUT/discrepancies.md.

    A table without score files is not an error: its claims say that it was not run. The same files give the same bytes.
    """
    tables = [name for name in table_names(study) if table_of(study, name).claims]
    judged = [judge(study, table, results) for table in tables]
    paths = [out / "claims.md", out / "claims.csv", out / "discrepancies.md"]
    write_text(paths[0], claims_markdown(study, judged))
    write_csv(paths[1], [line for one in judged for line in csv_lines(one)], COLUMNS)
    write_text(paths[2], discrepancies_page())
    return paths


def claims_markdown(study: StudyConfig, judged: list[Judged]) -> str:
    """The page: the verdicts first, then what was compared, then every number."""
    columns = [column for one in judged if one.frame for column in one.frame.columns]
    return render(
        "claims.md.j2",
        study=study,
        judged=judged,
        found=[finding for one in judged for finding in one.findings],
        verdicts=counts_of([finding for one in judged for finding in one.findings]),
        stand_ins=sorted({column.dataset for column in columns if column.stand_in}),
    )


def discrepancies_page() -> str:
    """Every note by its place: what is known, on what evidence, what is done here, which tables and claims cite it."""
    return render("discrepancies.md.j2", cited_by=cited_by)


def cited_by(note: str) -> list[str]:
    """The tables whose printed numbers, and the claims that, cite a note."""
    tables = [table.name for table in paper().tables.values() if any(note in row.notes for row in table.rows)]
    return tables + [
        f"`{claim.id}`" for table in paper().tables.values() for claim in table.claims if note in claim.notes
    ]
