"""The recipe of one member of the procedural zoo: a network, labelled scenes, optimisation."""

from typing import Annotated

from pydantic import Field

from dad.models.config import NetworkConfig
from dad.study.base import Frozen
from dad.study.config import Count, OptimConfig, Positive, SceneKind, Weight


class ZooScenes(Frozen):
    """Labelled scenes to train on, `count` of each kind, seeds `seed` and up."""

    kinds: tuple[SceneKind, ...]
    count: Positive
    seed: Count
    height: Positive
    width: Positive
    samples: Positive = 1
    """Rays per pixel and axis; training crops are shrunk, which smooths edges by itself."""


class ZooRecipe(Frozen):
    """How a member of the zoo is made (the verb `pretrain`)."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    network: NetworkConfig
    scenes: ZooScenes
    size: Positive
    """Side in pixels of the network's input."""
    min_crop: Positive
    """Smallest side of the random square cut from a scene."""
    gradient: Weight = 2.0
    """Weight of gradient matching beside the affine-invariant loss (Depth Anything v2 has 1 : 2)."""
    anchor: Weight = 0.05
    """Weight of the term that keeps the output's scale, which the affine-invariant loss leaves free, from drifting."""
    optim: OptimConfig
    refine: OptimConfig | None = None
    """A second training from the first one's weights, a warm restart: lower rates, other crops (seed + 1); null: none."""
    seed: Count = 0
