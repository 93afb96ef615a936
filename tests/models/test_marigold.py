"""Marigold's folder is recognised and run through diffusers' pipeline, on tiny random networks."""

import json

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, MarigoldDepthPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from dad.errors import UserError
from dad.models import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory, golden):
    root = tmp_path_factory.mktemp("marigold")
    torch.manual_seed(0)
    configs = golden("keys.json")["genpercept_tiny"]["configs"]
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
    (root / "vocab.json").write_text(json.dumps(vocabulary))
    (root / "merges.txt").write_text("#version: 0.2\n")
    text = configs["text_encoder"] | {"vocab_size": 3, "bos_token_id": 0, "eos_token_id": 1}
    pipeline = MarigoldDepthPipeline(
        unet=UNet2DConditionModel.from_config(configs["unet"] | {"in_channels": 8}),
        vae=AutoencoderKL.from_config(configs["vae"]),
        scheduler=DDIMScheduler(prediction_type="v_prediction", steps_offset=1, clip_sample=False),
        text_encoder=CLIPTextModel(CLIPTextConfig(**text)),
        tokenizer=CLIPTokenizer(str(root / "vocab.json"), str(root / "merges.txt"), model_max_length=77),
        scale_invariant=True,
        shift_invariant=True,
        default_denoising_steps=2,
        default_processing_resolution=32,
    )
    pipeline.save_pretrained(root / "model")
    return root / "model"


def test_it_predicts_depth_and_repeats(folder, capsys):
    estimator = load(folder)
    assert "OpenRAIL" in capsys.readouterr().err
    assert (estimator.kind, estimator.patch) == ("depth", 1)
    rgb = torch.rand(2, 3, 24, 40)
    output = estimator(rgb)
    assert output.shape == (2, 1, 24, 40)
    assert output.dtype == torch.float32
    assert output.min() >= 0
    assert output.max() <= 1
    assert torch.equal(estimator(rgb), output)
    with pytest.raises(UserError, match="RGB of shape"):
        estimator(torch.rand(3, 8, 8))


def test_an_incomplete_folder_is_refused(tmp_path):
    (tmp_path / "model_index.json").write_text(
        '{"_class_name": "MarigoldDepthPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}'
    )
    with pytest.raises(UserError, match="not a complete Marigold folder"):
        load(tmp_path)
