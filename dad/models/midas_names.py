"""transformers' spelling of MiDaS's transformer networks (DPTForDepthEstimation), turned into the official names and
back.

Sources: transformers `models/dpt/convert_dpt_to_pytorch.py`, `convert_dpt_beit_to_hf.py` and
`convert_dpt_swinv2_to_hf.py`: the names of files on the hub (Intel/dpt-large, Intel/dpt-beit-large-512,
Intel/dpt-swinv2-tiny-256). Modules of transformers 5 call BEiT's parts otherwise; files that it saves have the old
names.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_BLOCK = r"(?:backbone|dpt)\.(?:beit\.)?(?:encoder\.)?layers?\.(\d+)\."
_TO = r"pretrained.model.blocks.\1."
_SWIN = r"backbone\.encoder\.layers\.(\d+)\.(?:blocks\.(\d+)\.)"
_SWIN_TO = r"pretrained.model.layers.\1.blocks.\2."

_RULES: list[tuple[str, str]] = [
    (_SWIN + r"attention\.self\.continuous_position_bias_mlp\.", _SWIN_TO + "attn.cpb_mlp."),
    (_SWIN + r"attention\.self\.logit_scale", _SWIN_TO + "attn.logit_scale"),
    (_SWIN + r"attention\.self\.(query|key|value)\.", _SWIN_TO + r"attn.\3."),
    (_SWIN + r"attention\.output\.dense\.", _SWIN_TO + "attn.proj."),
    (_SWIN + r"intermediate\.dense\.", _SWIN_TO + "mlp.fc1."),
    (_SWIN + r"output\.dense\.", _SWIN_TO + "mlp.fc2."),
    (_SWIN + r"layernorm_before\.", _SWIN_TO + "norm1."),
    (_SWIN + r"layernorm_after\.", _SWIN_TO + "norm2."),
    (r"backbone\.encoder\.layers\.(\d+)\.downsample\.", r"pretrained.model.layers.\1.downsample."),
    (r"(?:backbone|dpt)\.(?:beit\.)?embeddings\.cls_token", "pretrained.model.cls_token"),
    (r"dpt\.embeddings\.position_embeddings", "pretrained.model.pos_embed"),
    (r"(?:backbone|dpt)\.(?:beit\.)?embeddings\.patch_embeddings\.projection\.", "pretrained.model.patch_embed.proj."),
    (r"backbone\.embeddings\.norm\.", "pretrained.model.patch_embed.norm."),
    (r"dpt\.layernorm\.", "pretrained.model.norm."),
    (_BLOCK + r"attention\.attention\.(query|key|value)\.", _TO + r"attn.\2."),
    (_BLOCK + r"attention\.([qkv])_proj\.", _TO + r"attn.\2."),
    (_BLOCK + r"attention\.(?:output\.dense|o_proj)\.", _TO + "attn.proj."),
    (_BLOCK + r"(?:attention\.attention\.)?relative_position_bias\.", _TO + "attn."),
    (_BLOCK + r"(?:intermediate\.dense|mlp\.fc1)\.", _TO + "mlp.fc1."),
    (_BLOCK + r"(?:output\.dense|mlp\.fc2)\.", _TO + "mlp.fc2."),
    (_BLOCK + r"layernorm_before\.", _TO + "norm1."),
    (_BLOCK + r"layernorm_after\.", _TO + "norm2."),
    (_BLOCK + r"lambda_([12])", _TO + r"gamma_\2"),
    (r"head\.head\.", "scratch.output_conv."),
]
_NECK = re.compile(
    r"neck\.(?:convs\.(?P<conv>\d)|fusion_stage\.layers\.(?P<layer>\d)"
    r"|reassemble_stage\.(?:readout_projects\.(?P<readout>\d)\.0|layers\.(?P<level>\d)))\.(?P<rest>.*)"
)
_PARTS = {"query": 0, "key": 1, "value": 2, "q": 0, "k": 1, "v": 2}
_DERIVED = re.compile(r"backbone\.encoder\.layers\..*\.(relative_position_index|relative_coords_table)|dpt\.pooler\..*")
"""What older releases stored and the network makes by itself, or has no use for."""


def is_transformers_dpt(state: Mapping[str, Tensor]) -> bool:
    """Whether the keys are those of transformers' DPTForDepthEstimation."""
    return "head.head.0.weight" in state


