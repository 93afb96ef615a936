"""Pretraining of a small GenPercept: first its autoencoder, then its UNet, which answers once and without noise.

Source: aim-uofa/GenPercept (ICLR 2025): the autoencoder of a text-to-image model stays frozen, the UNet maps the
image's latent to the latent of the map, and the map is disparity between two quantiles of its own image, as Marigold's
depth. Where GenPercept starts from Stable Diffusion, a network of the zoo has nothing to start from: its autoencoder is
trained here too, on images and maps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dad.distill.loop import StepResult, unwrapped
from dad.distill.losses import gradient_loss

QUANTILES = (0.02, 0.98)
"""Of an image's disparity: what becomes -1 and 1 (GenPercept and Marigold)."""
FLAT = 1e-6
"""Smallest distance of the two quantiles in 1/m: a map flatter than that has nothing to be scaled up."""


def bounded_map(disparity: Tensor) -> Tensor:
    """Disparity (B,1,H,W), 1/m -> [-1,1] per image, larger = nearer: linear between two quantiles, clipped outside."""
    low, high = torch.quantile(disparity.flatten(1), torch.tensor(QUANTILES, device=disparity.device), dim=1)[
        ..., None, None, None
    ]
    return ((disparity - low) / (high - low).clamp_min(FLAT) * 2 - 1).clip(-1, 1)


def draw_prompt(network: nn.Module, seed: int) -> None:
    """Fill the prompt's embedding with a fixed normal sample: the zoo has no text encoder, and a UNet that is trained
    from scratch can read any constant as the empty prompt's.
    """
    generator = torch.Generator().manual_seed(seed)
    network.prompt.copy_(torch.randn(network.prompt.shape, generator=generator))


def train_only(network: nn.Module, beginnings: tuple[str, ...]) -> None:
    """Let the parameters move whose names begin so, and freeze all others."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(beginnings))


def autoencoder_loss(network: nn.Module, batch: dict[str, Tensor], kl: float) -> StepResult:
    """L1 between images and maps (as three equal channels) and what the autoencoder makes of them, and a little
    divergence.

    Latents are sampled, which keeps them smooth; GenPercept itself uses their mean.
    """
    network = unwrapped(network)
    target = bounded_map(batch["disparity"])
    images = torch.cat([network.normalise(batch["rgb"]), target.expand(-1, 3, -1, -1)])
    posterior = network.vae.encode(images).latent_dist
    decoded = network.vae.decode(posterior.sample()).sample.float()
    errors = (decoded - images).abs().mean((1, 2, 3))
    of_image, of_map = errors[: len(target)].mean(), errors[len(target) :].mean()
    divergence = posterior.kl().mean() / posterior.mean[0].numel()
    terms = {"loss_image": of_image, "loss_map": of_map, "loss_kl": divergence}
    prediction = (decoded[len(target) :].mean(1, keepdim=True) + 1) / 2
    return StepResult(of_image + of_map + kl * divergence, terms, prediction)


def one_step_loss(network: nn.Module, batch: dict[str, Tensor], gradient: float) -> StepResult:
    """L1 and gradient matching between the decoded answer, not clipped, and the bounded map, both in [0,1]."""
    prediction = network(unwrapped(network).normalise(batch["rgb"])).float()
    target = (bounded_map(batch["disparity"]) + 1) / 2
    terms = {"loss_pixel": F.l1_loss(prediction, target), "loss_gradient": gradient_loss(prediction, target, None)}
    return StepResult(terms["loss_pixel"] + gradient * terms["loss_gradient"], terms, prediction)
