"""GenPercept against upstream's pipeline and DPT head on tiny random networks."""

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from dad.errors import UserError
from dad.models import load
from dad.models.config import GenPerceptConfig
from dad.models.estimator import Estimator
from dad.models.genpercept import GenPercept, rescale
from dad.models.registry import build_network


@pytest.fixture(scope="module")
def tiny(golden, fill):
    described = golden("keys.json")["genpercept_tiny"]
    network = GenPercept(GenPerceptConfig(**described["configs"])).eval()
    network.load_official(fill(described["keys"]))
    return network


def _image(normals, case):
    return torch.from_numpy(
        np.clip(np.floor(128 + 64 * normals(f"input:genpercept_tiny_{case}", (1, 3, 64, 96))), 0, 255) / 255
    ).float()


def _head(golden, fill):
    described = golden("keys.json")["genpercept_head_tiny"]
    vae = golden("keys.json")["genpercept_tiny"]["configs"]["vae"]
    network = GenPercept(
        GenPerceptConfig(head="dpt", head_fusion=16, unet=described["configs"]["unet"], vae=vae, text_encoder={})
    ).eval()
    others = {key: value for key, value in network.state_dict().items() if key.startswith(("vae.", "prompt"))}
    # upstream's UNet of this variant has no output convolution; one in the file is ignored
    extra = {"unet.conv_out.weight": torch.zeros(4, 32, 3, 3), "unet.conv_norm_out.bias": torch.zeros(32)}
    network.load_official(fill(described["keys"]) | others | extra)
    return network


def test_every_stage_equals_the_pipeline(tiny, golden, normals):
    expected = golden("genpercept.npz")
    x = _image(normals, "native") * 2 - 1
    with torch.no_grad():
        latent = tiny.to_latent(x)
        answer = tiny.predict(latent)
        output = tiny(x)
    np.testing.assert_allclose(tiny.prompt.numpy(), expected["native:text_embed"], rtol=0, atol=5e-6)
    np.testing.assert_allclose(latent.numpy(), expected["native:unet_in"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(answer.numpy(), expected["native:unet_out"], rtol=0, atol=2e-5)
    np.testing.assert_allclose(output[0, 0].numpy(), expected["native:pred_np"], rtol=0, atol=5e-6)


def test_estimator_equals_the_pipeline_at_the_images_own_size(tiny, golden, normals):
    estimator = Estimator(tiny, name="tiny", short_side=0)
    output = estimator(_image(normals, "native"))
    assert estimator.kind == "disparity"
    np.testing.assert_allclose(output[0, 0].numpy(), golden("genpercept.npz")["native:pred_np"], rtol=0, atol=5e-6)


def test_resizing_there_and_back_equals_the_pipeline(tiny, golden, normals):
    """The golden's image went in as a float tensor, which upstream does not round as it rounds an 8-bit image."""
    estimator = Estimator(tiny, name="tiny", short_side=48)
    image = _image(normals, "resized")
    size = estimator.policy.network_size(64, 96)
    with torch.no_grad():
        raw = tiny(F.interpolate(image, size=size, mode="bilinear", antialias=True) * 2 - 1)
    output = estimator.resize_back(raw, (64, 96), resized=True)
    np.testing.assert_allclose(output[0, 0].numpy(), golden("genpercept.npz")["resized:pred_np"], rtol=0, atol=5e-6)
    # an 8-bit value is off by at most half a level
    assert (estimator(image) - output).abs().max() < 0.05


def test_sizes_the_vae_can_not_hold_come_back_at_the_images_size(tiny):
    assert Estimator(tiny, name="tiny", short_side=0)(torch.rand(2, 3, 37, 53)).shape == (2, 1, 37, 53)


def test_dpt_head_equals_upstream(golden, fill, normals):
    network = _head(golden, fill)
    network.prompt = torch.from_numpy(normals("input:genpercept_head_tiny_text", (1, 2, 32)).astype(np.float32))
    with torch.no_grad():
        features = network.unet_features(
            torch.from_numpy(normals("input:genpercept_head_tiny", (1, 4, 16, 24)).astype(np.float32))
        )
        raw = network.customized_head(features)
    expected = golden("genpercept.npz")
    np.testing.assert_allclose(features[3][:, ::2].numpy(), expected["head:unet_feat3"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(raw[:, 0, ::2, ::2].numpy(), expected["head:pred_raw"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(rescale(raw)[..., ::2, ::2].numpy(), expected["head:pred"], rtol=0, atol=1e-5)
    both = network(torch.rand(2, 3, 32, 32))
    # this tiny VAE halves the image where the real one divides it by 8, which the head undoes
    assert both.shape == (2, 1, 8 * 16, 8 * 16)
    assert Estimator(network, name="tiny", short_side=0)(torch.rand(1, 3, 32, 48)).shape == (1, 1, 32, 48)
    assert (both.amin((1, 2, 3)) == 0).all()


def test_a_map_does_not_depend_on_its_neighbours():
    maps = torch.rand(3, 1, 4, 4) * torch.tensor([1.0, 5.0, 0.0])[:, None, None, None]
    assert torch.equal(rescale(maps)[1], rescale(maps[1:2])[0])
    assert torch.equal(rescale(maps)[2], torch.zeros(1, 4, 4))


def test_in_training_every_pixel_has_a_gradient(tiny):
    network = copy.deepcopy(tiny)
    with torch.no_grad():
        network.last_bias.fill_(50)
    x = torch.zeros(1, 3, 16, 16)
    assert (network(x) == 1).all()
    output = network.train()(x)
    output.sum().backward()
    assert output.min() > 1
    assert (network.last_bias.grad > 0).all()


def test_as_a_student_it_needs_no_feature_loss(tiny):
    with pytest.raises(UserError, match="no encoder features"):
        tiny.encode(torch.zeros(1, 3, 16, 16))


def test_folder_in_the_layout_of_stable_diffusion(tiny, golden, fill, normals, tmp_path):
    described = golden("keys.json")["genpercept_tiny"]
    state = fill(described["keys"])
    folder = tmp_path / "genpercept-depth"
    for part in ("unet", "vae", "text_encoder"):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(
            json.dumps(described["configs"][part] | {"_class_name": "X", "_diffusers_version": "0.1"})
        )
        name = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        weights = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
        if part == "vae":
            weights = {
                key.replace(".to_q.", ".query.").replace(".to_out.0.", ".proj_attn."): value
                for key, value in weights.items()
            }
        if part == "text_encoder":
            weights = {f"text_model.{key}": value for key, value in weights.items()}
        save_file(weights, folder / part / f"{name}.safetensors")
    estimator = load(folder, short_side=0)
    assert estimator.kind == "depth"
    expected = golden("genpercept.npz")["native:pred_np"]
    np.testing.assert_allclose(estimator(_image(normals, "native"))[0, 0].numpy(), expected, rtol=0, atol=5e-6)
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(UserError, match=r"genpercept-depth/vae needs a config\.json"):
        load(folder)


def test_config_survives_json(tiny):
    config = tiny.config
    again = build_network(type(config).model_validate_json(config.model_dump_json()))
    assert again.state_dict().keys() == tiny.state_dict().keys()
