"""The recipe of one member of the procedural zoo: a network, labelled scenes, optimisation."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from dad.files import sha256_json
from dad.models.config import NetworkConfig
from dad.study.base import Frozen, parse_model, read_yaml
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

    @property
    def key(self) -> str:
        """Name of the set: the hash of its recipe."""
        return sha256_json(self.model_dump(mode="json"))[:8]

    @property
    def options(self) -> list[str]:
        """Its options of `dad data scenes`, but for the kind."""
        values = {
            key: value for key, value in self.model_dump(mode="json").items() if key != "kinds" and value is not None
        }
        return [f"--{key}={value}" for key, value in values.items()]


class AutoencoderRecipe(Frozen):
    """How a diffusion network's autoencoder is trained before the rest: to give back the scenes and maps it gets."""

    kl: Weight = 1e-3
    """Weight of the latents' divergence from a unit normal (mean over their elements) beside the L1 reconstruction."""
    optim: OptimConfig


class ZooRecipe(Frozen):
    """How a member of the zoo is made (the verb `pretrain`)."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    network: NetworkConfig
    init: Annotated[str, Field(pattern=r"^(efficientnet-lite0|zoo/[a-z0-9-]+)$")] | None = None
    """What the network starts from: `efficientnet-lite0`, ImageNet weights for the encoder of the family midas-small at
    width and depth 1.0 (`dad.models.imagenet`); `zoo/NAME`, all weights of another member of the same network; null:
    random ones.
    """
    scenes: ZooScenes
    size: Positive
    """Side in pixels of the network's input."""
    min_crop: Positive
    """Smallest side of the random square cut from a scene."""
    gradient: Weight = 2.0
    """Weight of gradient matching beside affine-invariant loss (Depth Anything v2: 1:2) or a diffusion network's L1."""
    anchor: Weight = 0.0
    """Weight of a term that keeps the output's scale, which the affine-invariant loss leaves free, from drifting. A
    study without normalization suffers from that very freedom, so a teacher for it is better off without; a diffusion
    network's maps are bounded and have no such term.
    """
    autoencoder: AutoencoderRecipe | None = None
    """The training that comes first where, and only where, the network has an autoencoder, which is then frozen."""
    optim: OptimConfig
    refine: OptimConfig | None = None
    """A last training from the weights so far, a warm restart: lower rates, other crops; null: none. In a diffusion
    network the autoencoder's decoder moves too.
    """
    seed: Count = 0
    """Of the initial weights and of the first training's crops; every further training takes the next one."""

    @model_validator(mode="after")
    def _consistent(self) -> "ZooRecipe":
        if (self.network.family == "genpercept") != (self.autoencoder is not None):
            raise ValueError(
                f"autoencoder belongs to the family genpercept and must be given there, not to {self.network.family}"
            )
        if self.scenes.textures is not None and self.scenes.style == "plain":
            raise ValueError("scenes of style plain have no textures: leave scenes.textures out or take style rich")
        if self.init == "efficientnet-lite0" and self.network.family != "midas-small":
            raise ValueError(f"init {self.init} is an encoder of the family midas-small, not of {self.network.family}")
        trainings = (self.optim, self.refine, self.autoencoder and self.autoencoder.optim)
        precisions = {training.precision for training in trainings if training is not None}
        if len(precisions) > 1:
            raise ValueError(f"all trainings of a recipe must have one precision, got {', '.join(sorted(precisions))}")
        return self

    @property
    def held_out(self) -> ZooScenes:
        """Unseen scenes that the member's scores are of: 100 of each kind, in the style and size of its own."""
        style = self.scenes.style
        height, width = (192, 256) if style == "plain" else (384, 512)
        kinds = ("indoor", "outdoor", "driving")
        return ZooScenes(kinds=kinds, count=100, seed=900000, height=height, width=width, samples=2, style=style)


def recipes(folder: Path) -> dict[str, ZooRecipe]:
    """The members of the zoo by name: a file each."""
    return {
        path.stem: parse_model(ZooRecipe, read_yaml(path), source=str(path)) for path in sorted(folder.glob("*.yaml"))
    }
