"""The log of discrepancies between the paper, its released configs, its sources and upstream code: `discrepancies.md`."""

from dad.report.value_table import FOREIGN
from dad.study.claims import claims
from dad.study.paper import Note, paper

SECTIONS = {
    "paper": "Within the paper",
    "configs": "Between the paper and its released configs",
    "publications": "Between the paper and the publications it takes numbers from",
    "upstream": "Between the paper and the code it builds on",
    "open": "What the paper leaves open",
}
EVIDENCE = {
    "paper": "follows from the paper alone",
    "upstream": "read in a public repository",
    "reported": "reported by a third party, named",
    "recalled": "from another paper, not looked up again",
}


def discrepancies_page() -> str:
    """Every note by where it lies: what is known, on what evidence, what is done about it here, which tables and claims cite it."""
    lines = [
        "# Discrepancies",
        "",
        f"What is known about {paper().source} beyond its tables: contradictions within it, and between it, its released configs, "
        "the publications it takes numbers from and the code it builds on. Tables and claims cite these by id.",
        "",
    ]
    for between, title in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name, note in paper().notes.items():
            if note.between == between:
                lines += _entry(name, note)
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _entry(name: str, note: Note) -> list[str]:
    cited = f" Cited by {', '.join(used)}." if (used := cited_by(name)) else ""
    lines = [f"- **{name}** ({EVIDENCE[note.evidence]}). {note.text}{cited}"]
    if note.foreign:
        lines.append(
            f"  - The numbers it is about are marked {FOREIGN} in the tables: they can not be compared with the paper's own rows."
        )
    return lines + ([f"  - Here: {note.choice}"] if note.choice else [])


def cited_by(note: str) -> list[str]:
    """The tables whose printed numbers, and the claims that, cite a note."""
    tables = [table.name for table in paper().tables.values() if any(note in row.notes for row in table.rows)]
    return tables + [f"`{claim.id}`" for claim in claims() if note in claim.notes]
