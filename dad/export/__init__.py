"""Exporting a network: safetensors with official keys, a Hugging Face folder, ONNX, each checked against its source."""

from dad.export.bundle import FORMATS, export

__all__ = ["FORMATS", "export"]
