"""Lets transformers run networks that it has no class for. Needs the package `dad`, and `trust_remote_code=True`.

The numbers are the package's own at every input size.
"""

from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import DepthEstimatorOutput


class DadConfig(PretrainedConfig):
    """Holds the network's description as `network`."""

    model_type = "dad"

    def __init__(self, network: dict[str, Any] | None = None, **others: Any) -> None:
        self.network = network
        super().__init__(**others)


class DadForDepthEstimation(PreTrainedModel):
    """A network of the package behind transformers' interface."""

    config_class = DadConfig

    def __init__(self, config: DadConfig) -> None:
        super().__init__(config)
        self.network = _build(config)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *given: Any, **options: Any) -> Any:
        """As in transformers. Buffers in no file, such as window masks, are left empty there and derived here."""
        loaded = super().from_pretrained(*given, **options)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        derived = {name for name, _ in model.network.named_buffers()} - model.network.state_dict().keys()
        if derived:
            fresh = dict(_build(model.config).named_buffers())
            for name in derived:
                model.network.get_buffer(name).copy_(fresh[name])
        return loaded

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Weights always come from the file."""

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> DepthEstimatorOutput:
        """Normalised input (B,3,H,W) -> predicted_depth (B,H,W)."""
        return DepthEstimatorOutput(predicted_depth=self.network(pixel_values)[:, 0])


def _build(config: DadConfig) -> torch.nn.Module:
    from pydantic import TypeAdapter

    from dad.models.config import NetworkConfig
    from dad.models.registry import build_network

    return build_network(TypeAdapter(NetworkConfig).validate_python(config.network))
