"""ONNX files that `dad export` wrote, as estimators."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dad.errors import UserError
from dad.identity import seal_problem
from dad.models.config import MidasSwinConfig
from dad.models.estimator import Estimator
from dad.models.policy import InputPolicy

SEAL = b"rN\n\ndad.sha256\x12@"
"""What stands before the checksum at the end of an ONNX file: the head of one more entry of its metadata, which is how
protobuf reads the two (field 14, 78 bytes: key `dad.sha256`, value of 64 characters). So the file stays an ONNX file
for everybody.
"""


def onnx_file(path: Path) -> Path | None:
    """The ONNX file that a path means: the file itself, or `model.onnx` in a folder without other weights."""
    if path.is_dir():
        path = path / "model.onnx"
        return path if path.is_file() and not (path.parent / "model.safetensors").exists() else None
    return path if path.suffix == ".onnx" else None


class OnnxNetwork:
    """A graph of onnxruntime instead of a network: normalised input (B,3,h,w) -> maps (B,1,h,w) on the CPU."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(f"{path} needs the package onnxruntime (pip install 'dad[export]')") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common class of errors
            raise UserError(f"{path} is not a readable ONNX file: {str(error).splitlines()[0][:200]}") from None
        problem = seal_problem(path, trailer=SEAL)
        if problem:
            raise UserError(f"{path} is damaged or of an earlier version ({problem}): export or copy it again")
        said = self.session.get_modelmeta().custom_metadata_map
        try:
            description, policy = json.loads(said["dad"]), json.loads(said["dad.policy"])
            policy |= {key: tuple(policy[key]) for key in ("mean", "std")}
            self.policy = InputPolicy(**policy)
            self.kind = str(description.get("kind") or description["network"].get("target", "disparity"))
            self.config: Any = _config(description["network"])
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path} carries no description of its network: it was not written by `dad export`"
            ) from None

    def to(self, device: torch.device | str) -> "OnnxNetwork":
        """Only the CPU is there; raises UserError for any other device."""
        if torch.device(device).type != "cpu":
            raise UserError(f"an ONNX file is run on the CPU here, not on {device}")
        return self

    def eval(self) -> "OnnxNetwork":
        """Nothing to do."""
        return self

    def normalise(self, rgb: Tensor) -> Tensor:
        """RGB (B,3,H,W) in [0,1] to the graph's input scale."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.policy.mean, self.policy.std))
        return (rgb - mean) / std

    def __call__(self, x: Tensor) -> Tensor:
        """Run the graph; raises UserError for sizes the network does not take, which the graph would cut or fail at."""
        height, width = x.shape[-2:]
        if isinstance(self.config, MidasSwinConfig) and {height, width} != {self.config.size}:
            side = self.config.size
            raise UserError(f"input of {height}x{width} pixels: this Swin network takes {side}x{side} only")
        if height % self.config.patch or width % self.config.patch:
            raise UserError(
                f"input of {height}x{width} pixels: height and width must be multiples of the patch, "
                f"{self.config.patch}"
            )
        return torch.from_numpy(self.session.run(None, {"image": x.float().contiguous().numpy()})[0])


def _config(network: Any) -> Any:
    from pydantic import TypeAdapter

    from dad.models.config import NetworkConfig

    return TypeAdapter(NetworkConfig).validate_python(network)


def load_onnx(
    path: Path, *, name: str, short_side: int | None = None, square: bool = False, device: str = "cpu"
) -> Estimator:
    """An estimator over an ONNX file. Raises UserError, in one line, for files that `dad export` did not write."""
    return Estimator(OnnxNetwork(path), name=name, short_side=short_side, square=square, device=device)
