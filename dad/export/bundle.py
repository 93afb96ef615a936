"""`export`: weights in one format, parity with the source and a model card in one folder, made whole or not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dad.errors import UserError
from dad.export.card import model_card
from dad.export.cost import cost
from dad.export.facts import gather
from dad.export.parity import Parity, compare, pictures, require, sample_image
from dad.files import atomic_folder, write_json, write_text
from dad.models import checkpoints
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

FORMATS = ("safetensors", "hf", "onnx", "onnx-int8")


def export(
    source: str | Path, out: str | Path, *, form: str, short_side: int | None = None, photos: str | Path | None = None
) -> list[Parity]:
    """Write the network behind `source` (a run folder, a zoo name, any weights that `load` takes) into the new folder
    `out`.

    form: `safetensors` (official keys, and a description), `hf` (a folder for
    `transformers.pipeline("depth-estimation")`), `onnx` (dynamic batch and size, with the code that comes before and
    after it), `onnx-int8` (the same in 8 bits, its loss measured). `dad.models.load` reads all of them. `short_side`
    overrides the input size that is recorded; `photos` is a folder whose photographs are compared, instead of drawn
    pictures. Writes the weights, `README.md` (the model card), `parity.json` and `facts.json` (what the card says);
    returns the measured parities. Raises UserError for unknown formats, an `out` that is not empty, networks that the
    format cannot hold, and exports that do not agree with the source; then nothing is written.
    """
    if form not in FORMATS:
        raise UserError(f"unknown format {form!r}; choose one of {', '.join(FORMATS)}")
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists already and is not an empty folder: choose another one")
    compared = pictures(photos)
    network, header = checkpoints.load_network(source)
    network.eval()
    policy = network.policy.resized(header.input_size if short_side is None else short_side, patch=network.config.patch)
    with atomic_folder(target) as temporary:
        parities, loss, exported = _write(network, header.origin, form, policy, temporary, compared)
        costs = cost(network, policy, {"the source in PyTorch": network, **exported})
        facts = gather(str(source), network, header, policy, form=form, parities=parities, cost=costs, loss=loss)
        write_text(temporary / "README.md", model_card(facts))
        write_json(temporary / "facts.json", facts)
        write_json(
            temporary / "parity.json",
            [{"what": p.what, "input": list(p.input), "difference": p.difference} for p in parities],
        )
    return parities


Timed = dict[str, Callable[[torch.Tensor], Any]]
"""What an export is timed by: normalised input -> map."""


def _write(
    network: DepthNetwork,
    origin: str,
    form: str,
    policy: InputPolicy,
    folder: Path,
    pictures: Mapping[str, NDArray[np.uint8]],
) -> tuple[list[Parity], dict[str, Any], Timed]:
    """The files of one format; returns the parities, what 8 bits cost, and what is timed."""
    if form == "hf":
        from dad.export.huggingface import write_folder

        return write_folder(network, policy, origin, folder, pictures), {}, {}
    if form.startswith("onnx"):
        from dad.export.onnx import write_onnx
        from dad.models.onnx_estimator import load_onnx

        parities, loss = write_onnx(network, policy, origin, folder, pictures, int8=form == "onnx-int8")
        return parities, loss, {f"{form} in onnxruntime": load_onnx(folder / "model.onnx", name="exported").network}
    path = folder / "model.safetensors"
    checkpoints.save_network(path, network, input_size=policy.size, origin=origin, official_keys=True)
    again, _ = checkpoints.load_network(path)
    height, width = policy.network_size(96, 128)
    x = network.normalise(sample_image(1, height, width))
    with torch.no_grad():
        return [require(compare("the file read again", tuple(x.shape), network(x), again.eval()(x)))], {}, {}
