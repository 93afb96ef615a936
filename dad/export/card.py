"""The model card that goes with an export: what the network is, what it was trained on and by, how it scores, what it may be used
for.
"""

import glob
from pathlib import Path
from typing import Any

from dad.export.parity import Parity
from dad.files import read_json
from dad.models.catalogue import licence_notice
from dad.models.checkpoints import Header
from dad.models.config import NetworkConfig, VitDptConfig
from dad.models.network import DepthNetwork


def native_to_transformers(config: NetworkConfig) -> bool:
    """Whether transformers has a class for this network (Depth Anything); every other one has to bring its own along."""
    return isinstance(config, VitDptConfig) and config.stem == "patch"


def model_card(source: str, network: DepthNetwork, header: Header, form: str, parities: list[Parity]) -> str:
    """Markdown. `source` is the run folder or weights; a run's config.json, provenance.json and summary of scores are read where
    they are.
    """
    run = Path(source)
    cell = _json(run / "config.json") if run.is_dir() else {}
    facts = _json(run / "provenance.json") if run.is_dir() else {}
    name = facts.get("cell", run.name)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    lines = [
        "---",
        "pipeline_tag: depth-estimation",
        "---",
        f"# {name}",
        "",
        f"A monocular depth network of the family {network.config.family}, {parameters:,} parameters; {header.origin}.",
        f"It gives relative {network.kind}"
        + (": larger is nearer, scale and shift are free." if network.kind == "disparity" else ", larger is farther."),
        f"Inputs: RGB at {header.input_size} pixels (policy `{network.policy.fit}`), sides multiples of {network.config.patch}, "
        f"mean {network.policy.mean}, standard deviation {network.policy.std}.",
        "",
        "## Training",
        "",
        *_training(cell, facts),
        "",
        "## Scores",
        "",
        *_scores(run, name),
        "",
        "## How to use it",
        "",
        *_usage(network, form),
        "",
        "## This export",
        "",
        f"Format: {form}. Agreement with the source, measured when it was written:",
        "",
        *(f"- {parity.line}" for parity in parities),
        "",
        "## Licence",
        "",
        *_licence(source, cell),
        "",
    ]
    return "\n".join(lines)


def _usage(network: DepthNetwork, form: str) -> list[str]:
    """How to load the files, where "FOLDER" is this one."""
    if form == "hf" and native_to_transformers(network.config):
        code = [
            "from transformers import pipeline",
            "",
            'depth = pipeline("depth-estimation", model="FOLDER")("photo.jpg")["predicted_depth"]',
        ]
        return ["```python", *code, "```", "", "The class is transformers' own: nothing else has to be installed."]
    if form == "hf":
        code = [
            "from transformers import pipeline",
            "",
            'pipe = pipeline("depth-estimation", model="FOLDER", trust_remote_code=True)',
            'depth = pipe("photo.jpg")["predicted_depth"]',
        ]
        return [
            "```python",
            *code,
            "```",
            "",
            "transformers has no class for this network. `modeling_dad.py` in this folder brings it along: transformers loads it",
            "with `trust_remote_code=True` only, and it needs the package `dad` to be installed.",
        ]
    if form == "onnx":
        policy = network.policy
        return [
            "```python",
            "import onnxruntime",
            "",
            'session = onnxruntime.InferenceSession("FOLDER/model.onnx")',
            'depth = session.run(None, {"image": image})[0]  # (B,1,H,W)',
            "```",
            "",
            f"`image` is float32 (B,3,H,W): RGB in 0..1, minus {policy.mean}, divided by {policy.std}; H and W multiples of "
            f"{network.config.patch}.",
        ]
    return [
        "```python",
        "from dad.models import load",
        "",
        'estimator = load("FOLDER/model.safetensors")',
        "depth = estimator(rgb)  # rgb (B,3,H,W) in 0..1 -> (B,1,H,W)",
        "```",
        "",
        "The tensors have the names of the official checkpoints of this family, where there are any.",
    ]


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, ValueError):
        return {}


def _training(cell: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    if not cell:
        return ["Not recorded with the source."]
    rows = {
        "mode": cell.get("mode"),
        "teacher": cell.get("teacher"),
        "assistant": _assistant(cell) and f"{_assistant(cell)} ({cell.get('supervision')})",
        "start": " ".join(str(value) for value in (cell.get("student") or {}).values()),
        "normalization": cell.get("normalization"),
        "photos": " ".join(f"{key}={value}" for key, value in (cell.get("photos") or {}).items()),
        "photos used": facts.get("photos_used"),
        "steps": (cell.get("optim") or {}).get("steps"),
        "batch": (cell.get("optim") or {}).get("batch"),
        "seed": cell.get("seed"),
        "code": facts.get("git_commit"),
    }
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items() if value not in (None, ""))]


def _scores(run: Path, name: str) -> list[str]:
    # one summary for each group of benchmarks
    found = sorted((run.parent.parent / "scores").glob(f"*/{glob.escape(name)}.json"))
    results = [result for path in found for result in _json(path).get("results", [])]
    if not results:
        return ["None were found beside the source."]
    rows = [
        f"| {r['dataset']} | {r['protocol']} | {r['images']} | {_number(r['mean']['abs_rel'])} | {_number(r['mean']['delta1'])} |"
        for r in results
    ]
    return ["| data set | protocol | images | AbsRel | delta1 |", "|---|---|---|---|---|", *rows]


def _number(value: float | None) -> str:
    """A mean; a summary has null for one that is not a number."""
    return "none" if value is None else f"{value:.4f}"


def _assistant(cell: dict[str, Any]) -> str:
    return str((cell.get("assistant") or {}).get("model", ""))


def _licence(source: str, cell: dict[str, Any]) -> list[str]:
    teacher, student = str(cell.get("teacher", "")), str((cell.get("student") or {}).get("model", ""))
    notices = [
        notice
        for notice in (
            licence_notice(text, text.partition(":")[0]) for text in (source, teacher, _assistant(cell), student) if text
        )
        if notice
    ]
    if notices:
        return ["Weights that this network was trained from or by restrict its use:", "", *(f"- {notice}" for notice in notices)]
    return ["Nothing that this network was trained from or by is known to restrict its use; the code is under Apache-2.0."]
