"""Fetching weights from the Hugging Face hub: the local cache first, then the hub, which has to answer soon."""

import os
import threading
from pathlib import Path
from typing import Any

from dad.errors import UserError
from dad.models.official import WEIGHTS

PATIENCE = 5.0
"""Seconds until a hub that does not answer counts as absent; `HF_HUB_ETAG_TIMEOUT`, its own setting, says otherwise."""


def offline() -> bool:
    """Whether the environment forbids asking the hub (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)."""
    yes = ("1", "ON", "YES", "TRUE")
    return any(os.environ.get(name, "").upper() in yes for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def from_hub(repository: str, file: str | None) -> Path:
    """The file, or without one the whole repository's folder, of a Hugging Face name. Raises UserError in one line."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.txt", "*.onnx", *(f"*{suffix}" for suffix in WEIGHTS)]
    where = f"{repository}/{file}" if file else repository

    def get(**options: Any) -> str:
        if file is not None:
            return hf_hub_download(repository, file, **options)
        return snapshot_download(repository, allow_patterns=patterns, **options)

    try:
        return Path(get(local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise UserError(f"{repository} is no Hugging Face name: {_first_line(error)}") from None
    missing = f"{where} is neither a file here nor in the Hugging Face cache"
    if offline():
        raise UserError(f"{missing}, and HF_HUB_OFFLINE forbids asking the hub")
    _ask(repository, missing)
    try:
        return Path(get())
    except Exception as error:  # the hub's client raises errors of several libraries
        raise UserError(f"{missing}, and the hub gave nothing: {_first_line(error)}") from None


def _ask(repository: str, missing: str) -> None:
    """Raise UserError where the hub has no such repository or does not answer within `PATIENCE`.

    A thread, because neither the resolver's nor the client's own retries can be limited from outside.
    """
    from huggingface_hub import HfApi

    patience = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or PATIENCE)
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            HfApi().model_info(repository, timeout=patience)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience)
    if thread.is_alive():
        raise UserError(f"{missing}, and the hub did not answer within {patience:g} seconds (HF_HUB_ETAG_TIMEOUT)")
    if errors:
        raise UserError(f"{missing}, and the hub gave nothing: {_first_line(errors[0])}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0][:200]
