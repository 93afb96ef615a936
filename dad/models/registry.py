"""Names and configs to networks."""

from dad.errors import UserError
from dad.models.config import (
    NETWORKS,
    DepthAnything3Config,
    GenPerceptConfig,
    MidasDptConfig,
    MidasLargeConfig,
    MidasSmallConfig,
    MidasSwinConfig,
    NetworkConfig,
    VitDptConfig,
)
from dad.models.network import DepthNetwork


def build_network(config: NetworkConfig) -> DepthNetwork:
    """A network with random weights from its description."""
    # each family imports its own library parts (timm, torchvision, diffusers), some of which take seconds
    match config:
        case VitDptConfig():
            from dad.models.depth_anything import DepthAnything

            return DepthAnything(config)
        case DepthAnything3Config():
            from dad.models.depth_anything_3 import DepthAnything3

            return DepthAnything3(config)
        case MidasDptConfig():
            from dad.models.midas import MidasDpt

            return MidasDpt(config)
        case MidasSwinConfig():
            from dad.models.midas_swin import MidasSwin

            return MidasSwin(config)
        case MidasSmallConfig():
            from dad.models.midas_cnn import MidasSmall

            return MidasSmall(config)
        case MidasLargeConfig():
            from dad.models.midas_cnn import MidasLarge

            return MidasLarge(config)
        case GenPerceptConfig():
            from dad.models.genpercept import GenPercept

            return GenPercept(config)
    raise AssertionError(f"no network for {config!r}")


def build(name: str) -> DepthNetwork:
    """A network by its official name, with random weights. Raises UserError for an unknown name."""
    if name not in NETWORKS:
        raise UserError(f"unknown network {name!r}; known: {', '.join(sorted(NETWORKS))}")
    return build_network(NETWORKS[name])
