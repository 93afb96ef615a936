"""The training loop that pretraining and distillation share: one screen, resumable bit for bit, logged step by step."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dad.distill.checkpoints import Checkpoints
from dad.distill.heads import Orientation, mirror_head
from dad.distill.monitor import StepLog, output_statistics, update_norm
from dad.distill.processes import with_shared_statistics
from dad.errors import UserError
from dad.study.config import OptimConfig


@dataclass
class StepResult:
    """What a step's loss function returns: the scalar to minimise, its named terms, and the prediction it came from."""

    loss: Tensor
    terms: dict[str, Tensor]
    prediction: Tensor


def prefetch(batches: Iterator[Any], device: torch.device, ahead: int = 2) -> Iterator[Any]:
    """Prepare batches (dicts of tensors) in a background thread, `ahead` of the loop, and move them to `device`."""
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
                put({key: tensor.to(device, non_blocking=True) for key, tensor in batch.items()})
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
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


@dataclass
class Fitted:
    """A finished training: the network, the seconds spent (those before interruptions included), and which processes did it."""

    network: nn.Module
    seconds: float
    segments: list[dict[str, int]]
    """One entry for every start: `from` (step) and `processes`."""
    mirrored: bool
    """Whether an inverted start was found and cured (`dad.distill.heads`)."""


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
    """Train `network` for `config.steps` steps.

    `batches(step)` yields the batches from that step on, each a pure function of its step, so that a resumed run sees what an
    undisturbed one sees; in several processes each gets its share, and `loss` is the whole batch's (`dad.distill.processes`).
    `work` holds the checkpoints; `identity`, what the training belongs to, guards against resuming something else: that is refused.
    A resumed run may have another number of processes. Only one process at a time may own `work`: a second one (after a killed
    parent left an orphan) is refused.
    """
    lock = filelock.FileLock(work / "lock")
    if accelerator.is_main_process:
        work.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(f"another process is training in {work}: wait for it or end it, then try again") from None
    try:
        checkpoints = Checkpoints(work, identity, speak=accelerator.is_main_process)
        network = with_shared_statistics(network, accelerator)
        optimizer = make_optimizer(network, config)
        network, optimizer = accelerator.prepare(network, optimizer)
        bare = accelerator.unwrap_model(network)
        state = checkpoints.load() if resume else None
        start, spent, segments, mirrored, seen = 0, 0.0, [], False, []
        if state is not None:
            start, spent, segments = state["step"], state["seconds"], state["segments"]
            mirrored, seen = state["mirrored"], state["seen"]
            bare.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
        segments.append({"from": start, "processes": accelerator.num_processes})
        if accelerator.is_main_process:
            if not resume:
                checkpoints.clear()
            log.restore("" if state is None else state["log"])
        del state
        orientation = Orientation(config.steps, seen)
        base_rates = (config.encoder_rate, config.head_rate)
        clock = time.monotonic()
        for step, batch in zip(range(start, config.steps), batches(start), strict=False):
            for group, base in zip(optimizer.param_groups, base_rates, strict=True):
                group["lr"] = base * rate_factor(step, config)
            result = loss(network, batch)
            # every process has the whole batch's loss and the gradient of its own share; the mean over processes is taken of these
            accelerator.backward(result.loss * accelerator.num_processes)
            gradient = accelerator.clip_grad_norm_(network.parameters(), config.clip)
            moved = update_norm(bare)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if "agreement" in result.terms and orientation.inverted(step, result.terms["agreement"]):
                mirrored = mirror_head(bare, optimizer, result.prediction.median().item())
            row = {"loss": result.loss, **result.terms, **output_statistics(result.prediction)}
            row |= {"gradient_norm": gradient, "update_norm": moved(), "rate": optimizer.param_groups[1]["lr"]}
            if not accelerator.is_main_process:
                continue
            log.add(step, row)
            if step + 1 == config.steps or (step + 1) % config.checkpoint_every == 0:
                log.flush()
                trained = {"network": bare.state_dict(), "optimizer": optimizer.state_dict(), "segments": segments}
                watched = {"mirrored": mirrored, "seen": orientation.state(), "log": log.path.read_text()}
                checkpoints.save({"step": step + 1, "seconds": spent + time.monotonic() - clock, **trained, **watched})
            log.progress(step + 1 - start, config.steps - start, time.monotonic() - clock)
        return Fitted(bare, spent + time.monotonic() - clock, segments, mirrored)
    finally:
        lock.release()
