"""Which share of the objective each term of equation 9 has, at the start and at the end of finished trainings."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from dad.errors import UserError
from dad.files import read_json, read_text
from dad.identity import RECORD, read_record
from dad.study.base import parse_model
from dad.study.cells import cell_id, loss_terms
from dad.study.config import Cell

START = 0.05
"""Share of the steps that count as the start, and as many as the end."""


def term_shares(run: Path) -> dict[str, Any]:
    """`cell`, and for `start` and `end` the mean share of each weighted term in the total (0 to 1), of one run folder.

    Raises UserError if the folder is no finished run.
    """
    if not (run / "config.json").is_file() or not (run / "metrics.csv").is_file():
        raise UserError(f"{run} is no run folder (config.json and metrics.csv of a finished training)")
    if (run / RECORD).is_file():
        read_record(run / RECORD, files=("config.json", "metrics.csv"), cure="train it again")
    cell = parse_model(Cell, read_json(run / "config.json"), source=str(run / "config.json"))
    rows = list(csv.DictReader(io.StringIO(read_text(run / "metrics.csv"))))
    weights = loss_terms(cell)
    if not rows or any(f"loss_{name}" not in rows[0] for name in weights):
        raise UserError(f"{run / 'metrics.csv'} lacks the terms {', '.join(weights)} of the run's loss")
    try:
        parts = np.array([[weight * float(row[f"loss_{name}"]) for name, weight in weights.items()] for row in rows])
    except (TypeError, ValueError):  # a line that was cut
        raise UserError(f"{run / 'metrics.csv'} is damaged: a line of it holds no numbers") from None
    count = max(1, int(START * len(rows)))
    shares = {"cell": cell_id(cell), "steps": len(rows)}
    for name, of in (("start", parts[:count]), ("end", parts[-count:])):
        total = of.sum(1, keepdims=True)
        mean = np.divide(of, total, out=np.zeros_like(of), where=total > 0).mean(0)
        shares[name] = dict(zip(weights, mean.round(6).tolist(), strict=True))
    return shares
