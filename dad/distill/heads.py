"""Where a student starts: which weights are kept, which are drawn anew, and the check for a dead start.

A randomly initialised DPT head behind a final ReLU is zero at every pixel for about four seeds in ten, and then no
loss has a gradient. The cure here is a stated rule, not luck: the bias of the last convolution is raised until the
median of the map before the ReLU over one batch is 0.1, which moves no other parameter and leaves all relations
between pixels as drawn.

A random head's sign is arbitrary, too: some starts say "far" where the labels say "near", and a loss that forgives
scale and shift turns such a map around only slowly, or not at all. The cure: where the map still disagrees with the
labels after the first steps (see `Orientation`), the last convolution is mirrored at the map's median, once.
"""

import torch
from torch import Tensor, nn

from dad.errors import CollapseError
from dad.models import checkpoints
from dad.models.registry import build_network
from dad.study.config import StudentConfig

LIVE_SHARE = 0.5
"""A start counts as dead if fewer pixels than this are above zero."""


def make_student(config: StudentConfig, *, seed: int) -> nn.Module:
    """The student's network before its first step; random parts are a pure function of `seed`."""
    source, header = checkpoints.load_network(config.model)
    if config.init == "full":
        return source
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(header.network)
    if config.init == "encoder":
        network.encoder.load_state_dict(source.encoder.state_dict())
    return network


@torch.no_grad()
def cure_dead_head(network: nn.Module, rgb: Tensor) -> bool:
    """Look at the output for one batch (B,3,H,W) in [0,1]; raise the last bias if it is dead. Returns whether it
    was."""
    was_training = network.training
    network.eval()
    live = (network(network.normalise(rgb)) > 0).float().mean().item()
    dead = live < LIVE_SHARE
    if dead:
        # shift up by the map's own level: a large enough bias clips nothing, so the median before the ReLU is visible
        bias = network.last_bias
        lift = 1.0
        bias.add_(lift)
        while (median := network(network.normalise(rgb)).median().item()) <= 0:
            bias.add_(lift)
            lift *= 2
            if lift > 1e6:
                raise CollapseError(
                    "the decoder's output stays at zero whatever its last bias: the weights hold NaN or are degenerate"
                )
        bias.add_(0.1 - median)
    network.train(was_training)
    return dead


class Orientation:
    """Watches the sign of the correlation between a student's maps and its labels over the first steps.

    It is decided at the end of each of the first `WINDOWS` windows of `WATCHED` steps (a fifth of a short training). A
    start is inverted if every step of the window's last quarter is. A student that turns around by itself, as most do,
    is left alone; one that stays inverted, or that a mirroring has not helped, is found by the next window.
    """

    WATCHED = 20
    WINDOWS = 3

    def __init__(self, steps: int, seen: list[float] | None = None) -> None:
        self.watched = min(self.WATCHED, steps // 5)
        self.seen: list[float | Tensor] = list(seen or [])

    def inverted(self, step: int, agreement: Tensor) -> bool:
        """Note a step's agreement; whether the start turns out inverted, which is decided at the end of a window."""
        if step >= self.WINDOWS * self.watched:
            return False
        self.seen.append(agreement.detach())
        if (step + 1) % self.watched:
            return False
        return all(float(value) < 0 for value in self.seen[-max(1, self.watched // 4) :])

    def state(self) -> list[float]:
        """What has been seen, as plain numbers."""
        return [float(value) for value in self.seen]


@torch.no_grad()
def mirror_head(network: nn.Module, optimizer: torch.optim.Optimizer, median: float) -> bool:
    """Mirror the map before the last ReLU at `median`: the last convolution's weight w becomes -w, its bias b 2 median
    - b.

    The optimizer's running mean of their gradients begins anew. Returns whether the network has such a convolution.
    """
    bias = network.last_bias
    last = next(
        (part for part in network.modules() if getattr(part, "bias", None) is bias and hasattr(part, "weight")), None
    )
    if last is None:
        return False
    last.weight.neg_()
    bias.copy_(2 * median - bias)
    for parameter in (last.weight, bias):
        if "exp_avg" in optimizer.state.get(parameter, {}):
            optimizer.state[parameter]["exp_avg"].zero_()
    return True