def midas_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in either spelling under the official names; keys of no known spelling pass unchanged."""
    if not is_transformers_dpt(state):
        return dict(state)
    named: dict[str, Tensor] = {}
    weights: dict[str, dict[int, Tensor]] = {}
    biases: dict[str, dict[int, Tensor]] = {}
    for key, value in state.items():
        if _DERIVED.fullmatch(key):
            continue
        new = _official(key)
        part = re.fullmatch(r"(.*\.attn)\.(query|key|value|q|k|v)\.(weight|bias)", new)
        if part is None:
            named[new] = value
        else:
            (weights if part[3] == "weight" else biases).setdefault(part[1], {})[_PARTS[part[2]]] = value
    # incomplete triples are left out, so that strict loading names the key
    named |= {f"{block}.qkv.weight": torch.cat([w[0], w[1], w[2]]) for block, w in weights.items() if len(w) == 3}
    for block, found in biases.items():
        # BEiT and Swin have no bias on keys and store the other two apart
        if len(found) == 3:
            named[f"{block}.qkv.bias"] = torch.cat([found[0], found[1], found[2]])
        else:
            named |= {f"{block}.{letter}_bias": found[i] for letter, i in (("q", 0), ("k", 1), ("v", 2)) if i in found}
    return named


def _official(key: str) -> str:
    found = _NECK.fullmatch(key)
    if found is None:
        for pattern, replacement in _RULES:
            renamed, count = re.subn(f"^{pattern}", replacement, key)
            if count:
                return renamed
        return key
    rest = found["rest"]
    if found["conv"]:
        return f"scratch.layer{int(found['conv']) + 1}_rn.{rest}"
    if found["readout"]:
        return f"pretrained.act_postprocess{int(found['readout']) + 1}.0.project.0.{rest}"
    if found["level"]:
        rest = rest.replace("projection.", "3.").replace("resize.", "4.")
        return f"pretrained.act_postprocess{int(found['level']) + 1}.{rest}"
    rest = rest.replace("projection.", "out_conv.")
    rest = re.sub(r"residual_layer(\d)\.convolution(\d)\.", r"resConfUnit\1.conv\2.", rest)
    return f"scratch.refinenet{4 - int(found['layer'])}.{rest}"


def with_unused(named: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same state dict, completed by what transformers leaves out because nothing uses it: the classifier and its
    norm.

    `own` is the network's own state dict, which gives the shapes; weights of norms are 1, everything else is 0.
    """
    absent = {
        key: torch.full_like(value, float(key.endswith("norm.weight")))
        for key, value in own.items()
        if re.fullmatch(r"pretrained\.model\.(head|norm|fc_norm)\..*", key) and key not in named
    }
    return {**named, **absent}


_BACK: list[tuple[str, str]] = [
    (r"pretrained\.model\.cls_token", "{stem}.embeddings.cls_token"),
    (r"pretrained\.model\.pos_embed", "{stem}.embeddings.position_embeddings"),
    (r"pretrained\.model\.patch_embed\.proj\.", "{stem}.embeddings.patch_embeddings.projection."),
    (r"pretrained\.model\.patch_embed\.norm\.", "{stem}.embeddings.norm."),
    (r"pretrained\.model\.norm\.", "{stem}.layernorm."),
    (r"pretrained\.model\.blocks\.(\d+)\.", r"{stem}.encoder.layer.\1."),
    (r"pretrained\.model\.layers\.", "{stem}.encoder.layers."),
    (r"pretrained\.act_postprocess(\d)\.0\.project\.", r"neck.reassemble_stage.readout_projects.\1-1."),
    (r"pretrained\.act_postprocess(\d)\.3\.", r"neck.reassemble_stage.layers.\1-1.projection."),
    (r"pretrained\.act_postprocess(\d)\.4\.", r"neck.reassemble_stage.layers.\1-1.resize."),
    (r"scratch\.layer(\d)_rn\.", r"neck.convs.\1-1."),
    (r"scratch\.refinenet(\d)\.out_conv\.", r"neck.fusion_stage.layers.4-\1.projection."),
    (
        r"scratch\.refinenet(\d)\.resConfUnit(\d)\.conv(\d)\.",
        r"neck.fusion_stage.layers.4-\1.residual_layer\2.convolution\3.",
    ),
    (r"scratch\.output_conv\.", "head.head."),
]
_BLOCK_BACK: list[tuple[str, str]] = [
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.cpb_mlp\.", ".attention.{attention}.continuous_position_bias_mlp."),
    (r"\.attn\.logit_scale", ".attention.{attention}.logit_scale"),
    (
        r"\.attn\.relative_position_bias_table",
        ".attention.{attention}.relative_position_bias.relative_position_bias_table",
    ),
    (r"\.attn\.(query|key|value)\.", r".attention.{attention}.\1."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.gamma_([12])", r".lambda_\1"),
]
_UNWRITTEN = re.compile(r".*\.(relative_position_index|attn_mask)|pretrained\.model\.(head|fc_norm)\..*")
"""What official files hold and transformers derives from the size, or has no use for."""


def transformers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official names to those of files on the hub (transformers 4), which every release of transformers reads.

    The inverse of `midas_names`, without what transformers does not hold: classifiers, index tables and masks.
    """
    vit, swin = "pretrained.model.pos_embed" in state, "pretrained.model.patch_embed.norm.weight" in state
    stem, attention = "dpt" if vit else "backbone", "self" if swin else "attention"
    named: dict[str, Tensor] = {}
    for key, value in _split(state).items():
        # only the ViT's class ends in a norm
        if _UNWRITTEN.fullmatch(key) or (not vit and key.startswith("pretrained.model.norm.")):
            continue
        new = key
        for pattern, replacement in [*((f"^{start}", there) for start, there in _BACK), *_BLOCK_BACK]:
            new = re.sub(pattern, replacement, new)
        # levels count from 0 there, and fusion from the deepest
        new = re.sub(r"(\d)-(\d)", lambda found: str(int(found[1]) - int(found[2])), new)
        named[new.format(stem=stem, attention=attention)] = value
    return named


def _split(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values apart; BEiT and Swin have no bias on keys."""
    apart: dict[str, Tensor] = {}
    for key, value in state.items():
        joint = re.fullmatch(r"(.*\.attn)\.qkv\.(weight|bias)", key)
        alone = re.fullmatch(r"(.*\.attn)\.([qv])_bias", key)
        if joint:
            thirds = zip(("query", "key", "value"), value.chunk(3), strict=True)
            apart |= {f"{joint[1]}.{part}.{joint[2]}": third.contiguous() for part, third in thirds}
        elif alone:
            apart[f"{alone[1]}.{'query' if alone[2] == 'q' else 'value'}.bias"] = value
        else:
            apart[key] = value
    return apart
