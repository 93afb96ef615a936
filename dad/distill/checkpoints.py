"""The checkpoints of a training: the two newest, each with a checksum and with the identity of what was trained."""

import json
import os
import pickle
import random
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from dad.errors import UserError
from dad.files import atomic_path
from dad.identity import differences, seal_file, seal_problem


class Checkpoints:
    """`last.pt` and, from the interval before it, `previous.pt` in a training's work folder.

    A checkpoint is used only if it is what was written, and only for the inputs that it was made with. One that is
    damaged is left for the one before it, which is said; where none is left, going on is refused rather than guessed.
    Both names can be read by `torch.load`.
    """

    def __init__(self, work: Path, identity: Mapping[str, Any], *, speak: bool = True) -> None:
        self.work = work
        self.identity = json.loads(json.dumps(identity))
        self.speak = speak
        self._last_is_whole = True
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.work / "last.pt"

    @property
    def previous(self) -> Path:
        """The one before it."""
        return self.work / "previous.pt"

    def clear(self) -> None:
        """Forget all checkpoints."""
        self.last.unlink(missing_ok=True)
        self.previous.unlink(missing_ok=True)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; the newest of before becomes the previous one, unless it was found damaged."""
        self.save_meanwhile(state)
        self.wait()

    def save_meanwhile(self, state: Mapping[str, Any]) -> None:
        """Begin to write a checkpoint of what `state` and the random generators are now, and return: a thread writes a
        copy.

        Raises what the checkpoint before failed with.
        """
        self.wait()
        described = {
            "identity": json.dumps(self.identity),
            "torch_rng": torch.get_rng_state(),
            "python_rng": random.getstate(),
        }
        self._writing = self._writer.submit(self._write, _copied({**state, **described}))

    def check(self) -> None:
        """Raise what writing has failed with, if it has; does not wait."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Return when what was begun is written; raises what it failed with."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, state: Mapping[str, Any]) -> None:
        with atomic_path(self.last) as temporary:
            torch.save(state, temporary)
            seal_file(temporary)
            if self._last_is_whole and self.last.exists():
                os.replace(self.last, self.previous)
        self._last_is_whole = True

    def load(self) -> dict[str, Any] | None:
        """The newest checkpoint that is whole, with the states of the random generators restored; None where there is
        none yet.

        Raises UserError where it belongs to other inputs, and where all that are there are damaged.
        """
        damaged = []
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            state, problem = _read(path)
            if state is None:
                damaged.append(f"{path} is damaged ({problem})")
                self._last_is_whole = self._last_is_whole and path != self.last
                continue
            self._require_same(path, json.loads(state["identity"]))
            if damaged:
                self._say(f"{damaged[0]}: training goes on from the checkpoint before it, at step {state['step']}")
            torch.set_rng_state(state["torch_rng"])
            version, internal, gauss = state["python_rng"]
            random.setstate((version, tuple(internal), gauss))
            return state
        if damaged:
            raise UserError(
                f"{damaged[0]} and no other checkpoint is left: remove {self.work}, or give --resume never, to begin "
                "anew"
            )
        return None

    def _require_same(self, path: Path, found: Mapping[str, Any]) -> None:
        changed = differences(found, self.identity)
        if not changed:
            return
        begin = f"remove {self.work}, or give --resume never, to begin anew"
        keys = [part.removeprefix("cell.") for part in changed if part.startswith("cell")]
        if keys:
            raise UserError(
                f"{path} belongs to another configuration ({', '.join(keys)} differ): use another work folder, or "
                f"{begin}"
            )
        raise UserError(f"{path} was trained on other inputs ({', '.join(changed)} changed since): {begin}")

    def _say(self, line: str) -> None:
        if self.speak:
            print(line, file=sys.stderr, flush=True)


def _copied(state: Any) -> Any:
    """The same nested values with tensors of their own, on the CPU."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state


def _read(path: Path) -> tuple[dict[str, Any] | None, str]:
    """A checkpoint's contents, or None and what is wrong with it."""
    problem = seal_problem(path)
    if problem:
        return None, problem
    try:
        return torch.load(path, map_location="cpu", weights_only=True), ""
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        return None, str(error).splitlines()[0][:100]
