"""Charts as SVG text, without a plotting library: lines, bars with intervals, a matrix."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["Bar", "Series", "bar_chart", "line_chart", "matrix_chart"]

# Colours and fonts come from the page: classes s0 to s5, axis, grid, label.
COLOURS = 6
_WIDTH, _HEIGHT = 320, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 40
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
# More points than this cannot be told apart at this size.
_MAX_POINTS = 160
_BAR_HEIGHT, _BAR_LEFT, _BAR_WIDTH = 26, 210, 560
_CELL = 64
# Characters of a name that fit left of a bar, and above a column.
_NAME, _SHORT_NAME = 30, 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One line of a chart.

    Attributes
    ----------
    name
        In the legend.
    x, y
        Equally long; NaN breaks the line.
    is_marked
        Whether points get a dot.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    is_marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar with its interval, all in [0, 1].

    Attributes
    ----------
    name
        Left of the bar.
    estimate, low, high
        Length, and ends of the line over it.
    colour
        Number of the colour class.
    """

    name: str
    estimate: float
    low: float
    high: float
    colour: int = 0


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float] = _TICKS,
    y_ticks: Sequence[float] = _TICKS,
    diagonal: bool = False,
) -> str:
    """Return lines in a frame from the first to the last tick of each axis.

    Parameters
    ----------
    series
        At most `COLOURS`; the first is drawn last, so on top.
    x_label, y_label
        Names of the axes.
    x_ticks, y_ticks
        Rising, at least two.
    diagonal
        Whether a thin line runs from the lower left to the upper right corner.

    Raises
    ------
    InputError
        Too many series, x and y of other lengths, or fewer than two ticks.
    """
    if len(series) > COLOURS or min(len(x_ticks), len(y_ticks)) < 2:  # noqa: PLR2004  # two ends
        raise InputError(f"a chart has at most {COLOURS} lines and two ticks an axis")
    if any(one.x.shape != one.y.shape for one in series):
        raise InputError("x and y of a line must be equally long")
    across, down = _scale(x_ticks, _LEFT, _WIDTH - _RIGHT), _scale(y_ticks, _HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(across, down, x_ticks, y_ticks), _names(x_label, y_label)]
    if diagonal:
        low, high = ((across(x_ticks[end]), down(y_ticks[end])) for end in (0, -1))
        parts.append(_segment("axis dashed", low, high))
    for number in reversed(range(len(series))):
        parts.append(_line(series[number], number, across, down))
    title = f"{y_label} over {x_label}: {', '.join(one.name for one in series)}"
    return _svg(_WIDTH, _HEIGHT, title, parts)


class _scale:  # noqa: N801  # called like a function
    """Map values to places on an axis."""

    def __init__(self, ticks: Sequence[float], first: float, last: float) -> None:
        self._start, self._span = ticks[0], ticks[-1] - ticks[0]
        self._first, self._last = first, last

    def __call__(self, value: float) -> float:
        share = (value - self._start) / self._span
        return self._first + share * (self._last - self._first)


