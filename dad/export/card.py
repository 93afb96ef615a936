"""The model card that goes with an export: a template (card.md) over `dad.export.facts`."""

import json
from pathlib import Path
from typing import Any

import jinja2

TEMPLATE = Path(__file__).parent / "card.md"


def model_card(facts: dict[str, Any]) -> str:
    """Markdown with the head that the Hugging Face hub reads."""
    environment = jinja2.Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    # JSON strings are YAML strings
    environment.filters["yaml"] = lambda value: json.dumps(value, ensure_ascii=False)
    # a bar ends a table's cell, a line its row
    environment.filters["cell"] = lambda value: " ".join(str(value).replace("|", "\\|").split())
    return environment.from_string(TEMPLATE.read_text()).render(facts)
