"""The learning rate of a training run by its step."""

import math

__all__ = ["warm_cosine"]


def warm_cosine(step: int, *, steps: int, warm_up_steps: int, last_share: float) -> float:
    """Return the share of the full learning rate at a step, 0 to 1.

    It grows evenly at first and falls along half a cosine (Loshchilov and Hutter 2017).

    Parameters
    ----------
    step
        From 0 on.
    steps
        Of the whole run, 1 or more; beyond them the share stays at the last.
    warm_up_steps
        Until the growth ends, 1 or more.
    last_share
        At the end of the run, 0 to 1.
    """
    warm = min(1.0, (step + 1) / warm_up_steps)
    cosine = (1 + math.cos(math.pi * min(1.0, step / steps))) / 2
    return warm * (cosine * (1 - last_share) + last_share)
