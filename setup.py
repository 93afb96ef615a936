"""What pyproject.toml cannot say: the study folder in the wheel, README links that work away from the repository."""

import re
import shutil
import sys
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from dad.study.folder import study_files  # noqa: E402


class WithStudyFolder(build_py):
    """Copies the repository's top (Snakefile, rules, configurations, profiles) into `dad/study_folder` of a wheel."""

    def run(self) -> None:
        """Build, then copy; an editable installation finds them where they are."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "dad", "study_folder")
            shutil.rmtree(target, ignore_errors=True)
            for name in study_files(ROOT):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target / name)


def index_page() -> str:
    """The README for a page where the repository's files are not: relative links lead to the repository's address,
    where pyproject.toml states one (`urls.Repository`), and are else their text alone; pictures without an address are
    left out.
    """
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
    base = urls.get("Repository", "").rstrip("/")

    def link(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        if base:
            return f"{mark}[{text}]({base}/{'raw' if mark else 'blob'}/HEAD/{target})"
        return "" if mark else text

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", link, (ROOT / "README.md").read_text())


setup(
    cmdclass={"build_py": WithStudyFolder}, long_description=index_page(), long_description_content_type="text/markdown"
)
