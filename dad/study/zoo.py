"""The recipe of one member of the procedural zoo: a network, labelled scenes, optimisation."""

from typing import Annotated

from pydantic import Field, model_validator

from dad.models.config import NetworkConfig
from dad.study.base import Frozen
from dad.study.config import Count, OptimConfig, Positive, SceneKind, SceneStyle, Weight, distinct


class ZooScenes(Frozen):
    """Labelled scenes to train on, `count` of each kind, seeds `seed` and up."""

    kinds: Annotated[tuple[SceneKind, ...], Field(min_length=1), distinct]
    count: Positive
    seed: Count
    height: Positive
    width: Positive
    samples: Positive = 1
    """Rays per pixel and axis in style `plain`; training crops are shrunk, which smooths edges by itself."""
    style: SceneStyle = "plain"
    """`rich`: things with parts, real lenses and light."""
    textures: str | None = None
    """Folder of photographs for some of the surfaces (not in style `plain`); null: none."""


class AutoencoderRecipe(Frozen):
    """How a diffusion network's autoencoder is trained before the rest: to give back the scenes and maps that it gets."""

    kl: Weight = 1e-3
    """Weight of the latents' divergence from a unit normal (mean over their elements) beside the L1 reconstruction."""
    optim: OptimConfig


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
    """Weight of gradient matching beside the affine-invariant loss (Depth Anything v2 has 1 : 2), or a diffusion network's L1."""
    anchor: Weight = 0.0
    """Weight of a term that keeps the output's scale, which the affine-invariant loss leaves free, from drifting. A study without
    normalization suffers from that very freedom, so a teacher for it is better off without; a diffusion network's maps are bounded
    and have no such term."""
    autoencoder: AutoencoderRecipe | None = None
    """The training that comes first where the network has an autoencoder, and only there; afterwards the autoencoder is frozen."""
    optim: OptimConfig
    refine: OptimConfig | None = None
    """A last training from the weights so far, a warm restart: lower rates, other crops; null: none. In a diffusion network the
    autoencoder's decoder moves too."""
    seed: Count = 0
    """Of the initial weights and of the first training's crops; every further training takes the next one."""

    @model_validator(mode="after")
    def _consistent(self) -> "ZooRecipe":
        if (self.network.family == "genpercept") != (self.autoencoder is not None):
            raise ValueError(f"autoencoder belongs to the family genpercept and must be given there, not to {self.network.family}")
        if self.scenes.textures is not None and self.scenes.style == "plain":
            raise ValueError("scenes of style plain have no textures: leave scenes.textures out or take style rich")
        trainings = (self.optim, self.refine, self.autoencoder and self.autoencoder.optim)
        precisions = {training.precision for training in trainings if training is not None}
        if len(precisions) > 1:
            raise ValueError(f"all trainings of a recipe must have one precision, got {', '.join(sorted(precisions))}")
        return self
