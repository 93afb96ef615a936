"""Pretraining on labelled scenes, which makes the teachers of the procedural zoo.

As Depth Anything V2 trains its teacher on synthetic images: an affine-invariant loss on disparity plus gradient
matching. Sky is disparity 0, the limit of infinite depth. A diffusion network has losses of its own
(`dad.distill.pretrain_diffusion`).
"""

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from dad.data.checksums import read_checksums, read_file
from dad.data.crops import CropPlan, SampleOrder
from dad.data.photos import reason_of
from dad.distill.heads import cure_dead_head
from dad.distill.loop import StepResult, fit, prefetch, unwrapped
from dad.distill.losses import distillation_loss, normalised_gradient_loss, scale_anchor_loss
from dad.distill.monitor import CollapseDetector, StepLog
from dad.distill.pretrain_diffusion import autoencoder_loss, draw_prompt, one_step_loss, train_only
from dad.distill.processes import accelerator_for
from dad.errors import UserError
from dad.files import read_json, sha256_json, write_text
from dad.identity import content_digest
from dad.models.checkpoints import load_network, save_network
from dad.models.imagenet import from_imagenet
from dad.models.registry import build_network
from dad.study.zoo import ZooRecipe


def _header(root: Path) -> dict[str, Any]:
    """What a folder of scenes says of itself. Raises UserError where it is none."""
    if not (root / "scenes.json").exists():
        raise UserError(f"{root} holds no finished scenes (scenes.json is missing): render them with `dad data scenes`")
    header = read_json(root / "scenes.json")
    if not isinstance(header, dict) or type(header.get("count")) is not int or header["count"] < 1:
        raise UserError(f"{root / 'scenes.json'} is damaged: render the scenes again")
    return header


class LabelledScenes:
    """Folders of rendered scenes (`dad.data.scenes`), mixed evenly: scene i of the mix is scene i // K of folder i %
    K."""

    def __init__(self, roots: list[Path]) -> None:
        self.headers = [_header(root) for root in roots]
        self._checksums = [read_checksums(root) for root in roots]
        counts = [header["count"] for header in self.headers]
        if len(set(counts)) != 1:
            raise UserError(
                "folders of scenes must hold equal numbers of scenes, got "
                f"{dict(zip(map(str, roots), counts, strict=True))}"
            )
        self.roots = roots
        self.count = counts[0] * len(roots)

    def digest(self) -> str:
        """Digest of the scenes' images and depth, in their order."""
        return sha256_json([[content_digest(root / part) for part in ("rgb", "depth")] for root in self.roots])

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        """The RGB image and the disparity (1/m, float32, 0 = sky) of scene `index`."""
        root, checksums = self.roots[index % len(self.roots)], self._checksums[index % len(self.roots)]
        name = f"{index // len(self.roots):06d}"
        try:
            depth = np.load(io.BytesIO(read_file(root, f"depth/{name}.npy", checksums)), allow_pickle=False)
            rgb = Image.open(io.BytesIO(read_file(root, f"rgb/{name}.png", checksums)))
        except Exception as error:  # numpy and Pillow raise many kinds of errors for damaged data
            raise UserError(
                f"scene {name} of {root} cannot be read ({reason_of(error)}): render the scenes again"
            ) from None
        disparity = np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0)
        return rgb, Image.fromarray(disparity)


