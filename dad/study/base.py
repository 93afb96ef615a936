"""The base of every configuration model: which values its fields take, and how mistakes in them are reported."""

import datetime
import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from dad.errors import UserError
from dad.reading import WrittenFloat, WrittenInt, plain, read_yaml

__all__ = [
    "AddedLater",
    "Frozen",
    "SameResult",
    "as_text",
    "identity",
    "one_of",
    "parse_model",
    "problems_of",
    "read_yaml",
]

_SHOWN = 20
"""Problems named one by one."""


class Frozen(BaseModel):
    """Immutable, and an unknown key is an error: a misspelt key must not silently mean the default.

    Every field takes what a person would write for its type and nothing that only Python takes for it: `precision: no`
    and `name: 123` are text, `steps: true` is no number, NaN and infinity are no settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        fields = {name: field.annotation for name, field in cls.model_fields.items()}
        return {key: fitted(one, fields[key]) if key in fields else one for key, one in value.items()}


class _Refused:
    """In place of a value that no field of its type takes; pydantic refuses it with the key and the allowed type."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


def one_of(names: Iterable[str]) -> AfterValidator:
    """A word of a registry; another one is refused with all that are known."""
    known = tuple(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return name

    return AfterValidator(check)


class AddedLater:
    """Marks a field (`Annotated[bool, AddedLater]`) that came after results: `identity` omits it at its default."""


class SameResult:
    """Marks a field whose value changes how a result comes about and no bit of it: `identity` leaves it out."""


def identity(model: BaseModel) -> dict[str, Any]:
    """What a model's id is the hash of: all its values as JSON, without the fields marked `AddedLater` that are at
    their defaults, and without those marked `SameResult`.

    So a new key leaves the ids of everything that does not use it as they were.
    """
    described = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        unused = AddedLater in field.metadata and value == field.get_default(call_default_factory=True)
        if unused or SameResult in field.metadata:
            del described[name]
        elif isinstance(value, BaseModel):
            described[name] = identity(value)
    return described


def fitted(value: Any, annotation: Any) -> Any:
    """`value`, as read from a file, in the form in which a field of this type takes it."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return fitted(value, inside[0])
    if origin in (Union, types.UnionType):
        return _fitted_union(value, [option for option in inside if option is not type(None)])
    if origin is Literal or annotation is str:
        return as_text(value, inside if origin is Literal else None)
    if annotation in (int, float):
        if isinstance(value, bool):
            return _Refused(str(value).lower())
        return plain(value)
    if annotation is bool:
        return value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower(), _Refused(repr(plain(value))))
    if origin in (tuple, list) and isinstance(value, list | tuple):
        kinds = inside[:1] * len(value) if origin is list or inside[-1] is ... else inside
        return [fitted(one, kind) for one, kind in zip(value, kinds, strict=False)] + list(value[len(kinds) :])
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {as_text(key): fitted(one, inside[1]) for key, one in value.items()}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return value  # its own fields are fitted when it is made
    return plain(value)


_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _fitted_union(value: Any, options: list[Any]) -> Any:
    """The value for the first option of its shape; text wins over nothing else than nothing."""
    if value is None:
        return None
    shapes = {Mapping: (dict,), list: (list, tuple), tuple: (list, tuple)}
    for shape, origins in shapes.items():
        if isinstance(value, shape):
            fits = [option for option in options if get_origin(option) in origins]
            return fitted(value, fits[0]) if fits else value
    if any(isinstance(option, type) and issubclass(option, BaseModel) for option in map(_bare, options)):
        return value  # the model that is made of it knows more
    scalars = [
        option for option in options if get_origin(option) is Literal or _bare(option) in (str, int, float, bool)
    ]
    numbers = [option for option in scalars if _bare(option) in (int, float, bool)]
    if isinstance(value, str):
        texts = [option for option in scalars if option not in numbers]
        return fitted(value, (texts or numbers or [Any])[0])
    return fitted(value, (numbers or scalars or [Any])[0])


def _bare(annotation: Any) -> Any:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def as_text(value: Any, allowed: tuple[Any, ...] | None = None) -> Any:
    """A scalar as its written text; with `allowed`, YAML 1.1's booleans become the word of these they stand for."""
    if isinstance(value, bool):
        words = [word for word in ("yes", "on", "true") if value] or ["no", "off", "false"]
        return next((word for word in words if allowed and word in allowed), value)
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        return _Refused(f"{value!r}, which holds a character that no file can be named with")
    return value


Model = TypeVar("Model", bound=BaseModel)


def parse_model(model: type[Model], value: Any, *, source: str) -> Model:
    """Validate `value` as `model`; all mistakes in one line: where, what was given, what is allowed."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = problems_of(error, model)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise UserError(f"{source}: {'; '.join(problems[:_SHOWN] + more)}") from None


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every mistake that pydantic found, as `key: what is wrong (given value)`."""
    problems = []
    for item in error.errors():
        where = ".".join(_printable(part) for part in item["loc"]) or "(top)"
        if item["type"] == "extra_forbidden":
            problems.append(
                f"{where}: unknown key{did_you_mean(str(item['loc'][-1]), _known_keys(model, item['loc'][:-1]))}"
            )
        elif item["type"] == "missing":
            problems.append(f"{where}: missing")
        else:
            given = _printable(repr(item["input"]))
            shown = f" (given {given})" if len(given) <= 80 else ""
            problems.append(f"{where}: {item['msg'].removeprefix('Value error, ')}{shown}")
    return problems


def _printable(part: Any) -> str:
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(part))


def did_you_mean(given: str, known: list[str] | tuple[str, ...]) -> str:
    """`; did you mean 'x'?`, or the names there are where they are few and none is near; empty for none."""
    known = [name for name in known if name != given]
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= 12 else ""


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The fields of the model at a place inside `model`."""
    found: list[type[BaseModel]] = [model]
    for part in loc:
        inside = [kind.model_fields[part].annotation for kind in found if part in kind.model_fields]  # type: ignore[index]
        if inside:  # an index, a key of a dict or the tag of a union stays where it is
            found = [kind for annotation in inside for kind in _models_in(annotation)]
    return list(dict.fromkeys(name for kind in found for name in kind.model_fields))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for inside in get_args(annotation) for kind in _models_in(inside)]
