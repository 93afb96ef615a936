"""The study on one page: `reports/index.html`, a single file that opens from disk and needs no network."""

from dad.report.page.build import write_page

__all__ = ["write_page"]
