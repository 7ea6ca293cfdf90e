"""Figures of a model as lines for a person: the estimate and its interval."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["figure_lines"]


def figure_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line a figure of what `medseal.classification.evaluate` returns."""
    for name, value in result.items():
        if name == "figures":
            for figure, parts in value.items():
                yield f"  {figure:20} {_interval(parts)}"
        else:
            yield f"  {name:20} {value}"


def _interval(parts: Mapping[str, float | None]) -> str:
    estimate, low, high = parts["estimate"], parts["low"], parts["high"]
    if estimate is None or low is None or high is None:
        return "not defined on these images"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
