"""Tables of the classification results: claimed beside measured, one table a data set."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["page_lines"]

_PAPER = ("accuracy", "precision", "recall", "f1")
# What paper 1 calls recall is the sensitivity of the second class.
_OURS = {"recall": "sensitivity"}
_FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "auroc",
    "calibration_error",
)
_HEAD = (
    "model",
    "images",
    *(name.replace("_", " ") for name in _FIGURES),
    "the same if calibrated",
    "coverage",
)
_UNKNOWN = MappingProxyType({"estimate": None, "low": None, "high": None})


def page_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the page for what `benchmarks.classification` has written."""
    yield f"Part {result['part']}; {result['interval']}. Other sources were never trained on."
    yield ""
    for name, found in result["data_sets"].items():
        yield f"### {name}"
        yield ""
        if "not measured" in found:
            yield f"Not measured: {found['not measured']}"
            yield ""
            continue
        yield from _data_set(found)


def _data_set(found: Mapping[str, Any]) -> Iterator[str]:
    models = found["models"]
    for title, part in (("Other sources", "other_sources"), ("Inside", "inside")):
        rows = {name: row[part] for name, row in models.items() if part in row}
        if rows:
            yield from _table(title, rows)
    shifted = {
        name: row["simulated_sites"] for name, row in models.items() if "simulated_sites" in row
    }
    if shifted:
        yield from _sites(shifted)
    claimed = {name: row for name, row in models.items() if "paper_1" in row and "inside" in row}
    if claimed:
        yield from _claims(claimed)
    if found["differences"]:
        yield from _differences(found["differences"])
    if "published" in found:
        yield from _published(found["published"])
    if found["missing"]:
        yield f"Without a model: {', '.join(found['missing'])}."
        yield ""


def _published(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| published (literature) | AUROC | accuracy | source |"
    yield "|---|---|---|---|"
    for name, row in rows.items():
        yield f"| {name} | {row['auroc']} | {row['accuracy']} | {row['source']} |"
    yield ""


def _table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield f"{title}:"
    yield ""
    yield f"| {' | '.join(_HEAD)} |"
    yield f"|{'---|' * len(_HEAD)}"
    for name, row in rows.items():
        figures = [interval(row["figures"][figure]) for figure in _FIGURES]
        # Not among the figures that were measured earlier.
        expected = row.get("calibration_error_expected_if_calibrated", _UNKNOWN)
        figures.append(interval(expected))
        yield f"| {name} | {row['images']} | {' | '.join(figures)} | {row['coverage']:.3f} |"
    yield ""


def interval(parts: Mapping[str, float | None]) -> str:
    """Return estimate and interval as text; a dash where the figure is not defined."""
    if parts["estimate"] is None or parts["low"] is None or parts["high"] is None:
        return "-"
    return f"{parts['estimate']:.3f} [{parts['low']:.3f}, {parts['high']:.3f}]"


def _sites(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    names = list(next(iter(rows.values()))["sites"])
    yield "Simulated other sites, the same held-out images: balanced accuracy (share answered):"
    yield ""
    yield f"| model | images | {' | '.join(names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for model, row in rows.items():
        cells = [_site(row["sites"].get(name)) for name in names]
        yield f"| {model} | {row['images']} | {' | '.join(cells)} |"
    yield ""


def _site(row: Mapping[str, Any] | None) -> str:
    if row is None or row["balanced_accuracy"] is None:
        return "-"
    return f"{row['balanced_accuracy']:.2f} ({row['coverage']:.2f})"


def _claims(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "Paper 1, on its own images, and measured here on these (inside):"
    yield ""
    yield f"| model | {' | '.join(f'{n}: claimed, measured' for n in _PAPER)} | training, hours |"
    yield f"|---|{'---|' * (len(_PAPER) + 1)}"
    for name, row in rows.items():
        cells = []
        for figure in _PAPER:
            claim = row["paper_1"].get(figure)
            found = interval(row["inside"]["figures"][_OURS.get(figure, figure)])
            cells.append(f"{'-' if claim is None else claim}, {found}")
        hours = row["paper_1"].get("training_hours_on_a_gpu")
        took = f"{'-' if hours is None else f'{hours} on a GPU'}, {row['training_hours']}"
        yield f"| {name} | {' | '.join(cells)} | {took} |"
    yield ""


def _differences(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| paired difference | accuracy | balanced accuracy | AUROC | exact McNemar, p |"
    yield "|---|---|---|---|---|"
    for name, row in found.items():
        cells = [interval(row[key]) for key in ("accuracy", "balanced_accuracy", "auroc")]
        yield f"| {name} | {' | '.join(cells)} | {row['mcnemar']['p_value']:.3g} |"
    yield ""