def _text(x: float, y: float, text: str, *, kind: str = "tick", anchor: str = "middle") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _segment(kind: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    return (
        f'<line class="{kind}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" '
        f'x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'
    )


def _axes(across: _scale, down: _scale, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    lines = []
    for tick in x_ticks:
        place = across(tick)
        lines.append(_segment("grid", (place, _TOP), (place, bottom)))
        lines.append(_text(place, bottom + 14, f"{tick:g}"))
    for tick in y_ticks:
        place = down(tick)
        lines.append(_segment("grid", (_LEFT, place), (right, place)))
        lines.append(_text(_LEFT - 6, place + 4, f"{tick:g}", anchor="end"))
    return "".join(lines)


def _names(x_label: str, y_label: str) -> str:
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    return _text(middle_x, _HEIGHT - 8, x_label, kind="label") + (
        f'<text class="label" transform="translate(11 {middle_y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text>'
    )


def _line(series: Series, number: int, across: _scale, down: _scale) -> str:
    kept = _thinned(len(series.x))
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(series.x[kept].tolist(), series.y[kept].tolist(), strict=True):
        if math.isnan(x) or math.isnan(y):
            runs.append([])
        else:
            runs[-1].append((across(x), down(y)))
    drawn = []
    for run in runs:
        if len(run) > 1:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
            drawn.append(f'<polyline class="line s{number}" points="{points}"/>')
        if series.is_marked:
            drawn += [
                f'<circle class="dot s{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in run
            ]
    return "".join(drawn)


def _thinned(count: int) -> NDArray[np.int64]:
    """Return which points are drawn, the first and the last always."""
    return np.unique(np.linspace(0, count - 1, min(count, _MAX_POINTS)).round().astype(np.int64))


def bar_chart(bars: Sequence[Bar], *, title: str) -> str:
    """Return horizontal bars from 0 to 1 with their intervals.

    Parameters
    ----------
    bars
        From top to bottom.
    title
        For those who do not see it.

    Raises
    ------
    InputError
        No bar.
    """
    if not bars:
        raise InputError("a bar chart needs a bar")
    height = _BAR_HEIGHT * len(bars) + 24
    across = _scale((0.0, 1.0), _BAR_LEFT, _BAR_WIDTH - 60)
    parts = []
    for tick in _TICKS:
        parts.append(_segment("grid", (across(tick), 0), (across(tick), height - 20)))
        parts.append(_text(across(tick), height - 6, f"{tick:g}"))
    for number, bar in enumerate(bars):
        top = number * _BAR_HEIGHT + 5
        middle = top + 8
        name = bar.name if len(bar.name) <= _NAME else f"{bar.name[: _NAME - 1]}…"
        parts += [
            _text(_BAR_LEFT - 8, middle + 4, name, kind="label", anchor="end"),
            f'<rect class="bar s{bar.colour}" x="{_BAR_LEFT}" y="{top}" height="16" '
            f'width="{across(bar.estimate) - _BAR_LEFT:.1f}"/>',
            _segment("whisker", (across(bar.low), middle), (across(bar.high), middle)),
            _text(_BAR_WIDTH - 50, middle + 4, f"{bar.estimate:.3f}", anchor="start"),
        ]
    return _svg(_BAR_WIDTH, height, title, parts)


def matrix_chart(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """Return a confusion matrix: rows true, columns decided, shaded by the share of the row.

    Raises
    ------
    InputError
        The matrix is not as large as there are classes.
    """
    if len(counts) != len(classes) or any(len(row) != len(classes) for row in counts):
        raise InputError("a confusion matrix has a row and a column a class")
    left, top = 130, 34
    parts = [_text(left, 12, "decided", kind="label", anchor="start")]
    for number, name in enumerate(classes):
        shown = name.replace("_", " ")
        place = (number + 0.5) * _CELL
        parts.append(_text(left + place, 28, shown[:_SHORT_NAME]))
        parts.append(_text(left - 8, top + place + 4, shown, anchor="end"))
    for row, values in enumerate(counts):
        total = sum(values)
        for column, value in enumerate(values):
            share = value / total if total else 0.0
            colour = 0 if row == column else 3
            x, y = left + column * _CELL, top + row * _CELL
            parts += [
                f'<rect class="cell s{colour}" x="{x}" y="{y}" width="{_CELL - 2}" '
                f'height="{_CELL - 2}" fill-opacity="{0.06 + 0.7 * share:.2f}"/>',
                _text(x + _CELL / 2 - 1, y + _CELL / 2, str(value), kind="count"),
                _text(x + _CELL / 2 - 1, y + _CELL / 2 + 16, f"{share:.0%}", kind="label"),
            ]
    size = len(classes) * _CELL
    return _svg(left + size + 4, top + size + 4, "confusion matrix, rows true", parts)


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{1.15 * width:.0f}px" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
