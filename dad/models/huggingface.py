"""Configs of transformers' depth networks (config.json of a folder or of a hub name), turned into ours."""

from collections.abc import Mapping
from typing import Any

from dad.errors import UserError
from dad.models.config import NETWORKS, MidasDptConfig, MidasSwinConfig, NetworkConfig, VitDptConfig


def config_from_huggingface(described: Mapping[str, Any], name: str) -> NetworkConfig:
    """Our config of the network that a config.json describes.

    Known are DepthAnythingConfig and DPTConfig over ViT, BEiT and Swin v2. Raises UserError where it describes
    something else, or a network whose arithmetic differs from ours.
    """
    kind = described.get("model_type")
    readers = {"depth_anything": _depth_anything, "dpt": _dpt}
    if kind not in readers:
        raise UserError(
            f"{name} is a Hugging Face model of type {kind!r}; read are folders of type {' and '.join(readers)} "
            f"(docs/teachers.md shows how to add one)"
        )
    if described.get("depth_estimation_type", "relative") != "relative":
        raise UserError(f"{name} is a metric model; only relative depth is supported")
    try:
        return readers[kind](described, name)
    except UserError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(f"{name}/config.json does not describe a {kind} network: {reason}") from None


def _depth_anything(described: Mapping[str, Any], name: str) -> VitDptConfig:
    backbone = described.get("backbone_config") or {}
    patch = described.get("patch_size", 14)
    different = [
        key
        for key, there in (
            ("backbone_config.model_type", backbone.get("model_type", "dinov2") != "dinov2"),
            ("backbone_config.patch_size", backbone.get("patch_size", 14) != patch),
            ("backbone_config.mlp_ratio", backbone.get("mlp_ratio", 4) != 4),
            ("backbone_config.hidden_act", backbone.get("hidden_act", "gelu") != "gelu"),
            ("backbone_config.use_swiglu_ffn", bool(backbone.get("use_swiglu_ffn"))),
            ("backbone_config.apply_layernorm", not backbone.get("apply_layernorm", True)),
            ("reassemble_factors", list(described.get("reassemble_factors", (4, 2, 1, 0.5))) != [4, 2, 1, 0.5]),
        )
        if there
    ]
    if different:
        raise UserError(f"{name} is a Depth Anything network unlike the official ones: {', '.join(different)} differ")
    config = VitDptConfig(
        width=backbone["hidden_size"],
        depth=backbone.get("num_hidden_layers", 12),
        heads=backbone["num_attention_heads"],
        taps=tuple(index - 1 for index in _stages(backbone)),
        patch=patch,
        grid=backbone.get("image_size", 518) // patch,
        reassemble=tuple(described["neck_hidden_sizes"]),
        fusion=described["fusion_hidden_size"],
        head_hidden=described.get("head_hidden_size", 32),
    )
    same = config.model_copy(update={"layer_scale": 1.0})
    return next((known for known in NETWORKS.values() if isinstance(known, VitDptConfig) and known == same), config)


def _dpt(described: Mapping[str, Any], name: str) -> MidasDptConfig | MidasSwinConfig:
    """MiDaS v3.0 and v3.1 as transformers' conversion scripts describe them. Missing keys: transformers' defaults."""
    backbone = described.get("backbone_config") or {}
    encoder = "hybrid" if described.get("is_hybrid") else backbone.get("model_type", "vit")
    if encoder not in ("vit", "beit", "swinv2"):
        raise UserError(
            f"{name} is a DPT network over {encoder}, which is not supported; supported are ViT (Intel/dpt-large), "
            "BEiT (Intel/dpt-beit-large-512) and Swin v2 (Intel/dpt-swinv2-tiny-256)"
        )
    source = backbone or described
    if encoder == "swinv2":
        if any(source.get("pretrained_window_sizes", ())) or source.get("patch_size", 4) != 4:
            raise UserError(
                f"{name} is a Swin v2 network with pretrained window sizes, which is not supported; tiny-256 is"
            )
        return MidasSwinConfig(
            width=source["embed_dim"],
            depths=tuple(source["depths"]),
            heads=tuple(source["num_heads"]),
            window=source["window_size"],
            size=source["image_size"],
            fusion=described.get("fusion_hidden_size", 256),
        )
    different = [
        key
        for key, there in (
            ("readout_type", described.get("readout_type", "project") != "project"),
            ("patch_size", source.get("patch_size", 16) != 16),
            ("hidden_act", source.get("hidden_act", "gelu") != "gelu"),
            ("intermediate_size", source.get("intermediate_size", 3072) != 4 * source.get("hidden_size", 768)),
            ("add_projection", bool(described.get("add_projection"))),
            ("use_batch_norm_in_fusion_residual", bool(described.get("use_batch_norm_in_fusion_residual"))),
        )
        if there
    ]
    if different:
        raise UserError(
            f"{name} is a DPT network unlike MiDaS's, which are the supported ones: {', '.join(different)} differ"
        )
    taps = (
        [index - 1 for index in _stages(source)] if backbone else described.get("backbone_out_indices", (2, 5, 8, 11))
    )
    return MidasDptConfig(
        encoder=encoder,
        width=source.get("hidden_size", 768),
        depth=source.get("num_hidden_layers", 12),
        heads=source.get("num_attention_heads", 12),
        taps=tuple(taps),
        grid=source.get("image_size", 224 if encoder == "beit" else 384) // 16,
        reassemble=tuple(described.get("neck_hidden_sizes", (96, 192, 384, 768))),
        fusion=described.get("fusion_hidden_size", 256),
    )


def _stages(backbone: Mapping[str, Any]) -> list[int]:
    """The 1-based stages that a backbone gives out; `stage1` is the first block."""
    return backbone.get("out_indices") or [int(stage.removeprefix("stage")) for stage in backbone["out_features"]]
