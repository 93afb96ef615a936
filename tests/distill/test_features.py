"""The frozen encoder of feature alignment: the student's own by default, another by name, refused if it is unfit."""

import re
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import save_file

from dad.distill import features
from dad.distill.features import TimmEncoder, encoder_identity, frozen_encoder
from dad.errors import UserError
from dad.models.checkpoints import load_network, weights_identity
from dad.study.cells import cell_id


def aligned_with(cell, name):
    return cell.model_copy(update={"loss": cell.loss.model_copy(update={"feature_encoder": name})})


def test_the_students_own_encoder_is_the_default(cell):
    pixels = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    encoder = frozen_encoder(cell)
    expected = load_network(cell.student.model)[0].eval().encode(pixels)
    assert torch.equal(encoder(pixels), expected)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder_identity(cell) == {}
    assert cell_id(aligned_with(cell, None)) == cell_id(cell)


def test_another_encoder_is_part_of_what_is_trained(cell):
    other = aligned_with(cell, "zoo/vit-small")
    assert cell_id(other) != cell_id(cell)
    assert encoder_identity(other) == {"feature_encoder": weights_identity("zoo/vit-small")}
    frozen_encoder(other)


def test_an_encoder_of_another_width_is_refused(cell):
    with pytest.raises(UserError, match=r"feature_encoder zoo/vit-large gives 9 tokens of width 128.* 9 of 64"):
        frozen_encoder(aligned_with(cell, "zoo/vit-large"))


def test_timm_names_and_files(tmp_path):
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, dynamic_img_size=True)
    torch.save(network.state_dict(), tmp_path / "tiny.pth")
    encoder = TimmEncoder(f"timm:vit_tiny_patch16_224@{tmp_path / 'tiny.pth'}").eval()
    pixels = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        tokens = encoder(pixels)
        assert tokens.shape == (1, 12, 192)  # 3 x 4 patches, no class token
        assert torch.equal(tokens, network.eval().forward_features(pixels)[:, 1:])
    with pytest.raises(UserError, match="no model 'vit_enormous'"):
        TimmEncoder("timm:vit_enormous")
    with pytest.raises(UserError, match="there is no file"):
        TimmEncoder("timm:vit_tiny_patch16_224@nowhere.pth")
    (tmp_path / "other.pth").write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        TimmEncoder(f"timm:vit_tiny_patch16_224@{tmp_path / 'other.pth'}")


def test_dinov2_is_that_of_the_students_size(cell, tmp_path, monkeypatch):
    def of_width(width):
        monkeypatch.setattr(
            features, "load_network", lambda model: (None, SimpleNamespace(network=SimpleNamespace(width=width)))
        )
        return features.encoder_name

    assert of_width(384)(aligned_with(cell, "dinov2")) == "timm:vit_small_patch14_dinov2.lvd142m"
    assert (
        of_width(1024)(aligned_with(cell, "dinov2@w"))
        == "timm:vit_large_patch14_dinov2.lvd142m@w/dinov2_vitl14_pretrain.pth"
    )
    with pytest.raises(UserError, match=r"width 384, 768, 1024.* has 64"):
        of_width(64)(aligned_with(cell, "dinov2"))
    assert all(timm.is_model(f"vit_{size}_patch14_dinov2") for size in ("small", "base", "large"))


def test_weights_are_taken_from_the_hubs_cache_and_a_hub_that_is_not_there_is_not_waited_for(tmp_path, monkeypatch):
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    asked = []

    def cached(repository, file):
        asked.append((repository, file))
        return save(network, tmp_path / "model.safetensors")

    monkeypatch.setattr(features, "from_hub", cached)
    encoder = TimmEncoder(f"timm:{name}")
    assert asked == [(f"timm/{name}", "model.safetensors")]
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in encoder.network.state_dict().items())

    def absent(repository, file):
        raise UserError(f"{repository}/{file} is neither a file here nor in the Hugging Face cache")

    monkeypatch.setattr(features, "from_hub", absent)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("timm was left to wait for the hub"))
    how = rf"hf download timm/{re.escape(name)} model\.safetensors; or give its weights as timm:{re.escape(name)}@FILE"
    with pytest.raises(UserError, match=how):
        TimmEncoder(f"timm:{name}")


def save(network, path):
    save_file(network.state_dict(), path)
    return path
