"""What an export's model card says, gathered: where the weights come from, what they were trained on, how they score,
what they may be used for, what they cost. Plain values; the card prints them and decides nothing.
"""

import glob
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dad.export.huggingface import EXACT, STOCK
from dad.export.parity import Parity
from dad.export.stock import differs, has_stock_class
from dad.files import read_json
from dad.identity import RECORD, read_record, require_of_weights
from dad.models.catalogue import NON_COMMERCIAL, licence_notice, licence_of
from dad.models.checkpoints import Header
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

FITS = {
    "lower": "aspect kept, both sides at least {size} pixels",
    "upper": "aspect kept, both sides at most {size} pixels",
    "minimal": "aspect kept, the side that changes least becomes {size} pixels",
    "square": "both sides {size} pixels, aspect lost",
    "longest": "aspect kept, the longer side {size} pixels",
    "area": "aspect kept, the longer side {size} pixels, shrunk by area",
}


def gather(
    source: str,
    network: DepthNetwork,
    header: Header,
    policy: InputPolicy,
    *,
    form: str,
    parities: list[Parity],
    cost: Mapping[str, Any],
    loss: Mapping[str, Any],
) -> dict[str, Any]:
    """The facts of one export. `source` is the run folder or weights; a run's config.json, provenance.json and
    summaries of scores are read where they are. `loss` is what 8 bits cost; empty for other formats.
    """
    run = Path(source)
    checked = ("config.json", "metrics.csv")
    made = read_record(run / RECORD, files=checked, cure="train it again") if (run / RECORD).is_file() else {}
    config = read_json(run / "config.json") if (run / "config.json").is_file() else {}
    cell = config if isinstance(config, dict) else {}
    name = str(made.get("cell") or run.name)
    return {
        "name": name,
        "format": form,
        "family": network.config.family,
        "kind": network.kind,
        "origin": header.origin,
        "native": has_stock_class(network.config),
        "differs": differs(network.config, policy) if has_stock_class(network.config) else "",
        "policy": asdict(policy) | {"words": FITS[policy.fit].format(size=policy.size or "its own")},
        "patch": network.config.patch,
        "training": _training(cell, made),
        "data": _data(cell, made),
        "scores": _scores(run, name, made),
        "parities": [asdict(parity) | {"line": parity.line} for parity in parities],
        "exact": _worst(parities, EXACT if form == "hf" else ""),
        "stock": _worst(parities, STOCK) if form == "hf" else None,
        "cost": dict(cost),
        "loss": dict(loss),
        "licence": _licence([source, *_from(cell)]),
    }


def _worst(parities: list[Parity], what: str) -> dict[str, float] | None:
    """Largest and mean difference of the parities whose `what` is or begins with this and a comma; of all for ""."""
    found = [parity for parity in parities if not what or parity.what.partition(",")[0] == what]
    if not found:
        return None
    means = [parity.mean for parity in found if parity.mean is not None]
    return {
        "difference": max(p.difference for p in found),
        "mean": sum(means) / len(means) if means else 0.0,
        "count": len(found),
    }


def _training(cell: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, str]:
    if not cell:
        return {}
    assistant = _assistant(cell)
    rows = {
        "mode": cell.get("mode"),
        "teacher": cell.get("teacher"),
        "assistant": assistant and f"{assistant} ({cell.get('supervision')})",
        "start": " ".join(str(value) for value in (cell.get("student") or {}).values()),
        "normalization": cell.get("normalization"),
        "steps": (cell.get("optim") or {}).get("steps"),
        "batch": (cell.get("optim") or {}).get("batch"),
        "seed": cell.get("seed"),
        "code": made.get("git_commit"),
    }
    return {key: str(value) for key, value in rows.items() if value not in (None, "")}


def _data(cell: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, str]:
    """The photos: as they were used, where the run says so, and otherwise as its config asked for."""
    used = {
        key.removeprefix("photos_"): value
        for key, value in made.items()
        if key.startswith("photos_") and value is not None
    }
    photos = made.get("photos") if isinstance(made.get("photos"), dict) else cell.get("photos") or {}
    rows = {f"{key}": value for key, value in photos.items() if value not in (None, "", [], {})} | used
    return {key.replace("_", " "): str(value) for key, value in rows.items()}


def _scores(run: Path, name: str, made: Mapping[str, Any]) -> list[dict[str, Any]]:
    # one summary for each group of benchmarks
    found = sorted((run.parent.parent / "scores").glob(f"*/{glob.escape(name)}.json"))
    results = []
    for path in found:
        summary = read_record(path, files=(path.with_suffix(".csv").name,), cure=f"evaluate {name} again")
        require_of_weights(summary, made, path, name)
        results += summary.get("results", [])
    return [
        {key: result[key] for key in ("dataset", "protocol", "images")}
        | {key: result["mean"][key] for key in ("abs_rel", "delta1")}
        for result in results
        if isinstance(result, dict) and isinstance(result.get("mean"), dict)
    ]


def _assistant(cell: Mapping[str, Any]) -> str:
    return str((cell.get("assistant") or {}).get("model", ""))


def _from(cell: Mapping[str, Any]) -> list[str]:
    """The models that a run's student was trained from or by."""
    return [text for text in (cell.get("teacher"), _assistant(cell), (cell.get("student") or {}).get("model")) if text]


def _licence(names: list[str]) -> dict[str, Any]:
    """The identifier that the hub knows, the notices of weights that restrict the use, and names whose licence is not
    known.

    The first name is the export's source: a folder's name says nothing, an official file's does.
    """
    source, *parents = names
    known = {name: licence_of(name) for name in parents or [source]}
    notices = [notice for name in names if (notice := licence_notice(name, _network(name)))]
    found = set(known.values())
    unknown = [name for name, licence in known.items() if licence is None]
    if NON_COMMERCIAL in found:
        identifier = NON_COMMERCIAL
    elif len(found) == 1 and None not in found:
        identifier = next(iter(found)) or "other"
    elif found <= {"apache-2.0", "mit"}:
        identifier = "apache-2.0"
    else:
        identifier = "other"
    return {"id": identifier, "notices": list(dict.fromkeys(notices)), "unknown": unknown}


def _network(name: str) -> str:
    """The network that a name speaks of, as `licence_notice` takes it."""
    prefix = name.partition(":")[0]
    found = re.search(r"genpercept|marigold", name.lower())
    return found[0] if found and not name.startswith("zoo/") else prefix
