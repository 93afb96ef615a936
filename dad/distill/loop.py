"""The training loop that pretraining and distillation share: resumable bit for bit, logged step by step, for one
student or for several that take their steps one after the other.
"""

import contextlib
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dad.distill.checkpoints import Checkpoints
from dad.distill.ending import EndRequest
from dad.distill.heads import Orientation, mirror_head
from dad.distill.monitor import UPDATE_EVERY, StepLog, output_statistics, update_norm
from dad.distill.processes import with_shared_statistics
from dad.distill.saving import save_where_asked
from dad.errors import CollapseError, UserError
from dad.models.attention import plain_attention_where_faster
from dad.study.config import OptimConfig


@dataclass
class StepResult:
    """What a step's loss function returns: the scalar to minimise, its named terms, and the prediction it came from."""

    loss: Tensor
    terms: dict[str, Tensor]
    prediction: Tensor


def prefetch(batches: Iterator[Any], device: torch.device, ahead: int = 2) -> Iterator[Any]:
    """Prepare batches in a background thread, `ahead` of the loop, and move them to `device`.

    A batch is a dict of tensors, or a tuple of such dicts, one for each of several students; what they share is moved
    once.
    """
    ready: queue.Queue[Any] = queue.Queue(ahead)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.2)
                return

    def produce() -> None:
        try:
            for batch in batches:
                put(_moved(batch, device))
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=produce, daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def _moved(batch: Any, device: torch.device) -> Any:
    """A batch on `device`; copied to a GPU from memory that the system leaves in place, so nothing waits for it."""
    moved: dict[int, Tensor] = {}
    parts = batch if isinstance(batch, tuple) else (batch,)
    for tensor in (tensor for part in parts for tensor in part.values()):
        if id(tensor) not in moved:
            kept = tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor
            moved[id(tensor)] = kept.to(device, non_blocking=True)
    there = tuple({key: moved[id(tensor)] for key, tensor in part.items()} for part in parts)
    return there if isinstance(batch, tuple) else there[0]


def unwrapped(network: nn.Module) -> nn.Module:
    """The network itself, out of the wrapper that several processes put around it."""
    return getattr(network, "module", network)


def rate_factor(step: int, config: OptimConfig) -> float:
    """Multiplier of the base rates at `step` (0-based): linear warm-up times polynomial decay to zero."""
    warmup = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    return warmup * (1 - step / config.steps) ** config.power


def make_optimizer(network: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """AdamW with two groups, the encoder's and the rest's; frozen parameters are left out."""
    encoder = {id(parameter) for parameter in network.encoder.parameters()}
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if id(p) in encoder], "lr": config.encoder_rate},
        {"params": [p for p in trained if id(p) not in encoder], "lr": config.head_rate},
    ]
    # one kernel for all parameters: a third of the plain one's time for a small network's many small ones on a CPU, too
    fused = bool(trained) and all(parameter.device.type in ("cpu", "cuda") for parameter in trained)
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=fused or None)


@dataclass
class Fitted:
    """A finished training: the network, the seconds spent (those before interruptions included; of several students
    that are trained together each one's share), and which processes did it.
    """

    network: nn.Module
    seconds: float
    segments: list[dict[str, int]]
    """One entry for every start: `from` (step) and `processes`."""
    mirrored: bool
    """Whether an inverted start was found and cured (`dad.distill.heads`)."""


