"""Watching a training: the step log, statistics of the output, and the detector that stops a collapsed run with
advice.

Affine-invariant losses leave the output's scale free, and the final ReLU can die: median, spread and share of zeros of
the output show both long before a benchmark does.
"""

import csv
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dad.errors import CollapseError
from dad.files import write_text

UPDATE_EVERY = 10
"""Steps between measurements of how far the parameters move: one needs a copy of them all, on a GPU beside the rest."""


@torch.no_grad()
def output_statistics(prediction: Tensor) -> dict[str, Tensor]:
    """Median, mean absolute deviation from it, and share of exact zeros over a batch of maps (B,1,H,W)."""
    values = prediction.detach().float().flatten()
    median = values.median()
    return {
        "output_median": median,
        "output_mad": (values - median).abs().mean(),
        "output_zeros": (values == 0).float().mean(),
    }


@torch.no_grad()
def agreement(prediction: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pearson correlation between maps and labels (B,1,H,W) over trusted pixels, mean over maps; 0 for a flat one."""
    keep = torch.ones_like(prediction, dtype=torch.bool) if mask is None else mask
    keep = keep.flatten(1).double()
    count = keep.sum(1, keepdim=True).clamp_min(1)
    centred = []
    for maps in (prediction, labels):
        values = maps.detach().flatten(1).double() * keep
        centred.append((values - values.sum(1, keepdim=True) / count) * keep)
    ours, theirs = centred
    size = (ours.square().sum(1) * theirs.square().sum(1)).sqrt()
    together = (ours * theirs).sum(1)
    return torch.where(size > 0, together / size.clamp_min(1e-300), torch.zeros_like(size)).mean().float()


@torch.no_grad()
def update_norm(network: nn.Module) -> Callable[[], Tensor]:
    """Remember the parameters now; the returned function gives the L2 norm of how far they have moved since."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def moved() -> Tensor:
        return torch.stack(torch._foreach_norm(torch._foreach_sub(parameters, before))).norm()

    return moved


class CollapseDetector:
    """Raises CollapseError when a run cannot recover: a loss that is not finite, or a dead output for `PATIENCE` steps.

    A gradient that is not finite is a collapse, too, unless gradients are `scaled` (`precision: fp16`): their scale
    begins too large on purpose, the scaler leaves out the steps that show it and halves it. There `PATIENCE` such steps
    in a row are one.
    """

    PATIENCE = 20

    def __init__(self, *, scaled: bool = False) -> None:
        self.dead_steps = 0
        self.scaled = scaled
        self.left_out = 0

    def __call__(self, rows: list[dict[str, float]]) -> None:
        """Look at the newest rows of the log."""
        for row in rows:
            self.left_out = 0 if math.isfinite(row["gradient_norm"]) else self.left_out + 1
            if not math.isfinite(row["loss"]) or self.left_out >= (self.PATIENCE if self.scaled else 1):
                terms = ", ".join(f"{key} {value:.3g}" for key, value in row.items() if key.startswith("loss"))
                raise CollapseError(
                    f"step {row['step']}: loss or gradient is not finite ({terms}, gradient "
                    f"{row['gradient_norm']:.3g}); lower head_rate and encoder_rate, lengthen warmup, "
                    "or use precision: no",
                    step=int(row["step"]),
                )
            self.dead_steps = self.dead_steps + 1 if row["output_zeros"] > 0.995 else 0
            if self.dead_steps >= self.PATIENCE:
                raise CollapseError(
                    f"step {row['step']}: the output has been zero at (nearly) every pixel for {self.PATIENCE} steps, "
                    "so no gradient is left; lower head_rate, lengthen warmup, or start from another seed",
                    step=int(row["step"]) - self.PATIENCE + 1,
                )


class StepLog:
    """The metrics of every step: rows in a CSV file, a progress line now and then, and listeners (tracking) that get
    the rows.

    Values stay on the device until `flush`, so that logging does not synchronise a GPU at every step. A value that is
    None has not been measured in its step: its place stays empty. `name`, if there is one, begins the progress lines.
    """

    def __init__(
        self,
        path: Path,
        *,
        flush_every: int = 25,
        listeners: tuple[Callable[[list[dict[str, float]]], None], ...] = (),
        name: str = "",
    ) -> None:
        self.path = path
        self.name = f"{name}  " if name else ""
        self.flush_every = flush_every
        self.listeners = listeners
        self._pending: list[dict[str, Any]] = []
        self._columns: list[str] | None = None
        self._spoke = 0.0

    def restore(self, text: str) -> None:
        """Go on from the log as it was at the checkpoint, `text`: rows that were written after it are dropped, rows
        that were lost or altered since are put back, which is said. An empty `text` begins a new log.
        """
        found = self.path.read_text(errors="replace") if self.path.exists() else ""
        if text and not found.startswith(text):
            print(
                f"{self.path} was lost or altered: its rows up to the checkpoint are put back from there",
                file=sys.stderr,
            )
        self._columns = text.split("\n", 1)[0].split(",") if text else None
        if text:
            write_text(self.path, text)
        else:
            self.path.unlink(missing_ok=True)

    def add(self, step: int, row: dict[str, Any]) -> None:
        """Queue one step's values (scalars or scalar tensors)."""
        self._pending.append(
            {"step": step} | {key: v.detach() if isinstance(v, Tensor) else v for key, v in row.items()}
        )
        if len(self._pending) >= self.flush_every:
            self.flush()

    def flush(self) -> None:
        """Write what is queued and hand it to the listeners."""
        if not self._pending:
            return
        rows = [
            {key: float(value) if key != "step" else value for key, value in row.items() if value is not None}
            for row in self._pending
        ]
        self._pending = []
        first = self._columns is None
        if self._columns is None:
            self._columns = list(rows[0])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n", restval="")
            if first:
                writer.writeheader()
            writer.writerows(rows)
        for listener in self.listeners:
            listener(rows)
        self._latest = rows[-1]

    def progress(self, done: int, total: int, seconds: float, every: float = 10.0) -> None:
        """One line with rate and time left, at most every `every` seconds and at the end."""
        now = time.monotonic()
        if now - self._spoke < every and done != total:
            return
        self._spoke = now
        self.flush()
        rate = done / max(seconds, 1e-9)
        row = self._latest
        print(
            f"{self.name}step {row['step'] + 1}  loss {row['loss']:.4f}  "
            f"median {row['output_median']:.3g}  zeros {row['output_zeros']:.1%}  "
            f"{rate:.2f} steps/s  {(total - done) / rate:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
