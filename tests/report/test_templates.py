"""Texts of the reports: characters that HTML reads otherwise stay as they are in Markdown."""

from dad.report.templates import render_text


def test_markdown_is_not_escaped_as_html():
    words = "the training set's order, 1 < 2 & more"
    assert render_text("- {{ where }}", where=words) == f"- {words}\n"