def _jitter(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness, contrast and colour balance of an image in [0,1] (H,W,3)."""
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    contrast = rng.uniform(0.8, 1.2)
    return np.clip((rgb * gain - 0.5) * contrast + 0.5, 0, 1)


def batches(scenes: LabelledScenes, recipe: ZooRecipe, start: int) -> Iterator[dict[str, Tensor]]:
    """Batches: `rgb` (B,3,S,S) in [0,1] and `disparity` (B,1,S,S) from `start` on, each a pure function of its step."""
    plan = CropPlan(seed=recipe.seed, min_crop=recipe.min_crop, size=recipe.size, patches=1, flip=True)
    order = SampleOrder([str(index) for index in range(scenes.count)], recipe.seed)
    height, width = recipe.scenes.height, recipe.scenes.width
    for step in range(start, recipe.optim.steps):
        images, maps = [], []
        for position in range(step * recipe.optim.batch, (step + 1) * recipe.optim.batch):
            index, epoch = order(position)
            rng = np.random.default_rng([recipe.seed, position])
            crop = plan.draw(str(index), epoch, width, height)
            rgb, disparity = scenes.read(index)
            box = (crop.x, crop.y, crop.x + crop.side, crop.y + crop.side)
            size = (recipe.size, recipe.size)
            image = np.asarray(rgb.resize(size, Image.Resampling.BICUBIC, box=box), np.float32) / 255
            # disparity is averaged, never sharpened: bicubic overshoot at an edge would be a wrong label
            target = np.asarray(disparity.resize(size, Image.Resampling.BOX, box=box), np.float32)
            if crop.flip:
                image, target = image[:, ::-1], target[:, ::-1]
            images.append(_jitter(image, rng).astype(np.float32).transpose(2, 0, 1))
            maps.append(target[None])
        yield {"rgb": torch.from_numpy(np.stack(images)), "disparity": torch.from_numpy(np.stack(maps))}


def scene_loss(network: nn.Module, batch: dict[str, Tensor], recipe: ZooRecipe) -> StepResult:
    """Affine-invariant loss, gradient matching on normalised maps (Depth Anything V2, section 5), the scale anchor."""
    disparity = batch["disparity"]
    prediction = network(unwrapped(network).normalise(batch["rgb"]))
    terms = {
        "loss_affine": distillation_loss(prediction, disparity, normalization="global"),
        "loss_gradient": normalised_gradient_loss(prediction, disparity, None, normalization="global"),
        "loss_anchor": scale_anchor_loss(prediction),
    }
    total = terms["loss_affine"] + recipe.gradient * terms["loss_gradient"] + recipe.anchor * terms["loss_anchor"]
    return StepResult(total, terms, prediction)


@dataclass(frozen=True)
class Stage:
    """One training of a recipe; it goes on from the weights of the one before."""

    recipe: ZooRecipe
    """The recipe with this training's own optimisation and seed."""
    loss: Callable[[nn.Module, dict[str, Tensor]], StepResult]
    trained: tuple[str, ...] | None = None
    """Names that the moving parameters begin with; None: all that the network trains."""


def stages(recipe: ZooRecipe) -> list[Stage]:
    """The recipe's trainings in order."""
    if recipe.autoencoder is None:
        optims, loss = [recipe.optim], partial(scene_loss, recipe=recipe)
        plans = [(loss, None)]
    else:
        optims, loss = [recipe.autoencoder.optim, recipe.optim], partial(one_step_loss, gradient=recipe.gradient)
        plans = [(partial(autoencoder_loss, kl=recipe.autoencoder.kl), ("vae.",)), (loss, ("unet.",))]
    if recipe.refine is not None:
        optims.append(recipe.refine)
        plans.append((loss, None if recipe.autoencoder is None else ("unet.", "vae.decoder.", "vae.post_quant_conv.")))
    return [
        Stage(recipe.model_copy(update={"optim": optim, "seed": recipe.seed + number}), *plan)
        for number, (optim, plan) in enumerate(zip(optims, plans, strict=True))
    ]


def start(recipe: ZooRecipe, scenes: LabelledScenes) -> nn.Module:
    """The network before its first step, a pure function of the recipe's seed."""
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.network)
    if recipe.init is not None and recipe.init.startswith("zoo/"):
        source, header = load_network(recipe.init)
        if header.network != recipe.network:
            raise UserError(f"recipe {recipe.name}: init {recipe.init} is another network than the recipe's")
        network.load_state_dict(source.state_dict())
    elif recipe.init is not None:
        from_imagenet(network, recipe.init)
    if recipe.autoencoder is not None:
        draw_prompt(network, recipe.seed)
    cure_dead_head(network, next(batches(scenes, stages(recipe)[0].recipe, 0))["rgb"])
    return network


@torch.no_grad()
def to_unit_spread(network: nn.Module, rgb: Tensor) -> float:
    """Divide the network's output by its mean absolute deviation from the median over a batch (B,3,S,S) in [0,1];
    returns that.

    One number for all images, which no loss that forgives scale can see: without an anchor it drifts by orders of
    magnitude, beyond what labels in float16 hold. The last three convolutions, which only ReLU and resizing part, share
    it, so that no weight leaves the range of half precision.
    """
    network.eval()
    maps = network(network.normalise(rgb.to(next(network.parameters()).device))).float()
    spread = (maps - maps.median()).abs().mean().item()
    last = [part for part in network.modules() if isinstance(part, nn.Conv2d)][-3:]
    if last[-1].bias is not network.last_bias:
        raise ValueError("the last convolution registered is not the one that ends the decoder")
    factor = spread ** (-1 / len(last))
    for depth, part in enumerate(last, 1):
        part.weight.mul_(factor)
        part.bias.mul_(factor**depth)
    return spread


