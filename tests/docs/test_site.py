"""The docs as a site: it builds, links lead somewhere, and the pages of the repository's other folders are on it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def built(target: Path, *options: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target), *options]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once; anything that mkdocs warns of fails."""
    folder = tmp_path_factory.mktemp("site")
    done = built(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_pages_of_other_folders_are_on_it(site):
    assert "Weight of the local-global term" in (site / "config" / "index.html").read_text()
    assert "What a user notices" in (site / "CHANGELOG.html").read_text()
    start = (site / "index.html").read_text()
    assert 'href="config/index.html#tables-of-your-own"' in start and 'href="protocols.html"' in start
    assert 'src="results/small/table1.png"' in start and (site / "results/small/table1.png").is_file()


def test_every_page_of_the_docs_is_in_the_navigation(site):
    start = (site / "index.html").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert f'href="{page.stem}.html" class="md-nav__link"' in start


def test_the_reference_comes_from_the_docstrings(site):
    text = re.sub(r"<[^>]+>", "", (site / "api" / "distill.html").read_text())
    assert "distillation_loss" in text and "mean absolute difference of the normalised maps" in text
    assert "Maps of images: one (H,W) float32 for one image" in re.sub(
        r"<[^>]+>", "", (site / "api" / "dad.html").read_text()
    )


def test_links_to_what_the_site_does_not_carry_are_text(site):
    """Code, YAML files and folders of the repository: their names stay, and nothing is a link into nowhere."""
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text()):
            if not re.match(r"[a-z]+:|/", target):
                assert (page.parent / target).exists() or page.name == "404.html", f"{page.relative_to(site)}: {target}"


def test_nothing_is_fetched_from_elsewhere(site):
    """Styles, scripts, fonts and pictures are the site's own."""
    for page in site.rglob("*.html"):
        assert not re.findall(
            r'<(?:script|img)[^>]* src="https?:|<link[^>]*rel="stylesheet"[^>]* href="https?:', page.read_text()
        )


def test_a_broken_link_fails(tmp_path):
    """In a small copy of the configuration, with the hooks of the real one."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[there](other.md) [not there](missing.md)")
    (tmp_path / "docs" / "other.md").write_text("# Other")
    real = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    small = {"site_name": "small", "validation": real["validation"], "theme": {"name": "mkdocs"}}
    (tmp_path / "mkdocs.yml").write_text(json.dumps(small))
    done = built(tmp_path / "site", folder=tmp_path)
    assert (
        done.returncode and "missing.md" in done.stdout + done.stderr and "other.md'" not in done.stdout + done.stderr
    )
    (tmp_path / "docs" / "index.md").write_text("[there](other.md)")
    assert built(tmp_path / "site", folder=tmp_path).returncode == 0
