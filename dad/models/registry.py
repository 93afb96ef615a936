"""Names to networks."""

from torch import nn

from dad.errors import UserError
from dad.models.config import NETWORKS, NetworkConfig
from dad.models.depth_anything import DepthAnything


def build_network(config: NetworkConfig) -> nn.Module:
    """A network with random weights from its description."""
    return DepthAnything(config)


def build(name: str) -> nn.Module:
    """A network by its official name, with random weights. Raises UserError for an unknown name."""
    if name not in NETWORKS:
        raise UserError(f"unknown network {name!r}; known: {', '.join(sorted(NETWORKS))}")
    return build_network(NETWORKS[name])
