"""Protocols: named, versioned, hashed sets of evaluation rules, read from YAML.

A file has a `fixed` block, whose values make the protocol what it is and cannot be overridden, and an `adjustable`
block, whose values are defaults. The idea is kmatzen/plumbline's `src/plumbline/protocols.py`.
"""

import functools
import importlib.resources
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic

from dad.errors import UserError
from dad.files import sha256_json
from dad.reading import parse_mapping, plain, read_yaml

Kind = Literal["depth", "disparity"]


class Rules(pydantic.BaseModel):
    """Base of all parts: frozen; unknown keys, NaN, infinity and switches are refused."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any) -> Any:
        if isinstance(value, bool):  # which Python takes for a number
            raise ValueError("no rule is true or false")
        return value


class Alignment(Rules):
    """How one kind of prediction is brought to metres."""

    domain: Literal["depth", "disparity", "log-depth"]
    """Where prediction and truth are compared by the fit; `disparity` fits 1/depth and inverts the result, `log-depth`
    fits ln depth against the logarithm of the prediction, of either kind (of a disparity the slope is negative).
    """
    solver: Literal["least-squares", "weighted-l1", "median", "none"]
    """`weighted-l1` minimises sum |s p + t - g| / g exactly; `median` finds a scale only, median(g) / median(p), of
    predictions not below `minimum`; `none` takes the prediction as is.
    """
    fit_pixels: Literal["mask", "positive"]
    """`positive` leaves pixels whose prediction or truth is not positive out of the fit; they are still scored."""
    fit_samples: Literal["all", "grid-64"] = "all"
    """`grid-64`: the fit sees only the valid pixel nearest to each centre of a 64 x 64 grid."""
    floor: pydantic.PositiveFloat | Literal["far-truth", "cap"] | None = None
    """Smallest aligned disparity before the inversion, in 1/m: a number, 1/max(truth in the mask), 1/cap, or none."""
    inversion_offset: float = pydantic.Field(default=0.0, ge=0)
    """Added to the aligned disparity before the inversion, in 1/m."""


class EdgeFilter(Rules):
    """Take occlusion boundaries out of the mask on the named data sets
    (`dad.evaluation.sampling.occlusion_edges`).
    """

    datasets: tuple[str, ...]
    thickness: int = pydantic.Field(ge=1)
    tolerance: float = pydantic.Field(gt=0)


class OutlierDrop(Rules):
    """Take truth deeper than `factor` times its own `quantile` out of the mask."""

    quantile: float = pydantic.Field(ge=0, le=1)
    factor: float = pydantic.Field(gt=0)


class StrictRules(Rules):
    """What the upstream evaluator does where the default mode refuses a prediction or leaves an image out."""

    nonfinite_fit: Literal["error", "nan", "far", "drop"]
    """A fit over NaN or infinite values: `error` ends the run (LAPACK), `nan` gives NaN metrics, `far` leaves them out
    of the fit and scores them at the ends of the range (NaN at the far one), `drop` leaves these pixels out altogether.
    """
    empty_images: Literal["poison", "skip"]
    """An image without metrics: `poison` makes the data set's mean NaN, `skip` leaves it out."""


class Protocol(Rules):
    """One complete set of rules. `id` and `hash` go into every result."""

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_-]*$")
    version: int = pydantic.Field(ge=1)
    description: str
    """Where the rules come from and what is special about them; not part of the hash."""
    alignments: dict[Kind, Alignment] = pydantic.Field(min_length=1)
    """One entry per kind of prediction that the protocol can score."""
    score_domain: Kind
    """`depth`: metrics compare metres; `disparity`: metrics compare 1/metres, nothing is inverted."""
    clip: Literal["dataset", "caps", "none"]
    """Clip the aligned prediction to the data set's depth range, or to `minimum` and the data set's value in `caps`;
    with `caps` truth that is not between these two leaves the mask (the rule that papers call Eigen's).
    """
    minimum: float | None = pydantic.Field(ge=0)
    """Smallest value that enters the metrics, after `clip`; none lets zero and negative values through."""
    caps: dict[str, pydantic.PositiveFloat] = {}
    """Far limit per data set in metres for `floor: cap` and `clip: caps`; `default` serves all others."""
    decimation: Literal["columns", "grid", "none"]
    """Which pixels the fit keeps when a data set sets `align_max_res`: thinned columns, both axes, or all."""
    edge_filter: EdgeFilter | None = None
    outlier_drop: OutlierDrop | None = None
    abs_rel_offset: float = pydantic.Field(default=0.0, ge=0)
    """Added to the truth in the denominator of AbsRel, in metres."""
    resolution: Literal["truth"]
    """Predictions are scored at the ground truth's resolution; the scorer never resizes."""
    average: Literal["image-mean", "pixels"]
    """A data set's value is the unweighted mean of its images' values, or that of all its pixels taken together."""
    strict: StrictRules
    least_pixels: int = pydantic.Field(default=0, ge=0)
    """An image with fewer scored pixels is left out as if it had none."""
    overrides: dict[str, Any] = {}
    """Adjustable values that were changed by the caller, by dotted key."""

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> "Protocol":
        for kind, alignment in self.alignments.items():
            if alignment.floor == "cap" and "default" not in self.caps:
                raise ValueError(f"alignments.{kind}.floor is 'cap', which needs caps.default")
            if alignment.domain == "log-depth" and (alignment.fit_pixels, alignment.solver) != (
                "positive",
                "least-squares",
            ):
                raise ValueError(
                    f"alignments.{kind}.domain is 'log-depth', which needs fit_pixels positive, solver least-squares"
                )
            if self.score_domain == "disparity" and alignment.domain != "disparity":
                raise ValueError(f"score_domain is 'disparity', which needs alignments.{kind}.domain 'disparity'")
        if self.clip == "caps" and "default" not in self.caps:
            raise ValueError("clip is 'caps', which needs caps.default")
        return self

    @functools.cached_property
    def id(self) -> str:
        """`name@version`, followed by every changed adjustable value."""
        return f"{self.name}@{self.version}" + "".join(
            f"+{key}={value}" for key, value in sorted(self.overrides.items())
        )

    @functools.cached_property
    def hash(self) -> str:
        """8 hex digits of the sha256 of the rules as canonical JSON: all values, without the description. A rule that
        came later than the first release counts where it is used (`_LATER`), so that protocols without it keep their
        hash.
        """
        unused = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return sha256_json(self.model_dump(mode="json", exclude={"description", "overrides", *unused}))[:8]

    def alignment(self, kind: str) -> Alignment:
        """The rules for one kind of prediction; a UserError if the protocol has none."""
        if kind not in self.alignments:
            raise UserError(f"protocol {self.id} scores {', '.join(self.alignments)} predictions, not {kind!r}")
        return self.alignments[kind]  # type: ignore[index]

    def cap(self, dataset: str) -> float:
        """Far limit in metres for a data set, for `floor: cap` and `clip: caps`; inf where the protocol has none."""
        return self.caps.get(dataset, self.caps.get("default", math.inf))


