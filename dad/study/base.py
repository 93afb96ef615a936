"""The base of every configuration model, and how YAML is read and its mistakes are reported."""

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from dad.errors import UserError


class Frozen(BaseModel):
    """Immutable, and an unknown key is an error: a misspelt key must not silently mean the default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, except that `5e-5` is the number it looks like (YAML 1.1 makes it a string)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML mapping. Raises UserError if the file is missing, is not YAML or is not a mapping."""
    try:
        value = yaml.load(Path(path).read_text(), _Loader)
    except OSError as error:
        raise UserError(f"can not read {path}: {error.strerror or error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a mapping of keys to values, found {type(value).__name__}")
    return value


Model = TypeVar("Model", bound=BaseModel)


def parse_model(model: type[Model], value: Any, *, source: str) -> Model:
    """Validate `value` as `model`; all mistakes in one line: where, what was given, what is allowed."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = []
        for item in error.errors():
            where = ".".join(str(part) for part in item["loc"]) or "(top)"
            if item["type"] == "extra_forbidden":
                problems.append(f"{where}: unknown key")
            elif item["type"] == "missing":
                problems.append(f"{where}: missing")
            else:
                given = repr(item["input"])
                shown = f" (given {given})" if len(given) <= 80 else ""
                problems.append(f"{where}: {item['msg'].removeprefix('Value error, ')}{shown}")
        raise UserError(f"{source}: {'; '.join(problems)}") from None
