"""MiDaS v2.1: the small network (EfficientNet-lite3) and the large one (ResNeXt-101)."""

import torch
from timm.models.efficientnet import _gen_efficientnet_lite
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from dad.models.config import MidasLargeConfig, MidasSmallConfig
from dad.models.midas_decoder import MidasDecoder, ReluResidualConvUnit
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

BATCH_NORM_EPS = 1e-3
"""TensorFlow's default, with which EfficientNet-lite was trained; PyTorch's 1e-5 gives another network."""


class MidasConvNet(DepthNetwork):
    """Four convolutional stages (`pretrained.layer1` to `layer4`) and a decoder (`scratch`); relative disparity >= 0.

    Its weights lie in memory as `channels_last`, and so do the maps that come of them: a training step of the small
    network takes two thirds of the time (0.34 instead of 0.54 s, 16 crops of 128 pixels, float32, one core), and tensor
    cores prefer it too.
    """

    @property
    def encoder(self) -> nn.Module:
        """The four stages."""
        return self.pretrained

    @property
    def last_bias(self) -> nn.Parameter:
        """Bias (1,) of the decoder's last convolution."""
        return self.scratch.output_conv[4].bias

    def forward(self, x: Tensor, *, with_features: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Normalised input (B,3,H,W), H and W multiples of 32 -> disparity (B,1,H,W).

        `with_features` adds the last stage's cells.
        """
        self.check_size(x)
        maps = self._stages(x)
        disparity = self.scratch(maps)
        return (disparity, maps[-1].flatten(2).transpose(1, 2)) if with_features else disparity

    def encode(self, x: Tensor) -> Tensor:
        """The last stage's cells (B,N,C), without decoding."""
        return self._stages(x)[-1].flatten(2).transpose(1, 2)

    def _stages(self, x: Tensor) -> list[Tensor]:
        found = []
        for stage in (self.pretrained.layer1, self.pretrained.layer2, self.pretrained.layer3, self.pretrained.layer4):
            x = stage(x)
            found.append(x)
        return found


class MidasSmall(MidasConvNet):
    """MiDaS v2.1 small.

    timm's `tf_efficientnet_lite3` (padding "same" and batch norm as TensorFlow's) has the official weights' arithmetic.
    """

    def __init__(self, config: MidasSmallConfig) -> None:
        super().__init__()
        self.config = config
        self.policy = InputPolicy(size=256, multiple=32, fit=config.fit, back="bicubic")
        full = _gen_efficientnet_lite(
            "tf_efficientnet_lite3",
            channel_multiplier=config.channel_multiplier,
            depth_multiplier=config.depth_multiplier,
            bn_eps=BATCH_NORM_EPS,
            pad_type="same",
        )
        self.pretrained = nn.Module()
        # timm's bn1 includes the activation, which is the official sequence's third, weightless part
        self.pretrained.layer1 = nn.Sequential(full.conv_stem, full.bn1, nn.Identity(), *full.blocks[0:2])
        self.pretrained.layer2 = nn.Sequential(*full.blocks[2:3])
        self.pretrained.layer3 = nn.Sequential(*full.blocks[3:5])
        self.pretrained.layer4 = nn.Sequential(*full.blocks[5:7])
        channels = tuple(full.blocks[stage][-1].bn3.num_features for stage in (1, 2, 4, 6))
        self.scratch = MidasDecoder(
            channels, config.fusion, head=config.fusion // 2, widening=True, align_corners=False
        )
        self.to(memory_format=torch.channels_last)


class MidasLarge(MidasConvNet):
    """v2.1 large: torchvision's `resnext101_32x8d`."""

    def __init__(self, config: MidasLargeConfig) -> None:
        super().__init__()
        self.config = config
        self.policy = InputPolicy(size=384, multiple=32, fit="upper", back="bicubic")
        full = ResNet(Bottleneck, list(config.layers), groups=config.groups, width_per_group=config.group_width)
        self.pretrained = nn.Module()
        self.pretrained.layer1 = nn.Sequential(full.conv1, full.bn1, full.relu, full.maxpool, full.layer1)
        self.pretrained.layer2, self.pretrained.layer3, self.pretrained.layer4 = full.layer2, full.layer3, full.layer4
        self.scratch = MidasDecoder(
            (256, 512, 1024, 2048),
            config.fusion,
            head=128,
            projected=False,
            align_corners=False,
            unit=ReluResidualConvUnit,
        )
        self.to(memory_format=torch.channels_last)