def _step(network: nn.Module, batch: dict[str, Tensor], *, stage: Stage, accelerator: Accelerator) -> StepResult:
    # parts of a network that a loss calls by themselves need the precision too; the context ends with the step, since
    # within one autocast keeps its first half-precision copies of the weights
    with accelerator.autocast():
        return stage.loss(network, batch)


def pretrain(recipe: ZooRecipe, roots: list[Path], out: Path, work: Path) -> None:
    """Train `recipe` on the scenes under `roots`; writes OUT/NAME.safetensors (half precision) and OUT/NAME.csv
    (thinned step log).

    An interrupted call is continued by the same call from the checkpoints in `work`.
    """
    accelerator = accelerator_for(recipe.optim.precision)
    if accelerator.num_processes > 1:
        raise UserError(f"pretraining runs in one process, but {accelerator.num_processes} were started")
    if recipe.autoencoder is not None and any(stage.recipe.optim.micro_batch for stage in stages(recipe)):
        raise UserError("optim.micro_batch: a diffusion network's losses call its parts by themselves: leave it out")
    scenes = LabelledScenes(roots)
    _require_recipe(scenes, recipe)
    network = start(recipe, scenes)
    identity = {"cell": recipe.model_dump(mode="json"), "scenes": scenes.digest()}
    logs = []
    for number, stage in enumerate(stages(recipe)):
        log = StepLog(work / str(number) / "metrics.csv", listeners=(CollapseDetector(),))
        if stage.trained is not None:
            train_only(network, stage.trained)
        network = fit(
            network,
            lambda first, stage=stage: prefetch(batches(scenes, stage.recipe, first), accelerator.device),
            partial(_step, stage=stage, accelerator=accelerator),
            stage.recipe.optim,
            work=work / str(number),
            identity=identity,
            log=log,
            accelerator=accelerator,
        ).network
        logs.append(log.path.read_text())
    if recipe.anchor == 0 and recipe.autoencoder is None:
        to_unit_spread(network, next(batches(scenes, stages(recipe)[0].recipe, 0))["rgb"])
    begun = {None: "", "efficientnet-lite0": f", encoder from ImageNet ({recipe.init})"}.get(
        recipe.init, f", from {recipe.init}"
    )
    origin = f"pretrained on {scenes.count} procedural scenes, recipe {recipe.name}{begun}"
    path = out / f"{recipe.name}.safetensors"
    save_network(path, network, input_size=recipe.size, origin=origin, dtype=torch.float16, checksum=False)
    write_text(out / f"{recipe.name}.csv", thinned(logs))
    shutil.rmtree(work)


def _require_recipe(scenes: LabelledScenes, recipe: ZooRecipe) -> None:
    """Refuse other scenes than the recipe's: they would be written down as its own, and be cut at the wrong size."""
    asked = recipe.scenes.model_dump(mode="json")
    for root, header in zip(scenes.roots, scenes.headers, strict=True):
        said = {"style": "plain"} | header
        for key in ("count", "seed", "height", "width", "style"):
            if said.get(key) != asked[key]:
                wanted = f"recipe {recipe.name} asks for {asked[key]!r}"
                raise UserError(f"{root}: its scenes have {key} {said.get(key)!r}, and {wanted}")
    if (kinds := [header.get("kind") for header in scenes.headers]) != asked["kinds"]:
        held, wanted = ", ".join(map(str, kinds)), ", ".join(asked["kinds"])
        raise UserError(f"--scenes: the folders hold {held}, and recipe {recipe.name} asks for {wanted}, in this order")


def thinned(logs: list[str], every: int = 20) -> str:
    """Step logs of one stage after the other, steps counted on: every `every`-th step and each stage's last.

    Stages with other losses have other columns: what a stage does not have stays empty in its rows.
    """
    tables = [list(csv.DictReader(io.StringIO(log))) for log in logs]
    columns = list(dict.fromkeys(column for log in logs for column in log.splitlines()[0].split(",")))
    text, before = io.StringIO(), 0
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for table in tables:
        for index, row in enumerate(table):
            if index % every == 0 or index == len(table) - 1:
                writer.writerow(row | {"step": before + int(row["step"])})
        before += len(table)
    return text.getvalue()
