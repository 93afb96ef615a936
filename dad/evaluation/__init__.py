"""Scoring of relative depth and disparity under named protocols.

score        one prediction against one ground truth (numpy only); score_detail and score_local_global: what it hides
evaluate     a whole benchmark, several protocols in one pass over the predictions
protocols    the rules, as data: `protocols/*.yaml`, read by `load_protocol`
"""

from dad.evaluation.datasets import DATASETS, DatasetRules
from dad.evaluation.detail import score_detail, score_local_global
from dad.evaluation.protocol import Protocol, available_protocols, load_protocol
from dad.evaluation.score import score

__all__ = [
    "DATASETS",
    "DatasetRules",
    "Protocol",
    "available_protocols",
    "load_protocol",
    "score",
    "score_detail",
    "score_local_global",
]
