"""The verb `export`: weights in one format, their parity with the source, and a model card, in one folder that appears whole or
not at all.
"""

import os
import shutil
import tempfile
from pathlib import Path

import torch

from dad.errors import UserError
from dad.export.card import model_card
from dad.export.parity import Parity, compare, require, sample_image
from dad.files import write_json, write_text
from dad.models import checkpoints
from dad.models.network import DepthNetwork

FORMATS = ("safetensors", "hf", "onnx")


def export(source: str | Path, out: str | Path, *, form: str, short_side: int | None = None) -> list[Parity]:
    """Write the network behind `source` (a run folder, a zoo name, any weights that `load` takes) into the new folder `out`.

    form: `safetensors` (official keys, and a description that lets `dad.models.load` read the file), `hf` (a folder for
    `transformers.pipeline("depth-estimation")`), `onnx` (dynamic batch and size). `short_side` overrides the input size that is
    recorded. Writes the weights, `README.md` (the model card) and `parity.json`; returns the measured parities. Raises UserError
    for
    unknown formats, an `out` that is not empty, networks that the format can not hold, and exports that do not agree with the
    source.
    """
    if form not in FORMATS:
        raise UserError(f"unknown format {form!r}; choose one of {', '.join(FORMATS)}")
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists already and is not an empty folder: choose another one")
    network, header = checkpoints.load_network(source)
    network.eval()
    size = network.policy.resized(header.input_size if short_side is None else short_side, patch=network.config.patch).size
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        parities = _write(network, header.origin, form, size, temporary)
        write_text(temporary / "README.md", model_card(str(source), network, header, form, parities))
        write_json(
            temporary / "parity.json", [{"what": p.what, "input": list(p.input), "difference": p.difference} for p in parities]
        )
        if target.exists():
            target.rmdir()
        # safetensors and mkdtemp write for the owner alone; an export is meant to be shared like any other file
        umask = os.umask(0)
        os.umask(umask)
        for file in temporary.iterdir():
            file.chmod(0o666 & ~umask)
        temporary.chmod(0o777 & ~umask)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return parities


def _write(network: DepthNetwork, origin: str, form: str, size: int, folder: Path) -> list[Parity]:
    if form == "hf":
        from dad.export.huggingface import write_folder

        return write_folder(network, size, folder)
    if form == "onnx":
        from dad.export.onnx import write_onnx

        return write_onnx(network, folder / "model.onnx")
    path = folder / "model.safetensors"
    checkpoints.save_network(path, network, input_size=size, origin=origin, official_keys=True)
    again, _ = checkpoints.load_network(path)
    height, width = network.policy.resized(size, patch=network.config.patch).network_size(96, 128)
    x = network.normalise(sample_image(1, height, width))
    with torch.no_grad():
        return [require(compare("the file read again", tuple(x.shape), network(x), again.eval()(x)))]
