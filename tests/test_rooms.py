"""Imports point one way: each room of `dad` imports from those above it in docs/architecture.md's table, none below."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def rooms() -> list[tuple[str, ...]]:
    """The table's rows, each the names of one room."""
    table = PAGE.partition("## The rooms")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [tuple(re.findall(r"`([a-z]+)`", cell)) for cell in cells]


RANK = {name: rank for rank, names in enumerate(rooms()) for name in names}


def imported(tree: ast.Module) -> set[str]:
    """Names below `dad` that a module's imports name, those inside functions and those for type checkers, too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "dad":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dad."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("dad.")}
    return found - {"__version__"}


def against(room: str, names: set[str]) -> set[str]:
    """The rooms among `names` that a room must not import from."""
    return {name for name in names if RANK[name] > RANK[room]}


def sources() -> dict[str, dict[str, ast.Module]]:
    """Room -> file -> its syntax; what ships with exports runs outside of the package and is left out."""
    found: dict[str, dict[str, ast.Module]] = {}
    for path in sorted((ROOT / "dad").rglob("*.py")):
        name = path.relative_to(ROOT / "dad")
        room = name.parts[0].removesuffix(".py")
        if not room.startswith("__") and "shipped" not in name.parts:
            found.setdefault(room, {})[str(name)] = ast.parse(path.read_text())
    return found


SOURCES = sources()


def test_every_room_is_in_the_table_and_every_row_is_there():
    assert set(RANK) == set(SOURCES)
    assert [room[-1] for room in rooms()][-1] == "cli" and len(rooms()) > 8


@pytest.mark.parametrize("room", SOURCES)
def test_a_room_imports_only_from_those_above(room):
    wrong = {file: names for file, tree in SOURCES[room].items() if (names := against(room, imported(tree)))}
    assert not wrong


def test_an_import_that_points_up_is_seen():
    inside = "def late():\n    from dad.analysis.frame import Frame\n"
    code = f"{inside}from dad import tracking\nimport dad.models.vit\nfrom dad.files import x"
    assert imported(ast.parse(code)) == {"analysis", "tracking", "models", "files"}
    assert against("data", {"analysis", "tracking", "models", "files"}) == {"analysis", "tracking", "models"}


def test_the_page_names_files_that_are_there():
    named = set(re.findall(r"`((?:dad|config|workflow|profiles|tests)/[\w./-]*|setup\.py)`", PAGE))
    assert len(named) > 30
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("NORMALIZATIONS", "study/normalizations.py"),
        ("MODES", "study/modes.py"),
        ("TERMS", "study/modes.py"),
        ("NETWORKS", "models/config.py"),
        ("IN_METRES", "evaluation/summary.py"),
        ("OptimConfig", "study/cell.py"),
        ("LabelConfig", "study/cell.py"),
        ("LossConfig", "study/cell.py"),
        ("make_optimizer", "distill/loop.py"),
        ("mirror_head", "distill/heads.py"),
        ("compute_labels", "distill/labels.py"),
        ("LabelCache", "distill/labels.py"),
    ],
)
def test_the_page_names_things_that_are_there(name, file):
    assert f"`{name}`" in PAGE and f"`dad/{file}`" in PAGE
    assert name in defined(ast.parse((ROOT / "dad" / file).read_text()))


def defined(tree: ast.Module) -> set[str]:
    """Names of a module's classes, functions and variables."""
    found = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    variables = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    variables += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return found | {variable.id for variable in variables if isinstance(variable, ast.Name)}


def test_what_decides_cannot_draw():
    drawing = {"matplotlib", "seaborn", "jinja2", "PIL", "markdown_it"}
    for file, tree in SOURCES["analysis"].items():
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not drawing & {name.split(".")[0] for name in names}, file
