"""GenPercept: an image's latent goes once through a diffusion UNet, without noise and scheduler, and is decoded to a
map.

Source: aim-uofa/GenPercept `genpercept/genpercept_pipeline.py`. Its one-step scheduler with all betas 1 does nothing
but negate the UNet's output, so it is left out. The UNet sees timestep 1 and the embedding of the empty prompt.
"""

import re
from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from dad.errors import UserError
from dad.models.config import GenPerceptConfig
from dad.models.genpercept_head import UnetDptHead
from dad.models.network import DepthNetwork, mismatch
from dad.models.policy import HALF, InputPolicy

TIMESTEP = 1
"""What DDIM's "leading" spacing with one step and an offset of 1 gives."""
EMPTY_PROMPT = (49406, 49407)
"""CLIP's tokens of "": begin and end, without padding."""


class GenPercept(DepthNetwork):
    """`vae`, `unet` and, for the DPT variant, `customized_head` under diffusers' names, and the empty prompt's
    embedding `prompt`.

    The output is affine-invariant within [0,1] per image: disparity (larger = nearer) or depth, as the weights were
    trained.
    """

    def __init__(self, config: GenPerceptConfig) -> None:
        super().__init__()
        self.config = config
        self.kind = config.target
        self.policy = InputPolicy(size=768, multiple=1, fit="longest", mean=HALF, std=HALF)
        self.vae = AutoencoderKL.from_config(config.vae)
        self.unet = UNet2DConditionModel.from_config(config.unet)
        self.register_buffer("prompt", torch.zeros(1, config.prompt_tokens, self.unet.config.cross_attention_dim))
        if config.head == "dpt":
            # the head reads the up blocks; what would follow them is not in the official files of this variant
            self.unet.conv_norm_out, self.unet.conv_out = None, nn.Identity()
            self.customized_head = UnetDptHead(tuple(self.unet.config.block_out_channels), config.head_fusion)

    @property
    def encoder(self) -> nn.Module:
        """The UNet, which carries what pretraining taught."""
        return self.unet

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias of the last convolution: (3,) of the VAE's decoder, (1,) of the DPT head."""
        return self.customized_head.head.head[4].bias if self.config.head == "dpt" else self.vae.decoder.conv_out.bias

    def encode(self, x: Tensor) -> Tensor:
        """Raises UserError: feature alignment compares tokens of an image encoder, which a diffusion network lacks."""
        raise UserError(
            "GenPercept has no encoder features to align: use it as teacher or assistant, or set the feature loss to 0"
        )

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor:
        """Input (B,3,H,W) in [-1,1] -> map (B,1,h,w) in [0,1], h and w rounded down to what the VAE can hold.

        In training mode the VAE variant is not clipped and the DPT variant not rescaled, so that every pixel has a
        gradient.
        """
        if with_features:
            self.encode(x)
        latent = self.to_latent(x)
        if self.config.head == "dpt":
            raw = self.customized_head(self.unet_features(latent))
            return raw if self.training else rescale(raw)
        decoded = self.decode(-self.predict(latent)).mean(dim=1, keepdim=True)
        return ((decoded if self.training else decoded.clip(-1, 1)) + 1) / 2

    def to_latent(self, x: Tensor) -> Tensor:
        """The mean of the VAE's posterior, scaled: (B,4,h/8,w/8)."""
        mean, _ = self.vae.quant_conv(self.vae.encoder(x)).chunk(2, dim=1)
        return mean * self.vae.config.scaling_factor

    def predict(self, latent: Tensor) -> Tensor:
        """The UNet's one answer, in the latent's shape."""
        return self.unet(
            latent, self._timestep(latent), encoder_hidden_states=self.prompt.expand(len(latent), -1, -1)
        ).sample

    def decode(self, latent: Tensor) -> Tensor:
        """Latent (B,4,h,w) -> three unclipped channels (B,3,8h,8w)."""
        return self.vae.decoder(self.vae.post_quant_conv(latent / self.vae.config.scaling_factor))

    def unet_features(self, latent: Tensor) -> list[Tensor]:
        """Outputs of the UNet's up blocks, finest first."""
        found: list[Tensor] = []
        hooks = [
            block.register_forward_hook(lambda _, __, output: found.append(output)) for block in self.unet.up_blocks
        ]
        try:
            self.predict(latent)
        finally:
            for hook in hooks:
                hook.remove()
        return found[::-1]

    @staticmethod
    def _timestep(latent: Tensor) -> Tensor:
        return torch.tensor([TIMESTEP], device=latent.device)

    def from_official(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Parts prefixed `unet.`, `vae.`, `customized_head.`; `text_encoder.` becomes the prompt's embedding."""
        own, text = {}, {}
        for key, value in state.items():
            if key.startswith("text_encoder."):
                text[re.sub(r"^text_encoder\.(text_model\.)?", "", key)] = value
            elif not (self.config.head == "dpt" and key.startswith(("unet.conv_norm_out.", "unet.conv_out."))):
                own[_modern_attention(key)] = value
        # diffusers made 1x1 convolutions of the VAE's attention into linear layers
        for key, value in own.items():
            if key.startswith("vae.") and ".attentions." in key and value.ndim == 4:
                own[key] = value[:, :, 0, 0]
        if text:
            own["prompt"] = self._embed_empty_prompt(text)
        return own

    def _embed_empty_prompt(self, text: Mapping[str, Tensor]) -> Tensor:
        encoder = CLIPTextModel(CLIPTextConfig(**self.config.text_encoder)).eval()
        expected = {re.sub(r"^text_model\.", "", key): key for key in encoder.state_dict()}
        state = {key: value for key, value in text.items() if not key.endswith("position_ids")}
        problem = mismatch(state, {key: encoder.state_dict()[full] for key, full in expected.items()})
        if problem:
            raise UserError(f"the text encoder does not fit its configuration: {problem}")
        encoder.load_state_dict({expected[key]: value for key, value in state.items()}, strict=False)
        with torch.no_grad():
            return encoder(torch.tensor([EMPTY_PROMPT]))[0]


def rescale(raw: Tensor) -> Tensor:
    """Every image's map (B,1,H,W) to [0,1] by its own minimum and maximum; a constant map becomes 0.

    Upstream takes both over the whole batch, which makes a map depend on its neighbours; for one image the result is
    the same.
    """
    low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
    return (raw - low) / (high - low).clamp_min(torch.finfo(raw.dtype).tiny)


def _modern_attention(key: str) -> str:
    """Names of the VAE's attention as in files written before diffusers 0.18."""
    if not re.match(r"vae\.(encoder|decoder)\.mid_block\.attentions\.", key):
        return key
    for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
        key = key.replace(f".{old}.", f".{new}.")
    return key
