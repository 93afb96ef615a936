"""Which matrix product a wide network predicts with on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torch.utils._python_dispatch import _get_current_dispatch_mode

WIDE = 256
"""From this many features on, in and out, a layer takes oneDNN's product.

Measured: tokens x weights in float32, one thread (AMD EPYC, PyTorch 2.15), 10^9 operations a second by MKL, which has
no AVX-512 for this processor, and by oneDNN: 1370 x 384 x 1536: 103, 218; 1370 x 1536 x 384: 101, 215. At 64 features
copies eat the gain.
"""


class WideLinear(nn.Linear):
    """torch's linear layer by oneDNN's product, on a CPU in float32 where no gradient is asked for; else, and where
    operations are traced, compiled or counted, torch's own. Both are the same function up to rounding.
    """

    @classmethod
    def of(cls, layer: nn.Linear) -> "WideLinear":
        """With the parameters of `layer`."""
        wide = skip_init(cls, layer.in_features, layer.out_features, bias=layer.bias is not None)
        wide.weight, wide.bias = layer.weight, layer.bias
        return wide

    def forward(self, input: Tensor) -> Tensor:
        """(...,in_features) -> (...,out_features)."""
        if not self._by_onednn(input):
            return super().forward(input)
        return F.linear(input.to_mkldnn(), self.weight, self.bias).to_dense()

    def _by_onednn(self, x: Tensor) -> bool:
        if torch.jit.is_tracing() or torch.compiler.is_compiling() or _get_current_dispatch_mode() is not None:
            return False
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return False
        single = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32 and x.numel() > 0
        return single and torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()


def widen(network: nn.Module) -> None:
    """Make every wide linear layer inside `network` a `WideLinear`; names and parameters stay."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear and min(layer.in_features, layer.out_features) >= WIDE:
                setattr(parent, name, WideLinear.of(layer))
