"""Records of the tamper benchmark to tables: what was asked, rivals, families, modalities."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from benchmarks.tamper_handling import EXACT_GROUPS
from benchmarks.tamper_methods import PRODUCT
from benchmarks.tamper_trials import LESION, SMALLEST, TEXTURE_FAMILIES
from medseal.metrics.detection import (
    detection_figures,
    exact_upper_bound,
    mean_by_group,
    rate_by_group,
)
from medseal.metrics.intervals import Interval

__all__ = [
    "ASKED",
    "PAPER",
    "SEED",
    "Asked",
    "Row",
    "about",
    "as_dict",
    "by_field",
    "is_benign",
    "is_edited",
    "measured",
    "overall_of",
    "reached",
    "tables",
]

RESAMPLES = 1000
SEED = 20_240_501
# Said by the paper that is compared with, without images or code to check it by.
PAPER: Mapping[str, float] = {
    "accuracy": 0.985,
    "benign_flagged": 0.02,
    "edits_missed": 0.01,
    "caught after JPEG": 0.95,
    "caught after rotation": 0.95,
    "caught after resizing": 0.95,
    "seconds": 0.3,
}
_LEAST_EXTENT, _LEAST_CONTRAST = 8, 0.2
# Beginning of the name of a handling, and a word that names it in a report.
_WORDS: Mapping[str, str] = {
    "rotation": "rotated",
    "scale": "scaled",
    "crop": "cut",
    "gamma": "grey values",
    "contrast": "grey values",
    "brightness": "grey values",
    "JPEG": "re-encoded",
    "noise": "noisy",
}

Row = Mapping[str, Any]
Chosen = Callable[[Row], bool]


def as_dict(found: Interval) -> dict[str, float]:
    """Return an interval as it is stored."""
    return {"estimate": found.estimate, "low": found.low, "high": found.high}


def is_benign(row: Row) -> bool:
    """Return whether a copy was not edited."""
    return bool(row["kind"] == "benign")


def is_edited(row: Row) -> bool:
    """Return whether a copy was edited, and perhaps handled afterwards."""
    return bool(row["kind"] == "edit")


def _exact(row: Row) -> bool:
    return row["group_of_handling"] in EXACT_GROUPS


def _lossy_edit(row: Row) -> bool:
    return is_edited(row) and not _exact(row)


def _strong(field: str) -> Chosen:
    """Return whether an edit is as large and strong as handling of a kind must leave visible."""

    def chosen(row: Row) -> bool:
        strong = row["extent"] >= _LEAST_EXTENT and row["contrast"] >= _LEAST_CONTRAST
        return _lossy_edit(row) and bool(row[field]) and bool(strong)

    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A line of what must be shown.

    Attributes
    ----------
    text
        In words.
    chosen
        The copies that it is about.
    figure
        ``flagged``, ``missed``, ``abstained``, ``f1`` or ``iou`` of these.
    least, most
        Bounds, either may be None.
    """

    text: str
    chosen: Chosen
    figure: str = "flagged"
    least: float | None = None
    most: float | None = None


def _of_family(family: str) -> Chosen:
    return lambda row: _lossy_edit(row) and row["family"] == family


def _of_size(extent: int) -> Chosen:
    return lambda row: is_edited(row) and row["extent"] >= extent


ASKED: tuple[Asked, ...] = (
    Asked(
        text="lossless transcodes, quarter turns, flips flagged",
        chosen=lambda row: is_benign(row) and _exact(row),
        most=0.0,
    ),
    Asked(
        text="unprocessed edits missed",
        chosen=lambda row: is_edited(row) and row["handling"] == "none",
        figure="missed",
        most=0.0,
    ),
    Asked(
        text="one stored value by one level, missed",
        chosen=lambda row: row["family"] == SMALLEST and row["handling"] == "none",
        figure="missed",
        most=0.0,
    ),
    Asked(text="all benign operations flagged", chosen=is_benign, most=0.005),
    Asked(
        text="edits of 8 px and 20 % of the range or more, then named processing, caught",
        chosen=_strong("named"),
        least=0.97,
    ),
    Asked(
        text="the same, then two of these in sequence, caught",
        chosen=_strong("in_sequence"),
        least=0.97,
    ),
    Asked(text="lesion of 5 px, then lossy, caught", chosen=_of_family(LESION), least=0.6),
    *(
        Asked(text=f"{family}, then lossy, caught", chosen=_of_family(family), least=least)
        for family, least in TEXTURE_FAMILIES.items()
    ),
    Asked(text="pixel F1, all edits", chosen=is_edited, figure="f1", least=0.75),
    Asked(text="pixel IoU, all edits", chosen=is_edited, figure="iou", least=0.62),
    Asked(text="pixel F1, edits of 8 px and more", chosen=_of_size(8), figure="f1", least=0.75),
    Asked(text="pixel IoU, edits of 8 px and more", chosen=_of_size(8), figure="iou", least=0.62),
    Asked(text="abstentions", chosen=lambda _: True, figure="abstained", most=0.01),
)


