"""How studies, protocols and recipes are read: YAML and JSON as people write them, with every mistake in one line.

Scalars follow YAML 1.2 (`no`, `on` and dates are text, `5e-5` is a number), and a number keeps the text it was written
as, so that a folder called `007` or `1.10` stays one (`dad.study.base` gives each field what its type asks for).
"""

import json
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from dad.errors import UserError
from dad.files import read_text, unique

_LARGEST = 1_000_000
"""Bytes of a configuration file; more is some other file, over which a reader of YAML would sit for minutes."""
_DEEPEST = 50
_MOST = 200_000
"""Values of a configuration after its aliases are followed."""


class WrittenInt(int):
    """A whole number that knows how it was written."""

    text: str


class WrittenFloat(float):
    """A number that knows how it was written."""

    text: str


class _Loader(yaml.SafeLoader):
    """YAML's safe subset with the scalars of YAML 1.2, and a key given twice is an error."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are text as written; ConstructorError for a key that stands in it twice."""
        seen: dict[str, int] = {}
        for key, _ in getattr(node, "value", ()):
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                where = f"first in line {seen[key.value]}"
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice, {where}", key.start_mark
                )
            seen[key.value] = key.start_mark.line + 1
            if key.tag in _PLAIN:
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


_PLAIN = [f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")]
_INT = r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F_]+|0o[0-7_]+"
_FLOAT = r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _whole(loader: _Loader, node: yaml.ScalarNode) -> WrittenInt:
    text = node.value.replace("_", "")
    try:
        number = WrittenInt(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
    except ValueError as error:  # Python's limit on the digits of a number
        raise yaml.constructor.ConstructorError(None, None, str(error).split(";")[0], node.start_mark) from None
    number.text = node.value
    return number


def _number(loader: _Loader, node: yaml.ScalarNode) -> WrittenFloat:
    text = node.value.replace("_", "").lower()
    number = WrittenFloat(re.sub(r"\.(inf|nan)$", r"\1", text))
    number.text = node.value
    return number


_Loader.add_constructor("tag:yaml.org,2002:int", _whole)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML or JSON file holds.

    Raises UserError if the file cannot be read, is not UTF-8, is neither YAML nor JSON, holds a key twice or is not a
    mapping.
    """
    try:
        size = Path(path).stat().st_size
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    if size > _LARGEST:
        raise UserError(f"{path} has {size / 1e6:,.1f} MB: this is no configuration file")
    return parse_mapping(read_text(path), source=str(path))


def parse_mapping(text: str, *, source: str) -> dict[str, Any]:
    """The mapping that YAML or JSON text holds; `source` names it in messages. Raises UserError as `read_yaml` does."""
    value = parse_value(text, source=source)
    if not isinstance(value, dict):
        raise UserError(f"{source} must hold a mapping of keys to values, found {_kind(value)}")
    return value


def parse_value(text: str, *, source: str) -> Any:
    """Any value that YAML or JSON text holds; UserError in one line for what is neither."""
    try:
        value = _parsed(text, source)
        _bounded(value, source)
    except RecursionError:
        raise UserError(f"{source} is nested too deeply: at most {_DEEPEST} levels") from None
    return value


def plain(value: Any) -> Any:
    """The value without what reading kept of its spelling."""
    if isinstance(value, WrittenInt):
        return int(value)
    if isinstance(value, WrittenFloat):
        return float(value)
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def _parsed(text: str, source: str) -> Any:
    problem = None
    if text.lstrip()[:1] == "{":
        try:
            return json.loads(text, object_pairs_hook=unique)
        except json.JSONDecodeError as error:  # perhaps YAML's braces
            if text.split("{", 1)[1].lstrip()[:1] in ('"', "}"):
                problem = f"{source} is not valid JSON: {error}"
        except ValueError as error:
            raise UserError(f"{source}: {error}") from None
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(problem or f"{source} is not valid YAML: {_one_line(error)}") from None
    except (
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # PyYAML on ill-formed tags (!!float x, !!timestamp x, !!omap x)
        raise UserError(f"{source} is not valid YAML: {_one_line(error)}") from None


def _bounded(value: Any, source: str) -> None:
    """UserError for a structure that aliases (or a self-reference) make too large or too deep to be a configuration."""
    left, waiting = _MOST, [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        left -= 1
        if depth > _DEEPEST:
            raise UserError(f"{source} is nested too deeply: at most {_DEEPEST} levels")
        if left < 0:
            raise UserError(
                f"{source} holds more than {_MOST:,} values once its aliases are followed: this is no configuration"
            )
        if isinstance(item, Mapping):
            waiting += [(inside, depth + 1) for inside in item.values()]
        elif isinstance(item, list | tuple | set):
            waiting += [(inside, depth + 1) for inside in item]


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        mark = error.problem_mark or error.context_mark
        return error.problem + (f" (line {mark.line + 1}, column {mark.column + 1})" if mark else "")
    return " ".join(str(error).split()) or type(error).__name__


def _kind(value: Any) -> str:
    """What a value is, in a reader's words."""
    if value is None:
        return "nothing"
    return {"list": "a list", "str": "text", "bool": "a yes or no"}.get(type(value).__name__, "a number")
