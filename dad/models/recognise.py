"""Which network a state dict belongs to: family and size by keys and shapes, Depth Anything's version by name."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from dad.errors import UserError
from dad.models.config import NETWORKS, DepthAnything3Config, VitDptConfig
from dad.models.midas_names import midas_names
from dad.models.names import depth_anything_names
from dad.models.network import shorten

_MARKS: tuple[tuple[str, str], ...] = (
    ("pretrained.model.blocks.0.attn.relative_position_bias_table", "midas-v3.1-beit-large-512"),
    ("pretrained.model.layers.0.blocks.0.attn.cpb_mlp.0.weight", "midas-v3.1-swin2-tiny-256"),
    ("pretrained.model.pos_embed", "midas-v3.0-dpt-large-384"),
    ("pretrained.layer1.3.0.conv_dw.weight", "midas-v2.1-small-256"),
    ("pretrained.layer1.4.0.conv1.weight", "midas-v2.1-large-384"),
    ("unet.conv_in.weight", "genpercept"),
)
"""A key that only this family's files hold, and the family's network."""


def recognise(state: Mapping[str, Tensor], name: str, *, network: str | None = None, path: Path | None = None) -> str:
    """The name of the network that `state` belongs to. Strict loading afterwards checks every key.

    `name` is the file's or repository's name; `network` what the caller says it is; `path` the file itself, which may
    be a link whose target's name tells more. Raises UserError for unknown files, for Depth Anything files whose name
    tells no version, and for contradictions.
    """
    found = _by_keys(state, name, network, path)
    if network is not None and network != found:
        raise UserError(f"{name} holds {found}, not {network}")
    return found


def _by_keys(state: Mapping[str, Tensor], name: str, network: str | None, path: Path | None) -> str:
    if any(key.startswith("pretrained.model.patch_embed.backbone.") for key in state):
        raise UserError(f"{name} is MiDaS's DPT-Hybrid, which is not supported; use DPT-Large or a v3.1 network")
    if any(key.removeprefix("model.").startswith("backbone.pretrained.") for key in state):
        return _depth_anything_3(state, name)
    state = midas_names(state)
    if any(key.startswith(("depth_head.", "neck.", "backbone.embeddings.")) for key in state):
        return _depth_anything(state, name, network, path)
    for key, known in _MARKS:
        if key in state:
            return known
    keys = shorten(sorted(state)) or "no tensors"
    raise UserError(
        f"{name} is of no known network (Depth Anything v1, v2 or 3, Distill Any Depth, MiDaS v2.1 to v3.1, "
        f"GenPercept): it holds {keys}"
    )


def _depth_anything_3(state: Mapping[str, Tensor], name: str) -> str:
    """Depth Anything 3's monocular networks; those of many views have other decoders and attention, and are refused."""
    state = {key.removeprefix("model."): value for key, value in state.items()}
    known = {config.width: network for network, config in NETWORKS.items() if isinstance(config, DepthAnything3Config)}
    width = state["backbone.pretrained.cls_token"].shape[-1] if "backbone.pretrained.cls_token" in state else None
    if "metric" in "/".join(name.lower().split("/")[-2:]):
        # the metric network has the same keys, but its depth has the unit of a camera that it is not told here
        raise UserError(f"{name} is named as a metric model; only relative depth is supported")
    if "head.scratch.sky_output_conv2.0.weight" not in state or width not in known:
        raise UserError(
            f"{name} is of Depth Anything 3, of which only the monocular network (DA3MONO-LARGE) is supported"
        )
    return known[width]


def _depth_anything(state: Mapping[str, Tensor], name: str, network: str | None, path: Path | None) -> str:
    named = depth_anything_names(state)
    if "pretrained.pos_embed" not in named:
        raise UserError(f"{name} looks like Depth Anything, but has no position embedding (pretrained.pos_embed)")
    width = named["pretrained.pos_embed"].shape[-1]
    sizes = [
        known.rpartition("-")[2]
        for known, config in NETWORKS.items()
        if isinstance(config, VitDptConfig) and config.width == width and known.startswith("depth-anything-v2-")
    ]
    if not sizes:
        raise UserError(
            f"{name} looks like Depth Anything with tokens of dimension {width}, which is none of small (384), base "
            "(768) and large (1024)"
        )
    versions = {"v2"} if any(key.startswith("backbone.blocks.0.") for key in state) else set()
    versions |= version_in(name)
    if path is not None and path.resolve() != path.absolute():
        # a link's target has a name, too: its own always counts, its folders' where nothing else tells
        versions |= version_in(path.resolve().name) or (
            set() if versions or network else version_in(str(path.resolve()))
        )
    if network is not None and network.startswith("depth-anything-"):
        versions.add(network.split("-")[2])
    if "metric" in "/".join(name.lower().split("/")[-2:]):
        # metric networks have the same keys, but end in a sigmoid
        raise UserError(f"{name} is named as a metric model; only relative depth is supported")
    if len(versions) > 1:
        raise UserError(
            f"{name}: signs of both Depth Anything v1 and v2, whose files have equal keys but mean different networks; "
            f"give the file its own name"
        )
    if not versions:
        raise UserError(
            f"{name}: Depth Anything v1 and v2 have equal keys, so the name must tell them apart: rename the file "
            f"(depth_anything_v2_vits.pth, depth_anything_vits14.pth) or say it, as depth-anything-v2-{sizes[0]}:{name}"
        )
    found = f"depth-anything-{versions.pop()}-{sizes[0]}"
    said = size_in(name)
    if said and said != sizes[0]:
        raise UserError(f"{name} is named as {said}, but its weights are {sizes[0]}")
    return found


def version_in(name: str) -> set[str]:
    """The Depth Anything versions that a file's or repository's name speaks of."""
    text = name.lower().replace("_", "-")
    found = set()
    if re.search(r"distill-?any-?depth|depth-?anything-?v2|\bdav2\b", text):
        found.add("v2")
    if re.search(r"depth-?anything-?v1|\bdav1\b|depth-anything-vit[sbl]14|liheyoung/depth-anything", text):
        found.add("v1")
    return found


def size_in(name: str) -> str | None:
    """The size that the last part of a file's or repository's name speaks of."""
    text = name.lower().replace("_", "-").rpartition("/")[2]
    for size, letter in (("small", "s"), ("base", "b"), ("large", "l")):
        if re.search(rf"\bvit{letter}(14)?\b|depth-anything(-v\d)?-{size}\b", text):
            return size
    return None