def _value(row: Row, method: str, figure: str) -> float:
    found = row["methods"][method]
    if figure == "missed":
        return float(not found["flagged"])
    return float(found.get(figure, 0.0))


def measured(rows: Sequence[Row], method: str, asked: Asked) -> dict[str, Any] | None:
    """Return what a method reaches in a line, None where no copy is in it."""
    here = [row for row in rows if asked.chosen(row) and method in row["methods"]]
    if not here:
        return None
    values = np.array([_value(row, method, asked.figure) for row in here])
    groups = [row["image"] for row in here]
    if asked.figure in {"f1", "iou"}:
        return {"trials": len(here), "rate": _interval(values, groups)}
    count = int(values.sum())
    found = rate_by_group(values > 0, groups, seed=SEED, resamples=RESAMPLES)
    return {
        "trials": len(here),
        "count": count,
        "rate": as_dict(found),
        "upper_95": exact_upper_bound(count, len(here)),
    }


def _interval(values: Any, groups: Sequence[str]) -> dict[str, float]:
    return as_dict(mean_by_group(values, groups, seed=SEED, resamples=RESAMPLES))


def reached(
    estimate: float | None, *, least: float | None = None, most: float | None = None
) -> bool | None:
    """Return whether a figure keeps its bounds; None where there is no figure."""
    if estimate is None:
        return None
    return (least is None or estimate >= least) and (most is None or estimate <= most)


