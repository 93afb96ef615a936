"""The site's pages that lie elsewhere in the repository, the pages of the API, and links that work in both places.

Pages are written to be read in the repository: links are relative to the file they stand in. On the site, a link to a
page of the site leads there; one to another file of the repository (code, a YAML file, a folder) is its text alone, for
the site does not carry it; one to nothing stays as is, and the strict build fails.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "index.md": "README.md",
    "config/README.md": "config/README.md",
    "dad/models/zoo/README.md": "dad/models/zoo/README.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
"""Page of the site -> file of the repository, for those that do not lie in docs/."""
API = {
    "dad": ("dad", ["dad.api"]),
    "models": ("Models", ["dad.models.estimator", "dad.models.registry", "dad.models.config"]),
    "distill": ("Distillation", [f"dad.distill.{name}" for name in ("losses", "normalization", "labels", "train")]),
    "evaluation": (
        "Evaluation",
        [
            f"dad.evaluation.{name}"
            for name in ("score", "evaluate", "alignment", "metrics", "protocol", "calibration", "ordinal")
        ],
    ),
    "data": ("Data", [f"dad.data.{name}" for name in ("crops", "photos", "manifest", "benchmarks", "benchmarks.base")]),
    "study": ("Studies", [f"dad.study.{name}" for name in ("config", "modes", "normalizations", "cells", "layout")]),
    "analysis": ("Statistics", [f"dad.analysis.{name}" for name in ("estimates", "contrasts", "frame", "claims")]),
}
"""Page of the API -> its title and modules, whose docstrings are the reference."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """A page of docs/ that mkdocs.yml does not place is one more of those about using it."""
    placed = set(_pages(config.nav))
    using = next(section["Using it"] for section in config.nav if "Using it" in section)
    using += [page.name for page in sorted(Path(config.docs_dir).glob("*.md")) if page.name not in placed]
    return config


def _pages(nav: Any) -> Iterator[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        yield nav
        return
    for entry in nav.values() if isinstance(nav, dict) else nav:
        yield from _pages(entry)


def on_files(files: Files, *, config: Any) -> Files:
    """Add what does not lie in docs/."""
    for page, path in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text()))
    for name, (title, modules) in API.items():
        files.append(
            File.generated(config, f"api/{name}.md", content="\n\n".join([f"# {title}", *map(_reference, modules)]))
        )
    return files


def _reference(module: str) -> str:
    return f"## `{module}`\n\n::: {module}\n    options: {{show_root_heading: false, show_root_toc_entry: false}}"


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Make links between files of the repository links between pages."""
    here = page.file.src_uri
    source = OUTSIDE.get(here, f"docs/{here}")
    pages = {path: name for name, path in OUTSIDE.items()}

    def link(found: re.Match[str]) -> str:
        mark, text, target, anchor = found.groups(default="")
        if not target or ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if (ROOT / path).is_dir() and (ROOT / path / "README.md").is_file():
            path += "/README.md"
        name = pages.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if name and files.get_file_from_path(name):
            return f"{mark}[{text}]({posixpath.relpath(name, posixpath.dirname(here))}{anchor})"
        return text if (ROOT / path).exists() else found[0]

    return _LINK.sub(link, markdown)
