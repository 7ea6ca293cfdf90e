"""Plots of the watermark benchmark: exact messages by condition and method, presence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.watermark_trials import CONDITIONS

__all__ = ["draw"]

_DPI = 80
_BINS = 40


def _rates(table: Mapping[str, Any], path: Path, title: str) -> None:
    """Draw a row for each condition, a column for each method, the rate as shade and number."""
    shown = {name: row for name, row in table["methods"].items() if row.get("conditions")}
    order = sorted(
        shown, key=lambda name: -shown[name]["mean_of_conditions"]["exact_rate"]["estimate"]
    )
    names = [c.name for c in CONDITIONS if any(c.name in shown[m]["conditions"] for m in order)]
    values = np.full((len(names), len(order)), np.nan)
    for column, method in enumerate(order):
        for row, name in enumerate(names):
            found = shown[method]["conditions"].get(name)
            if found:
                values[row, column] = 100 * found["exact_rate"]["estimate"]
    figure, axes = plt.subplots(figsize=(2.6 + 0.9 * len(order), 1.8 + 0.19 * len(names)))
    axes.imshow(values, vmin=0, vmax=100, cmap="Greens", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > 60 else "black"  # noqa: PLR2004  readable on the shade
            axes.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=6, color=colour
            )
    axes.set_xticks(range(len(order)), order, rotation=40, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_title(title, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)


def _presence(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw how the presence scores of marked and unmarked images are spread, by method."""
    methods = sorted({r["method"] for r in records})
    figure, rows = plt.subplots(
        len(methods), 1, figsize=(5, 1.2 + 1.5 * len(methods)), squeeze=False
    )
    for axes, method in zip(rows[:, 0], methods, strict=True):
        here = [r for r in records if r["method"] == method]
        for field, label in (("unmarked_score", "unmarked"), ("score", "marked")):
            axes.hist([r[field] for r in here], bins=_BINS, alpha=0.6, label=label)
        axes.set_title(method, fontsize=8)
        axes.legend(fontsize=7)
    rows[-1, 0].set_xlabel("presence score, clean and distorted copies", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)


def draw(
    tables: Mapping[str, Any], records: Sequence[Mapping[str, Any]], folder: Path
) -> list[Path]:
    """Write the plots as PNG into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for size in ("large", "small"):
        if size in tables and any(r.get("conditions") for r in tables[size]["methods"].values()):
            path = folder / f"watermark_{size}.png"
            _rates(tables[size], path, f"exact messages, %, {size} images")
            written.append(path)
    scored = [r for r in records if r["kind"] == "read" and r["unmarked_score"] is not None]
    if scored:
        path = folder / "watermark_presence.png"
        _presence(scored, path)
        written.append(path)
    return written
