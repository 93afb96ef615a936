"""The frozen encoder of feature alignment (L_feat): the student's as it starts, or another, like the paper's DINOv2."""

from pathlib import Path

import torch
from torch import Tensor, nn

from dad.errors import UserError
from dad.files import sha256_file
from dad.models.checkpoints import load_network, weights_identity
from dad.models.frozen_names import DINOV2, SIZES, TIMM, WEIGHTS, dinov2_name, timm_parts
from dad.models.hub import from_hub
from dad.models.precision import forward_precision
from dad.study.cells import loss_terms
from dad.study.config import Cell


def encoder_name(cell: Cell) -> str:
    """The encoder that a cell's feature alignment compares with: a model of ours, or `timm:NAME[@FILE]`."""
    name = cell.loss.feature_encoder or cell.student.model
    model, _, folder = name.partition("@")
    if model != DINOV2:
        return name
    width = getattr(load_network(cell.student.model)[1].network, "width", None)
    if width not in SIZES:
        known = ", ".join(map(str, SIZES))
        raise UserError(
            f"loss.feature_encoder: {DINOV2} has encoders of width {known}, the student {cell.student.model} has "
            f"{width}: name another encoder, or set loss.feature to 0"
        )
    return dinov2_name(width, folder)


class NetworkEncoder(nn.Module):
    """The encoder of one of our networks; of `network`, where the model is in memory already."""

    def __init__(self, model: str, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = load_network(model)[0] if network is None else network

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised input (B,3,S,S) -> tokens (B,N,C)."""
        return self.network.encode(pixels)


class TimmEncoder(nn.Module):
    """A vision transformer of timm; the class token and registers are left out.

    DINOv2 normalises its input as Depth Anything does (ImageNet's mean and deviation), so the student's input is its
    own.
    """

    def __init__(self, model: str) -> None:
        super().__init__()
        import timm

        name, file = timm_parts(model)
        if not timm.is_model(name.split(".")[0]):
            raise UserError(f"loss.feature_encoder: timm has no model {name!r}")
        if file and not Path(file).is_file():
            raise UserError(f"loss.feature_encoder: there is no file {file}")
        file = file or _from_hub(name)
        overlay = {"file": file} if file else None
        try:
            self.network = timm.create_model(
                name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, dynamic_img_size=True
            )
        except Exception as error:  # a file of another network: timm raises many kinds
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"loss.feature_encoder: {name} cannot be loaded ({reason}); give its weights as {TIMM}{name}@FILE"
            ) from None
        self.prefix = self.network.num_prefix_tokens

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised input (B,3,S,S) -> tokens (B,N,C)."""
        return self.network.forward_features(pixels)[:, self.prefix :]


def _from_hub(name: str) -> str:
    """The weights of a timm model as the hub has them: the cached ones, else downloaded. timm by itself would wait for
    a hub that does not answer, and ask again and again. Empty where timm gets them elsewhere.
    """
    import timm

    known = timm.get_pretrained_cfg(name)
    repository = known.hf_hub_id if known is not None else None
    if not repository or known.hf_hub_filename or "/" not in repository.strip("/"):
        return ""
    try:
        return str(from_hub(repository, WEIGHTS))
    except UserError as error:
        how = f"on a machine with a network: hf download {repository} {WEIGHTS}"
        raise UserError(f"loss.feature_encoder: {error}; {how}; or give its weights as {TIMM}{name}@FILE") from None


class FrozenEncoder(nn.Module):
    """An encoder that is only read, in the precision of the labels."""

    def __init__(self, encoder: nn.Module, precision: str) -> None:
        super().__init__()
        self.encoder, self.precision = encoder, precision
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised input (B,3,S,S) -> tokens (B,N,C), float32."""
        with forward_precision(pixels.device, self.precision):
            tokens = self.encoder(pixels)
        return tokens.float()


def frozen_encoder(cell: Cell) -> nn.Module:
    """What a cell's feature alignment compares with, frozen. UserError if it does not load or its tokens do not fit."""
    name = encoder_name(cell)
    encoder = TimmEncoder(name) if name.startswith(TIMM) else NetworkEncoder(name)
    encoder = FrozenEncoder(encoder, cell.labels.precision)
    if cell.loss.feature_encoder is not None:
        picture = torch.zeros(1, 3, cell.crop.size, cell.crop.size)
        with torch.no_grad():
            found, wanted = (
                tuple(encoder(picture).shape[1:]),
                tuple(NetworkEncoder(cell.student.model).eval()(picture).shape[1:]),
            )
        if found != wanted:
            raise UserError(
                f"loss.feature_encoder {name} gives {found[0]} tokens of width {found[1]}, the student "
                f"{cell.student.model} {wanted[0]} of {wanted[1]}: take an encoder of the student's size and patch, or "
                "set loss.feature to 0"
            )
    return encoder


def encoder_identity(cell: Cell) -> dict[str, str | None]:
    """The digest of an encoder's weights if it is not the student's own, for a training's identity; else nothing."""
    if cell.loss.feature_encoder is None or "feature" not in loss_terms(cell):
        return {}
    name = encoder_name(cell)
    if not name.startswith(TIMM):
        return {"feature_encoder": weights_identity(name)}
    file = name.partition("@")[2]
    return {"feature_encoder": sha256_file(Path(file)) if file else None}
