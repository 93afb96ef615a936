"""Where official weights come from and what they may be used for. `docs/checkpoints.md` explains how to get them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One official file. `repository` is a Hugging Face repository, `url` a plain download; one of them is set."""

    network: str
    file: str
    licence: str
    repository: str = ""
    url: str = ""
    restriction: str = ""
    """What the licence keeps one from doing, in a few words; empty if nothing beyond attribution."""
    here: str = ""
    """Where it is looked for below `checkpoints/`, if its own name tells nothing."""


_NC = "non-commercial use only"
_MIDAS = "https://github.com/isl-org/MiDaS/releases/download"

SOURCES: tuple[Source, ...] = (
    Source(
        "depth-anything-v2-small", "depth_anything_v2_vits.pth", "Apache-2.0", "depth-anything/Depth-Anything-V2-Small"
    ),
    Source(
        "depth-anything-v2-base",
        "depth_anything_v2_vitb.pth",
        "CC-BY-NC-4.0",
        "depth-anything/Depth-Anything-V2-Base",
        restriction=_NC,
    ),
    Source(
        "depth-anything-v2-large",
        "depth_anything_v2_vitl.pth",
        "CC-BY-NC-4.0",
        "depth-anything/Depth-Anything-V2-Large",
        restriction=_NC,
    ),
    Source(
        "depth-anything-v1-small",
        "checkpoints/depth_anything_vits14.pth",
        "Apache-2.0",
        url="https://huggingface.co/spaces/LiheYoung/Depth-Anything",
    ),
    Source(
        "depth-anything-v1-base",
        "checkpoints/depth_anything_vitb14.pth",
        "Apache-2.0",
        url="https://huggingface.co/spaces/LiheYoung/Depth-Anything",
    ),
    Source(
        "depth-anything-v1-large",
        "checkpoints/depth_anything_vitl14.pth",
        "Apache-2.0",
        url="https://huggingface.co/spaces/LiheYoung/Depth-Anything",
    ),
    Source(
        "depth-anything-3-mono-large",
        "model.safetensors",
        "Apache-2.0",
        "depth-anything/DA3MONO-LARGE",
        here="DA3MONO-LARGE/model.safetensors",
    ),
    Source("midas-v3.1-beit-large-512", "dpt_beit_large_512.pt", "MIT", url=f"{_MIDAS}/v3_1/dpt_beit_large_512.pt"),
    Source("midas-v3.1-swin2-tiny-256", "dpt_swin2_tiny_256.pt", "MIT", url=f"{_MIDAS}/v3_1/dpt_swin2_tiny_256.pt"),
    Source("midas-v3.0-dpt-large-384", "dpt_large_384.pt", "MIT", url=f"{_MIDAS}/v3/dpt_large_384.pt"),
    Source("midas-v2.1-small-256", "midas_v21_small_256.pt", "MIT", url=f"{_MIDAS}/v2_1/midas_v21_small_256.pt"),
    Source("midas-v2.1-large-384", "midas_v21_384.pt", "MIT", url=f"{_MIDAS}/v2_1/midas_v21_384.pt"),
)
"""What `load(NAME)` looks for. Other files of these networks (Distill Any Depth's) are given by repository or path."""


def source_of(network: str) -> Source | None:
    """The official file of a network's name, if there is one single file."""
    return next((source for source in SOURCES if source.network == network), None)


NON_COMMERCIAL = "cc-by-nc-4.0"
"""The hub's identifier of the licence of Depth Anything V2 base and large, and so of what was trained from them."""


def licence_of(name: str) -> str | None:
    """The hub's identifier of the licence that a model's name speaks of (a zoo name, a network, a file or a
    repository), or None.

    Weights that were distilled from non-commercial ones count as non-commercial, whatever their own publisher says.
    """
    text = name.lower().replace("_", "-")
    if re.match(r"zoo/", text):
        return "apache-2.0"
    if re.search(r"distill-?any-?depth", text):
        return NON_COMMERCIAL
    if re.search(r"genpercept", text):
        return "other"
    if re.search(r"marigold", text):
        return "openrail++"
    if re.search(r"depth-anything-3|\bda3mono", text):
        return "apache-2.0"
    if re.search(r"depth-anything-v2", text):
        return (
            "apache-2.0"
            if re.search(r"small|vits", text)
            else NON_COMMERCIAL
            if re.search(r"base|large|vit[bl]", text)
            else None
        )
    if re.search(r"depth-anything", text):
        return "apache-2.0"
    if re.search(r"midas|\bdpt-(beit-)?large|\bdpt-swin", text):
        return "mit"
    return None


def licence_notice(name: str, network: str) -> str:
    """One line on the licence of weights that may not be used freely; empty for those that may.

    `name` is where the weights came from (a path or a repository), `network` what they were recognised as.
    """
    if re.search(r"distill[-_ ]?any[-_ ]?depth", name, re.IGNORECASE):
        return (
            f"{name}: Distill Any Depth's weights are published under MIT, but distilled from Depth Anything V2 Large "
            "(CC-BY-NC-4.0): check before commercial use"
        )
    if network == "genpercept":
        return (
            f"{name}: GenPercept's weights are for non-commercial academic use (BSD-2-Clause with a remark of its "
            "authors)"
        )
    if network == "marigold":
        return f"{name}: Marigold's weights are under CreativeML OpenRAIL++-M, which restricts some uses"
    source = source_of(network)
    if source is None and licence_of(name) == NON_COMMERCIAL:
        return f"{name}: Depth Anything V2 base and large weights are under CC-BY-NC-4.0, {_NC}"
    return (
        f"{name}: {network} weights are under {source.licence}, {source.restriction}"
        if source and source.restriction
        else ""
    )