def _line(asked: Asked, rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """Return a line for the product, whether it is reached, and the same for the rivals."""
    found = {name: measured(rows, name, asked) for name in names}
    own = found.get(PRODUCT) or found.get(names[0])
    estimate = None if own is None else own["rate"]["estimate"]
    return {
        "least": asked.least,
        "most": asked.most,
        "reached": reached(estimate, least=asked.least, most=asked.most),
        "methods": found,
    }


def _rate(rows: Sequence[Row], method: str, chosen: Chosen) -> float | None:
    here = [row for row in rows if chosen(row) and method in row["methods"]]
    return fmean(row["methods"][method]["flagged"] for row in here) if here else None


def overall_of(rows: Sequence[Row], method: str) -> dict[str, Any]:
    """Return the figures of one method over everything, as the table of rivals shows them."""
    here = [row for row in rows if method in row["methods"]]
    answers = [row["methods"][method] for row in here]
    figures = detection_figures(
        np.array([is_edited(row) for row in here]),
        np.array([answer["score"] for answer in answers], np.float64),
        np.array([answer["flagged"] for answer in answers], np.bool_),
        [row["image"] for row in here],
        seed=SEED,
        resamples=RESAMPLES,
    )
    masked = [row for row in here if is_edited(row) and "f1" in row["methods"][method]]
    return {
        "trials": len(here),
        **{name: as_dict(found) for name, found in figures.items()},
        "benign_lossless_flagged": _rate(here, method, lambda r: is_benign(r) and _exact(r)),
        "benign_lossy_flagged": _rate(here, method, lambda r: is_benign(r) and not _exact(r)),
        "unprocessed_edits_caught": _rate(here, method, lambda r: is_edited(r) and _exact(r)),
        "processed_edits_caught": _rate(here, method, _lossy_edit),
        "f1": fmean(r["methods"][method]["f1"] for r in masked) if masked else None,
        "iou": fmean(r["methods"][method]["iou"] for r in masked) if masked else None,
        "abstained": fmean(answer["abstained"] for answer in answers),
        "seconds_median": median(answer["seconds"] for answer in answers),
    }


def by_field(rows: Sequence[Row], name: str) -> dict[str, list[Row]]:
    """Return the records by a field of theirs, in order."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return dict(sorted(found.items()))


def _counted(rows: Sequence[Row], method: str) -> dict[str, Any]:
    answers = [row["methods"][method] for row in rows if method in row["methods"]]
    return {
        "trials": len(answers),
        "flagged": sum(answer["flagged"] for answer in answers),
        "abstained": sum(answer["abstained"] for answer in answers),
    }


def _family_table(rows: Sequence[Row], method: str) -> dict[str, Any]:
    """Return trials, caught and abstained by family of edit and group of processing."""
    return {
        family: {
            group: _counted(each, method) for group, each in by_field(here, "processing").items()
        }
        for family, here in by_field([row for row in rows if is_edited(row)], "family").items()
    }


def _handling_table(rows: Sequence[Row], method: str) -> dict[str, Any]:
    benign = [row for row in rows if is_benign(row)]
    return {
        handling: _counted(here, method) for handling, here in by_field(benign, "handling").items()
    }


def _operations(rows: Sequence[Row], method: str) -> dict[str, Any]:
    """Return of how many benign copies that are called processed the report names what was done."""
    found: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        answer = row["methods"].get(method, {})
        start = next((start for start in _WORDS if row["handling"].startswith(start)), None)
        if is_benign(row) and start and answer.get("outcome") == "processed":
            found[start].append(_WORDS[start] in "; ".join(answer.get("operations", ())))
    return {start: {"copies": len(each), "named": sum(each)} for start, each in found.items()}


def _modality_table(rows: Sequence[Row], method: str) -> dict[str, Any]:
    named = [{**row, "place": f"{row['modality']} ({row['folder']})"} for row in rows]
    return {
        place: {
            "images": len({row["image"] for row in here}),
            "benign": _counted([row for row in here if is_benign(row)], method),
            "unprocessed": _counted([r for r in here if is_edited(r) and _exact(r)], method),
            "processed": _counted([row for row in here if _lossy_edit(row)], method),
        }
        for place, here in by_field(named, "place").items()
    }


def _paper(rows: Sequence[Row], overall: Mapping[str, Any], method: str) -> dict[str, Any]:
    def caught(name: str) -> float | None:
        return _rate(rows, method, lambda row: _lossy_edit(row) and row["processing"] == name)

    return {
        "claimed": dict(PAPER),
        "measured": {
            "accuracy": overall["accuracy"]["estimate"],
            "benign_flagged": overall["benign_flagged"]["estimate"],
            "edits_missed": 1 - overall["edits_caught"]["estimate"],
            "caught after JPEG": caught("JPEG"),
            "caught after rotation": caught("rotation"),
            "caught after resizing": caught("resize"),
            "seconds": overall["seconds_median"],
        },
    }


def _outcomes(rows: Sequence[Row], method: str) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if method in row["methods"]:
            kind = f"{row['kind']}, {'exact' if _exact(row) else 'lossy'}"
            counted[kind][row["methods"][method]["outcome"]] += 1
    return {kind: dict(sorted(counts.items())) for kind, counts in sorted(counted.items())}


def about(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many images and copies there are."""
    return {
        "images": len({row["image"] for row in rows}),
        "benign": sum(map(is_benign, rows)),
        "unprocessed_edits": sum(is_edited(row) and _exact(row) for row in rows),
        "processed_edits": sum(map(_lossy_edit, rows)),
    }


def tables(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """Return the tables of methods that compare with a record, the product among them or not.

    Handling beyond what is benign is in none of them but its own.
    """
    beyond = [row for row in rows if row["group_of_handling"] == "beyond"]
    rows = [row for row in rows if row["group_of_handling"] != "beyond"]
    if not rows or not names:
        return {}
    present = [name for name in names if any(name in row["methods"] for row in rows)]
    overall = {name: overall_of(rows, name) for name in present}
    own = PRODUCT if PRODUCT in present else present[0]
    return {
        "about": about(rows),
        "asked": {each.text: _line(each, rows, present) for each in ASKED},
        "overall": overall,
        "paper": _paper(rows, overall[own], own),
        "record_bytes": {
            name: fmean(row["record_bytes"][name] for row in rows if name in row["record_bytes"])
            for name in present
        },
        "outcomes": _outcomes(rows, own),
        "by_family": _family_table(rows, own),
        "by_modality": _modality_table(rows, own),
        "benign_by_handling": _handling_table(rows, own),
        "operations": _operations(rows, own),
        "beyond": {
            "benign_by_handling": _handling_table(beyond, own),
            "by_family": _family_table(beyond, own),
        },
    }