class Fitting:
    """One network's training, step by step.

    `work` holds the checkpoints; `identity`, what the training belongs to, guards against resuming something else: that
    is refused. A resumed run may have another number of processes. Only one process at a time may own `work`, from here
    to `close`: a second one (after a killed parent left an orphan) is refused.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[nn.Module, Any], StepResult],
        config: OptimConfig,
        *,
        work: Path,
        identity: Mapping[str, Any],
        log: StepLog,
        accelerator: Accelerator,
        resume: bool = True,
    ) -> None:
        self.config, self.log, self._loss, self._accelerator = config, log, loss, accelerator
        self._lock = filelock.FileLock(work / "lock")
        self._checkpoints = Checkpoints(work, identity, speak=accelerator.is_main_process)
        if accelerator.is_main_process:
            work.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except filelock.Timeout:
                raise UserError(
                    f"another process is training in {work}: wait for it or end it, then try again"
                ) from None
        try:
            self._begin(network, resume)
        except BaseException:
            self.close()
            raise

    def _begin(self, network: nn.Module, resume: bool) -> None:
        accelerator, config = self._accelerator, self.config
        network = with_shared_statistics(network, accelerator)
        plain_attention_where_faster(network)
        save_where_asked(network, config)
        optimizer = make_optimizer(network, config)
        self._network, self._optimizer = accelerator.prepare(network, optimizer)
        self._bare = accelerator.unwrap_model(self._network)
        state = self._checkpoints.load() if resume else None
        self.start, self.seconds, self._mirrored, seen = 0, 0.0, False, []
        self._segments: list[dict[str, int]] = []
        if state is not None:
            self.start, self.seconds, self._segments = state["step"], state["seconds"], state["segments"]
            self._mirrored, seen = state["mirrored"], state["seen"]
            self._bare.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            if "scaler" in state and accelerator.scaler is not None:
                accelerator.scaler.load_state_dict(state["scaler"])
        self._segments.append({"from": self.start, "processes": accelerator.num_processes})
        if accelerator.is_main_process:
            if not resume:
                self._checkpoints.clear()
            self.log.restore("" if state is None else state["log"])
        self._orientation = Orientation(config.steps, seen)
        self._began, self._random = time.monotonic(), (torch.get_rng_state(), random.getstate())

    def step(self, step: int, batch: Any) -> None:
        """Take a step: forward, backward, the optimizer's, a row of the log and, where one is due, a checkpoint."""
        config, accelerator, optimizer = self.config, self._accelerator, self._optimizer
        for group, base in zip(optimizer.param_groups, (config.encoder_rate, config.head_rate), strict=True):
            group["lr"] = base * rate_factor(step, config)
        result = self._loss(self._network, batch)
        # every process has the whole batch's loss and its share's gradient; the mean over processes is taken of these
        accelerator.backward(result.loss * accelerator.num_processes)
        gradient = accelerator.clip_grad_norm_(self._network.parameters(), config.clip)
        moved = update_norm(self._bare) if step % UPDATE_EVERY == 0 else None
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if "agreement" in result.terms and self._orientation.inverted(step, result.terms["agreement"]):
            self._mirrored |= mirror_head(self._bare, optimizer, result.prediction.median().item())
        row = {"loss": result.loss, **result.terms, **output_statistics(result.prediction)}
        row |= {
            "gradient_norm": gradient,
            "update_norm": moved() if moved else None,
            "rate": optimizer.param_groups[1]["lr"],
        }
        if not accelerator.is_main_process:
            return
        self.log.add(step, row)
        self._checkpoints.check()
        if step + 1 == config.steps or (step + 1) % config.checkpoint_every == 0:
            self.log.flush()
            self._save(step + 1)
        self.log.progress(step + 1 - self.start, config.steps - self.start, time.monotonic() - self._began)

    def keep(self, step: int) -> None:
        """Have a checkpoint of the `step` steps that were taken, also where none was due by itself."""
        if step >= self.start and step % self.config.checkpoint_every:
            self.log.flush()
            self._save(step)
        self._checkpoints.wait()

    def _save(self, step: int) -> None:
        trained = {
            "network": self._bare.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "segments": self._segments,
        }
        if self._accelerator.scaler is not None:  # of fp16: its factor
            trained["scaler"] = self._accelerator.scaler.state_dict()
        watched = {"mirrored": self._mirrored, "seen": self._orientation.state(), "log": self.log.path.read_text()}
        self._checkpoints.save_meanwhile({"step": step, "seconds": self.seconds, **trained, **watched})

    @contextlib.contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Within it the CPU's random generators are where this training left them, whatever others have drawn since."""
        outside = torch.get_rng_state(), random.getstate()
        torch.set_rng_state(self._random[0])
        random.setstate(self._random[1])
        try:
            yield
        finally:
            self._random = torch.get_rng_state(), random.getstate()
            torch.set_rng_state(outside[0])
            random.setstate(outside[1])

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes, of one or of several."""
        return bool(self._accelerator.is_main_process)

    @property
    def processes(self) -> int:
        """How many processes take the steps."""
        return int(self._accelerator.num_processes)

    def fitted(self) -> Fitted:
        """What has come of it."""
        return Fitted(self._bare, self.seconds, self._segments, self._mirrored)

    def close(self) -> None:
        """Let another process have the work folder, the last checkpoint written. Raises what writing it failed with."""
        try:
            self._checkpoints.wait()
        finally:
            self._lock.release()


def fit_together(
    fittings: Sequence[Fitting], batches: Callable[[int], Iterator[tuple[Any, ...]]]
) -> list[Fitted | CollapseError]:
    """Take the steps of several trainings of equal length, one after the other in each step, and release their folders.

    `batches(step)` yields, from that step on, a batch for each. A training that goes on from a later step waits for the
    others. One that collapses ends, and its error stands in its place in the result; the others go on. Of one alone the
    error is raised. Raises EndedError after SIGTERM, with the steps so far kept.
    """
    alone, running = len(fittings) == 1, list(fittings)
    steps, start = fittings[0].config.steps, min(fitting.start for fitting in fittings)
    assert all(fitting.config.steps == steps for fitting in fittings), "trainings of other lengths see other photos"
    collapsed: dict[Fitting, CollapseError] = {}
    clock = time.monotonic()
    with contextlib.ExitStack() as stack:
        for fitting in fittings:
            stack.callback(fitting.close)
        ending = stack.enter_context(EndRequest())
        for step, parts in zip(range(start, steps), batches(start), strict=False):
            for fitting, batch in zip(fittings, parts, strict=True):
                if fitting in collapsed or step < fitting.start:
                    continue
                try:
                    with contextlib.nullcontext() if alone else fitting.own_randomness():
                        fitting.step(step, batch)
                except CollapseError as error:
                    # of several processes only the first one reads the log, and the others would wait for it
                    if alone or fitting.processes > 1:
                        raise
                    collapsed[fitting] = error
                    running.remove(fitting)
                now = time.monotonic()
                for one in running:
                    one.seconds += (now - clock) / len(running)
                clock = now
            if ending.asked and step + 1 < steps and fittings[0].leads:
                for one in running:
                    one.keep(step + 1)
                ending.end(step + 1)
        return [collapsed.get(fitting) or fitting.fitted() for fitting in fittings]


def fit(
    network: nn.Module,
    batches: Callable[[int], Iterator[Any]],
    loss: Callable[[nn.Module, Any], StepResult],
    config: OptimConfig,
    *,
    work: Path,
    identity: Mapping[str, Any],
    log: StepLog,
    accelerator: Accelerator,
    resume: bool = True,
) -> Fitted:
    """Train one network for `config.steps` steps; see `Fitting`.

    `batches(step)` yields the batches from that step on, each a pure function of its step, so that a resumed run sees
    what an undisturbed one sees; in several processes each gets its share, and `loss` is the whole batch's
    (`dad.distill.processes`).
    """
    fitting = Fitting(
        network, loss, config, work=work, identity=identity, log=log, accelerator=accelerator, resume=resume
    )
    (fitted,) = fit_together([fitting], lambda start: ((batch,) for batch in batches(start)))
    assert isinstance(fitted, Fitted)
    return fitted
