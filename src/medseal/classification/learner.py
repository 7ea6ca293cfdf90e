"""What a step of training changes: weights, optimiser with rates by depth, moving average."""

import copy
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from medseal.classification.networks import Network

__all__ = [
    "Learner",
    "Schedule",
    "average_of",
    "make_optimiser",
    "rate_factor",
    "set_rates",
    "update_average",
]

Schedule = Literal["constant", "cosine"]
_BASE = "base_rate"
# The average is short at first: after t steps over about t / 9 of them, up to the stated length.
_LATER = 9


@dataclass(slots=True, kw_only=True)
class Learner:
    """What a step of training changes.

    Attributes
    ----------
    network
        Trained.
    optimiser
        Of its parameters.
    average
        Moving average of its weights, if wanted.
    """

    network: Network
    optimiser: torch.optim.Optimizer
    average: Network | None = None

    @property
    def shipped(self) -> Network:
        """The network that is validated and kept."""
        return self.network if self.average is None else self.average


def make_optimiser(
    network: Network,
    *,
    learning_rate: float,
    head_learning_rate: float,
    layer_decay: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """Return Adam with decoupled weight decay; without decay it is plain Adam.

    Parameters
    ----------
    network
        Frozen parameters are left out.
    learning_rate
        Of the last stage.
    head_learning_rate
        Of what follows the stages; 0 takes `learning_rate`.
    layer_decay
        Factor on the rate from a stage to the one before it, in (0, 1].
    weight_decay
        Of filters and dense weights; never of offsets and batch statistics.

    References
    ----------
    Loshchilov and Hutter 2019, arXiv 1711.05101.
    """
    rates: dict[int, float] = {}
    stages = network.stages()
    for depth, stage in enumerate(reversed(stages)):
        for layer in stage:
            for parameter in layer.parameters():
                rates[id(parameter)] = learning_rate * layer_decay**depth
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            rate = rates.get(id(parameter), head_learning_rate or learning_rate)
            groups.setdefault((rate, parameter.ndim > 1), []).append(parameter)
    settings: list[dict[str, Any]] = [
        {
            "params": parameters,
            "lr": rate,
            _BASE: rate,
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (rate, decays), parameters in groups.items()
    ]
    return torch.optim.AdamW(settings)


def rate_factor(step: int, *, steps: int, warmup: int, schedule: Schedule) -> float:
    """Return the factor on all rates at a step.

    Parameters
    ----------
    step
        From 0.
    steps
        Of the whole run.
    warmup
        Steps in which the rate grows linearly.
    schedule
        ``cosine`` falls to 0 at the end of the run (Loshchilov and Hutter 2017, arXiv 1608.03983).
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the rate of each group to its own times `factor`."""
    for group in optimiser.param_groups:
        group["lr"] = group[_BASE] * factor


def average_of(network: Network) -> Network:
    """Return a copy of the network that takes the moving average of its weights."""
    average = copy.deepcopy(network)
    average.requires_grad_(False)
    return average.eval()


@torch.no_grad()
def update_average(average: Network, network: Network, *, decay: float, step: int) -> None:
    """Move the average towards the network.

    Parameters
    ----------
    average, network
        Of the same kind; the first is changed.
    decay
        Share of the old average, in (0, 1); smaller in the first steps.
    step
        From 0.
    """
    share = 1 - min(decay, (1 + step) / (1 + _LATER + step))
    targets = average.state_dict().values()
    for target, value in zip(targets, network.state_dict().values(), strict=True):
        if target.is_floating_point():
            target.lerp_(value, share)
        else:
            target.copy_(value)
