"""The audit as a page without network, and as text for a terminal."""

import base64
from collections.abc import Iterable
from importlib import resources
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from medseal.datasets.audit.findings import Audit, TraceRow
from medseal.datasets.audit.measure import Measured
from medseal.datasets.audit.traces import TRACES

__all__ = ["as_page", "as_text"]

_MAX_PAIRS = 8
_MAX_FLAWED = 8
_MAX_MEANS = 12
_ENLARGED = 2
_PLACES = 2


def as_text(audit: Audit) -> str:
    """Return findings and figures as plain text, findings last, where a terminal shows them."""
    lines = [
        f"{audit.data_set}: {audit.images} images, {audit.groups} groups; split {audit.split}: "
        + ", ".join(f"{part} {count}" for part, count in sorted(audit.counts.items())),
        "",
        *_table(["images of", *audit.classes], _balance_rows(audit)),
        "",
        *_table(
            ["read from", "what", "balanced accuracy", "chance", "random"], _rows(audit.traces)
        ),
        "",
    ]
    if not audit.findings:
        lines.append("no finding")
    for finding in audit.findings:
        lines.append(f"{finding.level.upper()}: {finding.text}")
        if finding.next_step:
            lines.append(f"    next: {finding.next_step}")
    return "\n".join(lines)


def _balance_rows(audit: Audit) -> list[list[str]]:
    return [[name, *map(str, counts.values())] for name, counts in audit.balance.items()]


def _rows(traces: Iterable[TraceRow]) -> list[list[str]]:
    rows = []
    for row in traces:
        found = row.result
        if found is None:
            rows.append([row.trace, row.target, "nothing to read", "", ""])
            continue
        numbers = (found.balanced_accuracy, found.low, found.high)
        estimate, low, high = (f"{number:.{_PLACES}f}" for number in numbers)
        chances = [f"{number:.{_PLACES}f}" for number in (found.chance, found.random_labels)]
        rows.append([row.trace, row.target, f"{estimate} [{low}, {high}]", *chances])
    return rows


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]


def as_page(audit: Audit, measured: Measured) -> str:
    """Return the audit as HTML with pictures of copies, flaws and the mean of each class.

    Notes
    -----
    The page holds small pictures of the images: it is as confidential as they are.
    """
    template = resources.files("medseal.datasets.audit").joinpath("page.html").read_text("utf-8")
    # Everything is escaped: names of files, classes and sources come from outside.
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    place = {record.path: index for index, record in enumerate(measured.records)}
    pairs = [
        (pair, [_png(measured.pictures[place[path]]) for path in (pair.first, pair.second)])
        for pair in sorted(audit.copies, key=lambda pair: pair.same_part)[:_MAX_PAIRS]
    ]
    return environment.from_string(template).render(
        audit=audit,
        bars=[_bar(row) for row in audit.traces if row.result is not None],
        looks_at=dict(TRACES),
        pairs=pairs,
        means=_means(audit, measured),
        flawed=_flawed(measured),
    )


def _bar(row: TraceRow) -> dict[str, Any]:
    """Return a bar from 0 to 100 per cent with its interval and chance."""
    if row.result is None:
        raise ValueError("a row without a result has no bar")
    found = row.result
    return {
        "trace": row.trace,
        "target": row.target,
        "value": 100 * found.balanced_accuracy,
        "low": 100 * found.low,
        "high": 100 * found.high,
        "chance": 100 * found.chance,
        "random": 100 * found.random_labels,
        "is_above": found.is_above_chance,
    }


def _means(audit: Audit, measured: Measured) -> list[tuple[str, str]]:
    """Return the mean picture of each class in each source: what differs beside the finding."""
    keys = [(record.label, record.source) for record in measured.records]
    found = []
    for label in audit.classes:
        for source in sorted({source for name, source in keys if name == label}):
            chosen = [index for index, key in enumerate(keys) if key == (label, source)]
            mean = measured.pictures[chosen].mean(axis=0).astype(np.uint8)
            found.append((f"{label}, {source}: {len(chosen)} images", _png(mean)))
    return found[:_MAX_MEANS]


def _flawed(measured: Measured) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for record, flaws, picture in zip(
        measured.records, measured.flaws, measured.pictures, strict=True
    ):
        if flaws and len(found) < _MAX_FLAWED:
            found.append((f"{record.path}: {', '.join(flaws)}", _png(picture)))
    return found


def _png(picture: NDArray[np.uint8]) -> str:
    """Return a picture as a data URL, enlarged without smoothing."""
    large = picture.repeat(_ENLARGED, axis=0).repeat(_ENLARGED, axis=1)
    done, data = cv2.imencode(".png", cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError("a thumbnail could not be written as PNG")
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()
