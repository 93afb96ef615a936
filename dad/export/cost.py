"""What a network costs: parameters, multiplications, time."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy
from dad.provenance import processor

RUNS = 5
LONG = 5.0
"""Seconds after which a repeated measurement ends, however many runs it has."""


def cost(network: DepthNetwork, policy: InputPolicy, runs: dict[str, Callable[[torch.Tensor], Any]]) -> dict[str, Any]:
    """Parameters, multiply-accumulates of one forward pass of a 4:3 image, and the seconds that each of `runs` takes
    for it.

    `runs`: what is timed by name, each called with the normalised input (1,3,h,w).
    """
    height, width = policy.network_size(480, 640)
    x = network.normalise(torch.zeros(1, 3, height, width))
    # the counter knows matrix products and convolutions, not every fused attention of every device
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(x)
    with torch.no_grad():
        seconds = {name: _median_seconds(lambda run=run: run(x)) for name, run in runs.items()}  # type: ignore[misc]
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "input": [height, width],
        "macs": counter.get_total_flops() // 2,
        "seconds": seconds,
        "device": f"{processor()}, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}",
    }


def _median_seconds(run: Callable[[], Any]) -> float:
    run()
    taken: list[float] = []
    while len(taken) < RUNS and sum(taken) < LONG:
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
