"""Scoring of relative depth and disparity under named protocols.

score        one prediction against one ground truth (numpy only)
evaluate     a whole benchmark, several protocols in one pass over the predictions
protocols    the rules, as data: `protocols/*.yaml`, read by `load_protocol`
"""

from dad.evaluation.datasets import DATASETS, DatasetRules
from dad.evaluation.protocol import Protocol, available_protocols, load_protocol
from dad.evaluation.score import score

__all__ = ["DATASETS", "DatasetRules", "Protocol", "available_protocols", "load_protocol", "score"]
