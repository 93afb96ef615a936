"""Files that an export carries along. They run where it is used: each says in its first lines what it needs there."""

from pathlib import Path

FOLDER = Path(__file__).parent
RESIZING = "resizing_dad.py"
"""The name under which `dad/models/resizing.py` travels with a processor."""


def copy_processor(out: Path) -> None:
    """The image processor and the resizing rules that it shares with the estimators."""
    text = (FOLDER / "image_processing_dad.py").read_text()
    (out / "image_processing_dad.py").write_text(
        text.replace("from dad.models.resizing import", "from .resizing_dad import")
    )
    (out / RESIZING).write_text((FOLDER.parents[1] / "models" / "resizing.py").read_text())


def copy(name: str, out: Path) -> None:
    """One file as is."""
    (out / name).write_text((FOLDER / name).read_text())
