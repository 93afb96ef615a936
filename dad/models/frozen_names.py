"""Names of encoders that feature alignment compares with, as studies write them, and where their weights come from.
Imports nothing heavy: the check before a study reads this, and so does what loads them.
"""

from pathlib import Path

TIMM = "timm:"
"""What the name of an encoder of timm begins with: `timm:NAME`, or `timm:NAME@FILE` with weights at hand."""
DINOV2 = "dinov2"
"""The paper's encoder, of the student's size: `dinov2`, or `dinov2@FOLDER` with the official files in it."""
SIZES = {384: ("small", "s", 88), 768: ("base", "b", 346), 1024: ("large", "l", 1217)}
"""Width of DINOv2's encoders -> timm's word, the letter in the official file's name, megabytes."""
WEIGHTS = "model.safetensors"
"""What timm's repositories on the hub call them."""


def dinov2_name(width: int, folder: str = "") -> str:
    """timm's name of DINOv2's encoder of a width in `SIZES`, with its official file in `folder`, if one is given."""
    size, letter, _ = SIZES[width]
    file = f"@{Path(folder) / f'dinov2_vit{letter}14_pretrain.pth'}" if folder else ""
    return f"{TIMM}vit_{size}_patch14_dinov2.lvd142m{file}"


def timm_parts(name: str) -> tuple[str, str]:
    """The model and the file of `timm:NAME[@FILE]`; no file is an empty text."""
    model, _, file = name.removeprefix(TIMM).partition("@")
    return model, file


def timm_repository(model: str) -> str:
    """The hub's repository of a timm model with its tag; empty for a name without one, which only timm can complete."""
    return f"timm/{model}" if "." in model else ""
