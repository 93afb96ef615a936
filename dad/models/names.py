"""Other spellings of Depth Anything's parameter names, turned into the official ones.

Sources: Distill-Any-Depth `modeling/archs/dam/dam.py` (its large class wraps the encoder differently) and transformers'
`models/depth_anything`: files on the Hugging Face hub keep the names of transformers 4, newer releases use other module
names.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_BLOCK = r"backbone\.encoder\.layer\.(\d+)\."
_HF_RULES: list[tuple[str, str]] = [
    (r"backbone\.embeddings\.cls_token", "pretrained.cls_token"),
    (r"backbone\.embeddings\.position_embeddings", "pretrained.pos_embed"),
    (r"backbone\.embeddings\.mask_token", "pretrained.mask_token"),
    (r"backbone\.embeddings\.patch_embeddings\.projection\.", "pretrained.patch_embed.proj."),
    (r"backbone\.layernorm\.", "pretrained.norm."),
    (_BLOCK + r"layer_scale(\d)\.lambda1", r"pretrained.blocks.\1.ls\2.gamma"),
    (_BLOCK + r"attention\.output\.dense\.", r"pretrained.blocks.\1.attn.proj."),
    (_BLOCK + r"attention\.o_proj\.", r"pretrained.blocks.\1.attn.proj."),
    (_BLOCK + r"attention\.attention\.(query|key|value)\.", r"pretrained.blocks.\1.attn.\2."),
    (_BLOCK + r"attention\.([qkv])_proj\.", r"pretrained.blocks.\1.attn.\2."),
    (_BLOCK, r"pretrained.blocks.\1."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.projection\.", r"depth_head.projects.\1."),
    (r"neck\.reassemble_stage\.layers\.(\d)\.resize\.", r"depth_head.resize_layers.\1."),
    (r"head\.conv1\.", "depth_head.scratch.output_conv1."),
    (r"head\.conv2\.", "depth_head.scratch.output_conv2.0."),
    (r"head\.conv3\.", "depth_head.scratch.output_conv2.2."),
]
_HF_LEVELS = re.compile(r"neck\.(?:convs\.(?P<conv>\d)|fusion_stage\.layers\.(?P<layer>\d))\.(?P<rest>.*)")
_PARTS = {"query": 0, "key": 1, "value": 2, "q": 0, "k": 1, "v": 2}


def depth_anything_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in any known spelling under the official names; keys of no known spelling pass unchanged."""
    if any(key.startswith("backbone.embeddings.") for key in state):
        return _from_huggingface(state)
    if any(key.startswith("backbone.blocks.0.0.") for key in state):
        return {re.sub(r"^backbone\.(blocks\.0\.(?=\d+\.))?", _dad_prefix, key): value for key, value in state.items()}
    return dict(state)


def _dad_prefix(match: re.Match) -> str:
    return "pretrained.blocks." if match[1] else "pretrained."


def _from_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    attention: dict[str, dict[int, Tensor]] = {}
    for key, value in state.items():
        new = _hf_name(key)
        part = re.fullmatch(r"(.*\.attn)\.(query|key|value|q|k|v)\.(weight|bias)", new)
        if part:
            attention.setdefault(f"{part[1]}.qkv.{part[3]}", {})[_PARTS[part[2]]] = value
        else:
            named[new] = value
    for key, parts in attention.items():
        # an incomplete triple is left out, so that strict loading names the key
        if len(parts) == 3:
            named[key] = torch.cat([parts[0], parts[1], parts[2]])
    return named


def _hf_name(key: str) -> str:
    level = _HF_LEVELS.fullmatch(key)
    if level and level["conv"] is not None:
        return f"depth_head.scratch.layer{int(level['conv']) + 1}_rn.{level['rest']}"
    if level:
        rest = level["rest"].replace("projection.", "out_conv.")
        rest = re.sub(r"residual_layer(\d)\.convolution(\d)\.", r"resConfUnit\1.conv\2.", rest)
        return f"depth_head.scratch.refinenet{4 - int(level['layer'])}.{rest}"
    for pattern, replacement in _HF_RULES:
        renamed, count = re.subn(f"^{pattern}", replacement, key)
        if count:
            return renamed
    return key


def to_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official names to those of files on the hub (transformers 4), which every release of transformers reads."""
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        qkv = re.fullmatch(r"pretrained\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)", key)
        if qkv:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                out[f"backbone.encoder.layer.{qkv[1]}.attention.attention.{part}.{qkv[2]}"] = third.contiguous()
        else:
            out[_hf_name_of(key)] = value
    return out


_TO_HF: list[tuple[str, str]] = [
    (r"pretrained\.cls_token", "backbone.embeddings.cls_token"),
    (r"pretrained\.pos_embed", "backbone.embeddings.position_embeddings"),
    (r"pretrained\.mask_token", "backbone.embeddings.mask_token"),
    (r"pretrained\.patch_embed\.proj\.", "backbone.embeddings.patch_embeddings.projection."),
    (r"pretrained\.norm\.", "backbone.layernorm."),
    (r"pretrained\.blocks\.(\d+)\.ls(\d)\.gamma", r"backbone.encoder.layer.\1.layer_scale\2.lambda1"),
    (r"pretrained\.blocks\.(\d+)\.attn\.proj\.", r"backbone.encoder.layer.\1.attention.output.dense."),
    (r"pretrained\.blocks\.(\d+)\.", r"backbone.encoder.layer.\1."),
    (r"depth_head\.projects\.(\d)\.", r"neck.reassemble_stage.layers.\1.projection."),
    (r"depth_head\.resize_layers\.(\d)\.", r"neck.reassemble_stage.layers.\1.resize."),
    (r"depth_head\.scratch\.output_conv1\.", "head.conv1."),
    (r"depth_head\.scratch\.output_conv2\.0\.", "head.conv2."),
    (r"depth_head\.scratch\.output_conv2\.2\.", "head.conv3."),
]


def _hf_name_of(key: str) -> str:
    conv = re.fullmatch(r"depth_head\.scratch\.layer(\d)_rn\.(.*)", key)
    if conv:
        return f"neck.convs.{int(conv[1]) - 1}.{conv[2]}"
    fusion = re.fullmatch(r"depth_head\.scratch\.refinenet(\d)\.(.*)", key)
    if fusion:
        rest = fusion[2].replace("out_conv.", "projection.")
        rest = re.sub(r"resConfUnit(\d)\.conv(\d)\.", r"residual_layer\1.convolution\2.", rest)
        return f"neck.fusion_stage.layers.{4 - int(fusion[1])}.{rest}"
    for pattern, replacement in _TO_HF:
        renamed, count = re.subn(f"^{pattern}", replacement, key)
        if count:
            return renamed
    raise AssertionError(f"no Hugging Face name for {key}")
