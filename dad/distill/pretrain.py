"""Pretraining on labelled scenes, which makes the teachers of the procedural zoo.

As Depth Anything V2 trains its teacher on synthetic images: an affine-invariant loss on disparity plus gradient
matching. Sky is disparity 0, the limit of infinite depth.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from dad.data.crops import CropPlan, SampleOrder
from dad.distill.heads import cure_dead_head
from dad.distill.loop import StepResult, fit, prefetch, unwrapped
from dad.distill.losses import distillation_loss, normalised_gradient_loss, scale_anchor_loss
from dad.distill.monitor import CollapseDetector, StepLog
from dad.errors import UserError
from dad.files import read_json, sha256_json, write_text
from dad.models.checkpoints import save_network
from dad.models.registry import build_network
from dad.study.zoo import ZooRecipe


class LabelledScenes:
    """Folders of rendered scenes (`dad.data.scenes`), mixed evenly: scene i of the mix is scene i // K of folder i %
    K."""

    def __init__(self, roots: list[Path]) -> None:
        counts = []
        for root in roots:
            if not (root / "scenes.json").exists():
                raise UserError(f"{root} holds no finished scenes (scenes.json is missing): render them with `dad data scenes`")
            counts.append(read_json(root / "scenes.json")["count"])
        if len(set(counts)) != 1:
            raise UserError(
                f"folders of scenes must hold equal numbers of scenes, got {dict(zip(map(str, roots), counts, strict=True))}"
            )
        self.roots = roots
        self.count = counts[0] * len(roots)

    def read(self, index: int) -> tuple[Image.Image, Image.Image]:
        """The RGB image and the disparity (1/m, float32, 0 = sky) of scene `index`."""
        root, name = self.roots[index % len(self.roots)], f"{index // len(self.roots):06d}"
        depth = np.load(root / "depth" / f"{name}.npy")
        disparity = np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0)
        return Image.open(root / "rgb" / f"{name}.png"), Image.fromarray(disparity)


def _jitter(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness, contrast and colour balance of an image in [0,1] (H,W,3)."""
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    contrast = rng.uniform(0.8, 1.2)
    return np.clip((rgb * gain - 0.5) * contrast + 0.5, 0, 1)


def batches(scenes: LabelledScenes, recipe: ZooRecipe, start: int) -> Iterator[dict[str, Tensor]]:
    """Batches of `rgb` (B,3,S,S) in [0,1] and `disparity` (B,1,S,S) from step `start` on, each a pure function of its step."""
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
    """Affine-invariant loss, gradient matching on normalised maps (Depth Anything V2, section 5), and the scale's anchor."""
    disparity = batch["disparity"]
    prediction = network(unwrapped(network).normalise(batch["rgb"]))
    terms = {
        "loss_affine": distillation_loss(prediction, disparity, normalization="global"),
        "loss_gradient": normalised_gradient_loss(prediction, disparity, None, normalization="global"),
        "loss_anchor": scale_anchor_loss(prediction),
    }
    total = terms["loss_affine"] + recipe.gradient * terms["loss_gradient"] + recipe.anchor * terms["loss_anchor"]
    return StepResult(total, terms, prediction)


def pretrain(recipe: ZooRecipe, roots: list[Path], out: Path, work: Path) -> None:
    """Train `recipe` on the scenes under `roots`; writes OUT/NAME.safetensors (half precision) and OUT/NAME.csv (thinned step log).

    An interrupted call is continued by the same call from the checkpoints in `work`.
    """
    accelerator = Accelerator(mixed_precision=recipe.optim.precision)
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.network)
    scenes = LabelledScenes(roots)
    cure_dead_head(network, next(batches(scenes, recipe, 0))["rgb"])
    logs = []
    for number, stage in enumerate(stages(recipe)):
        log = StepLog(work / str(number) / "metrics.csv", listeners=(CollapseDetector(),))
        network, _ = fit(
            network,
            lambda start, stage=stage: prefetch(batches(scenes, stage, start), accelerator.device),
            lambda model, batch: scene_loss(model, batch, recipe),
            stage.optim,
            work=work / str(number),
            identity=sha256_json(recipe.model_dump(mode="json"))[:8],
            log=log,
            accelerator=accelerator,
        )
        logs.append(log.path.read_text())
    origin = f"pretrained on {scenes.count} procedural scenes, recipe {recipe.name}"
    save_network(out / f"{recipe.name}.safetensors", network, input_size=recipe.size, origin=origin, dtype=torch.float16)
    write_text(out / f"{recipe.name}.csv", thinned(logs))
    shutil.rmtree(work)


def stages(recipe: ZooRecipe) -> list[ZooRecipe]:
    """The recipe's trainings in order; each goes on from the weights of the one before."""
    if recipe.refine is None:
        return [recipe]
    return [recipe, recipe.model_copy(update={"optim": recipe.refine, "seed": recipe.seed + 1})]


def thinned(logs: list[str], every: int = 20) -> str:
    """Step logs of one stage after the other, steps counted on: every `every`-th step and each stage's last."""
    header = logs[0].splitlines(keepends=True)[0]
    lines, before = [header], 0
    for log in logs:
        rows = log.splitlines(keepends=True)[1:]
        for index, row in enumerate(rows):
            if index % every == 0 or index == len(rows) - 1:
                step, rest = row.split(",", 1)
                lines.append(f"{before + int(step)},{rest}")
        before += len(rows)
    return "".join(lines)
