"""The part of a Hugging Face folder that lets transformers run networks which it has no class for. Copied into the folder as it is.

Loading needs `trust_remote_code=True` and this package. The numbers are the package's own at every input size.
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
        from pydantic import TypeAdapter

        from dad.models.config import NetworkConfig
        from dad.models.registry import build_network

        self.network = build_network(TypeAdapter(NetworkConfig).validate_python(config.network))
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Weights always come from the file."""

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> DepthEstimatorOutput:
        """Normalised input (B,3,H,W) -> predicted_depth (B,H,W)."""
        return DepthEstimatorOutput(predicted_depth=self.network(pixel_values)[:, 0])
