"""Which device a command computes on."""

from dad.errors import UserError


def chosen_device(name: str) -> str:
    """The device that `--device` names, checked: `auto` is the first GPU, or the CPU where there is none.

    Raises UserError for what is no device, and for one that is not there.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device {name!r} is no device: give auto, cpu, cuda, cuda:1 or mps")
    if device.type == "cuda" and (count := torch.cuda.device_count()) <= (device.index or 0):
        has = (
            "no GPU that torch can use"
            if not count
            else f"{count} GPU{'s' if count > 1 else ''}, cuda:0 to cuda:{count - 1}"
        )
        raise UserError(f"--device {name} is not there: this machine has {has}; give auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps is not there: give auto or cpu")
    if device.type == "cpu" and device.index not in (None, 0):
        raise UserError(f"--device {name} is not there: there is one cpu")
    return name
