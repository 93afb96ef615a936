"""Several processes that train one student together, and agree with one process that does it alone.

Each process runs the network on its share of a batch. Losses are not means over images only (sums over valid pixels of
the batch, tokens below a margin), so the mean of the shares' losses is not the batch's loss. Therefore the maps are
gathered, every process takes the loss of the whole batch, and the gradient flows back into its own share: what is
logged and what is minimised is the one process's loss, up to the rounding of sums. Only the first process writes.
"""

import os
import sys

import psutil
import torch
import torch.distributed
from accelerate import Accelerator
from torch import Tensor, nn

from dad.errors import UserError


def accelerator_for(precision: str) -> Accelerator:
    """The processes and the device of this training. Raises UserError for a precision that the device does not have."""
    on_gpu = torch.cuda.is_available() and os.environ.get("ACCELERATE_USE_CPU", "").lower() not in ("1", "true", "yes")
    if precision == "fp16" and not on_gpu:
        raise UserError(
            "optim.precision fp16 needs a GPU, and this training runs on the CPU: use precision: no (or bf16)"
        )
    if precision == "bf16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise UserError(
            f"optim.precision bf16: {torch.cuda.get_device_name()} does not have it: use precision: no or fp16"
        )
    # untold, accelerate takes processes that torchrun started on a machine without GPUs for strangers to each other
    accelerator = Accelerator(mixed_precision=precision, cpu=not on_gpu)
    started = int(os.environ.get("WORLD_SIZE") or 1)
    if accelerator.num_processes != started:
        raise UserError(
            f"{started} processes were started, but accelerate joined {accelerator.num_processes}: check WORLD_SIZE "
            "and RANK"
        )
    return accelerator


def gathered(share: Tensor) -> Tensor:
    """The whole batch's tensor (B,...) from every process's share (B / processes,...), in the order of the processes.

    Gradients flow into this process's share only. Where there is one process it is the share itself.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return share
    ranks = torch.distributed.get_world_size()
    if ranks == 1:
        return share
    plain = share.detach().contiguous()
    sent = plain.to(torch.uint8) if plain.dtype == torch.bool else plain
    parts = [torch.empty_like(sent) for _ in range(ranks)]
    torch.distributed.all_gather(parts, sent)
    parts = [part.to(share.dtype) for part in parts]
    parts[torch.distributed.get_rank()] = share
    return torch.cat(parts)


def with_shared_statistics(network: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Let BatchNorm take statistics over the whole batch: on GPUs it does; on CPUs torch cannot, which is refused."""
    several = accelerator.num_processes > 1
    if not several or not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules()):
        return network
    if accelerator.device.type != "cuda":
        raise UserError(
            "this student has BatchNorm, whose statistics several CPU processes would each take from their own share "
            "of a batch: train it in one process, or on GPUs"
        )
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


def start_those_asked_for(arguments: list[str]) -> None:
    """Replace this process by several where `accelerate launch --num_processes N` asked for them and started only one.

    On a machine without GPUs accelerate starts one process (it leaves the rest to an MPI that few have), sets the
    address of a group that nobody joins, and does not say how many were asked for: the number is read from its own
    command line. The processes are torch's (torchrun), which ends all when one fails. Returns where nothing is to be
    done.
    """
    started = {"WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"} & os.environ.keys()
    if started or "MASTER_PORT" not in os.environ or "ACCELERATE_MIXED_PRECISION" not in os.environ:
        return
    wanted = _asked_for()
    if wanted is None:
        raise UserError(
            "accelerate asked for several processes and started one: start them with torchrun --nproc-per-node N -m "
            "dad train ..."
        )
    if wanted == 1:
        return
    address = ["--master-addr", os.environ["MASTER_ADDR"], "--master-port", os.environ["MASTER_PORT"]]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(wanted),
        *address,
        "-m",
        "dad",
        *arguments,
    ]
    print(
        f"accelerate started one process of the {wanted} asked for: torch's launcher starts them",
        file=sys.stderr,
        flush=True,
    )
    os.execv(sys.executable, command)


def _asked_for() -> int | None:
    """The number of processes on the command line of the `accelerate launch` that started this process."""
    for parent in psutil.Process().parents():
        try:
            words = parent.cmdline()
        except psutil.Error:
            continue
        if "launch" not in words and "accelerate.commands.launch" not in words:
            continue
        for word, after in zip(words, [*words[1:], ""], strict=True):
            name, _, value = word.partition("=")
            if name.replace("-", "_") == "__num_processes" and (value or after).isdigit():
                return int(value or after)
    return None
