"""Distill Any Depth, reproduced: pseudo-label distillation of monocular depth, its ablations and its evaluation."""

__version__ = "0.1.0"
