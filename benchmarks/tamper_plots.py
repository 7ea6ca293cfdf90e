"""Plots of the tamper benchmark: operating curves, caught by family, examples on a phantom."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.tamper_methods import PRODUCT, Product
from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.imaging import MedicalImage, display_values
from medseal.metrics.ranking import roc_curve
from medseal.protection.attacks import distortions, forgeries

__all__ = ["draw", "examples", "operating_curves"]

_DPI = 80
_LEAST_RATE = 1e-3
_SIDE = 320
_CURVES = 8

Row = Mapping[str, Any]
Example = tuple[str, MedicalImage, Any, Any]


def operating_curves(rows: Sequence[Row], names: Sequence[str], path: Path, title: str) -> Path:
    """Draw edits caught over false alarms, false alarms on a logarithmic scale.

    Dots are the decisions that were fixed beforehand.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.6))
    for name in names[:_CURVES]:
        here = [row for row in rows if name in row["methods"]]
        labels = np.array([row["kind"] == "edit" for row in here], np.int64)
        if labels.min(initial=1) == labels.max(initial=0):
            continue
        answers = [row["methods"][name] for row in here]
        curve = roc_curve(labels, np.array([answer["score"] for answer in answers], np.float64))
        line = axes.plot(
            np.maximum(curve.x, _LEAST_RATE),
            curve.y,
            label=name,
            linewidth=2.2 if name == PRODUCT else 1.1,
            drawstyle="steps-post",
        )
        flagged = np.array([answer["flagged"] for answer in answers])
        alarms, caught = (float(flagged[labels == label].mean()) for label in (0, 1))
        axes.plot(max(alarms, _LEAST_RATE), caught, "o", color=line[0].get_color(), markersize=5)
    axes.set_xscale("log")
    axes.set_xlim(_LEAST_RATE, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"benign copies flagged (the left edge is {_LEAST_RATE:.1%} and less)")
    axes.set_ylabel("edited copies caught")
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
    return path


def _families(table: Mapping[str, Any], path: Path) -> Path:
    """Draw a row for each family of edits, a column for each processing, the share caught."""
    families = list(table)
    columns = sorted({group for row in table.values() for group in row})
    values = np.full((len(families), len(columns)), np.nan)
    for row, family in enumerate(families):
        for column, group in enumerate(columns):
            found = table[family].get(group)
            if found and found["trials"]:
                values[row, column] = 100 * found["flagged"] / found["trials"]
    figure, axes = plt.subplots(figsize=(2.6 + 0.55 * len(columns), 1.6 + 0.3 * len(families)))
    axes.imshow(values, vmin=0, vmax=100, cmap="Greens", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > 60 else "black"  # noqa: PLR2004  readable on the shade
            axes.text(
                column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour
            )
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize=7)
    axes.set_yticks(range(len(families)), families, fontsize=7)
    axes.set_title("edits caught, %", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
    return path


def _cases() -> Iterator[Example]:
    """Yield name, original, forged copy before processing with its mask, and the processing."""
    eight = distortions.window_to_8_bit
    brain = eight(
        mr_phantom(generator=np.random.default_rng(11), rows=_SIDE, columns=_SIDE, lesion=True)
    )
    chest = eight(ct_phantom(generator=np.random.default_rng(12), rows=_SIDE, columns=_SIDE))
    nothing = np.zeros((_SIDE, _SIDE), np.bool_)
    lesion = forgeries.insert_lesion(chest, np.random.default_rng(4), radius=14, contrast=0.35)
    small = forgeries.insert_lesion(chest, np.random.default_rng(9), radius=5, contrast=0.2)
    moved = forgeries.copy_move(brain, np.random.default_rng(6), rows=44, columns=40)
    removed = forgeries.remove(brain, np.random.default_rng(8), radius=14)
    text = forgeries.burn_text(brain, "DOE J", np.random.default_rng(2))

    def jpeg(image: MedicalImage) -> MedicalImage:
        return distortions.jpeg(image, quality=70)

    def turned(image: MedicalImage) -> MedicalImage:
        return jpeg(distortions.rotate(image, degrees=4))

    def halved(image: MedicalImage) -> MedicalImage:
        return jpeg(distortions.resize(image, factor=0.6))

    yield "lesion inserted", chest, lesion, jpeg
    yield "lesion of 5 px, resized by 0.6, JPEG", chest, small, halved
    yield "copy-move, rotated, JPEG", brain, moved, turned
    yield "removal, JPEG", brain, removed, jpeg
    yield "text, JPEG", brain, text, jpeg
    yield "no edit, rotated, JPEG", brain, (brain, nothing), turned
    yield (
        "no edit, contrast",
        chest,
        (chest, nothing),
        lambda i: distortions.contrast(jpeg(i), factor=1.3),
    )
    yield "no edit, CLAHE", chest, (chest, nothing), distortions.clahe


def examples(path: Path) -> tuple[Path, dict[str, str]]:
    """Draw copies of generated phantoms with what the check marks; return the outcomes.

    Green is the changed region where nothing was moved, red what the check calls altered.
    """
    product = Product()
    cases = list(_cases())
    across = 4
    down = -(-len(cases) // across)
    figure, axes = plt.subplots(down, across, figsize=(3.1 * across, 3.4 * down), squeeze=False)
    outcomes = {}
    for place, (name, original, (forged, mask), process) in zip(axes.flat, cases, strict=False):
        copy = process(forged)
        answer = product.answer(copy, product.enrol(original))
        edited = bool(mask.any())
        verdict = {
            (True, True): "hit",
            (True, False): "miss",
            (False, True): "false alarm",
            (False, False): "passed",
        }[edited, answer.is_flagged]
        outcomes[name] = f"{verdict} ({answer.outcome}, score {answer.score:.2f})"
        place.imshow(display_values(copy), cmap="gray", vmin=0, vmax=255)
        truth = process(original.with_stored_values(_white(original, mask))) if edited else None
        if truth is not None:
            shown = display_values(truth).astype(np.float32)
            place.contour(shown, levels=[127.5], colors="lime", linewidths=0.8)
        if answer.mask is not None and answer.mask.any():
            place.contour(answer.mask, levels=[0.5], colors="red", linewidths=0.9)
        place.set_title(f"{name}\n{outcomes[name]}", fontsize=8)
    for place in axes.flat:
        place.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
    return path, outcomes


def _white(image: MedicalImage, mask: Any) -> Any:
    """Return stored values that show the mask white on black, to be processed like the copy."""
    values = np.zeros_like(image.stored_values)
    values[:, mask] = 255
    return values


def draw(
    record_rows: Sequence[Row], result: Mapping[str, Any], blind: Sequence[str], folder: Path
) -> list[Path]:
    """Draw all plots and return what was written.

    Parameters
    ----------
    record_rows
        Records of the trials.
    result
        Their tables.
    blind
        Names of the methods without a record.
    folder
        Where to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with_record = result.get("with_record", {}).get("overall", {})
    if with_record:
        order = sorted(with_record, key=lambda name: -with_record[name]["auroc"]["estimate"])
        written.append(
            operating_curves(
                record_rows, order, folder / "tamper_curves.png", "With a record: all copies"
            )
        )
        families = result["with_record"]["by_family"]
        if families:
            written.append(_families(families, folder / "tamper_families.png"))
    if result.get("blind"):
        title = "Without a record: all copies"
        written.append(
            operating_curves(record_rows, blind, folder / "tamper_blind_curves.png", title)
        )
    return written