_LATER = ("least_pixels",)
"""Rules with a default that were added after results with hashes existed."""


def available_protocols() -> list[str]:
    """Names of the protocols in the package, the default first."""
    files = (importlib.resources.files("dad.evaluation") / "protocols").iterdir()
    names = sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return sorted(names, key=lambda name: name != "marigold")


def load_protocol(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Protocol:
    """Read a protocol by name or from a YAML file, and change adjustable values.

    `overrides` is nested like the file, or uses dotted keys ("alignments.disparity.fit_pixels"). Only values of the
    `adjustable` block can be changed; the UserError lists every key that cannot. An override that repeats the
    file's value changes nothing.
    """
    document = _read(str(name_or_path))
    fixed, adjustable = _leaves(document.pop("fixed", None) or {}), _leaves(document.pop("adjustable", None) or {})
    if twice := sorted(fixed.keys() & adjustable.keys()):
        raise UserError(f"protocol {name_or_path}: both fixed and adjustable: {', '.join(twice)}")
    wanted = _leaves(overrides or {})
    conflicts = [
        f"{key} (is {fixed[key]!r}, not {value!r})" if key in fixed else key
        for key, value in sorted(wanted.items())
        if fixed.get(key, _MISSING) != value and not _is_adjustable(key, fixed, adjustable)
    ]
    if conflicts:
        allowed = f"; adjustable are {', '.join(sorted(adjustable))}" if adjustable else ""
        raise UserError(f"protocol {name_or_path} does not let these be changed: {', '.join(conflicts)}{allowed}")
    changed = {key: value for key, value in wanted.items() if {**fixed, **adjustable}.get(key, _MISSING) != value}
    rules: dict[str, Any] = {**document, "overrides": changed}
    try:
        for key, value in {**fixed, **adjustable, **wanted}.items():
            _put(rules, key, value)
        return Protocol(**rules)
    except pydantic.ValidationError as error:
        problems = (f"{'.'.join(map(str, item['loc'])) or 'rules'}: {item['msg']}" for item in error.errors())
        raise UserError(f"protocol {name_or_path}: {'; '.join(problems)}") from None
    except ValueError as error:
        raise UserError(f"protocol {name_or_path}: {error}") from None


_MISSING = object()


def _read(name_or_path: str) -> dict[str, Any]:
    if name_or_path.endswith((".yaml", ".yml")):
        document = read_yaml(name_or_path)
    elif name_or_path in available_protocols():
        text = (importlib.resources.files("dad.evaluation") / "protocols" / f"{name_or_path}.yaml").read_text()
        document = parse_mapping(text, source=f"protocol {name_or_path}")
    else:
        raise UserError(
            f"unknown protocol {name_or_path!r}; known are {', '.join(available_protocols())}, or the path of a .yaml "
            "file"
        )
    for block in ("fixed", "adjustable"):
        if not isinstance(document.get(block) or {}, Mapping):
            raise UserError(f"protocol {name_or_path}: {block} must hold rules, found {plain(document[block])!r}")
    return plain(document)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to dotted keys; lists and scalars are leaves."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves.update(_leaves(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _is_adjustable(key: str, fixed: Mapping[str, Any], adjustable: Mapping[str, Any]) -> bool:
    """Whether a key is an adjustable value, a group of nothing else, or a new entry of such a group."""

    def free_group(prefix: str) -> bool:
        inside = [any(leaf.startswith(f"{prefix}.") for leaf in leaves) for leaves in (adjustable, fixed)]
        return inside == [True, False]

    parent = key.rpartition(".")[0]
    return key in adjustable or free_group(key) or bool(parent and free_group(parent))


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ValueError(f"{key}: {parent} is a single value, not a group")
    tree[last] = value
