"""Records of the tamper benchmark to the tables of methods without a record."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.tamper_methods import BLIND
from benchmarks.tamper_tables import (
    Asked,
    Row,
    about,
    by_field,
    is_benign,
    is_edited,
    measured,
    overall_of,
    reached,
)
from benchmarks.tamper_trials import SMALLEST

__all__ = ["WITHOUT", "blind_tables"]

# A method with this name was trained without the families and modalities that follow in it.
WITHOUT = "without "
_LARGE_EXTENT = 16
_LEAST_AUROC, _LEAST_AUROC_OF_FAMILY = 0.90, 0.80
_LEAST_CAUGHT, _LEAST_F1 = 0.70, 0.50
_SHOWN = ("trials", "auroc", "caught_at_5_percent", "edits_caught", "f1", "abstained")


def _line(found: Mapping[str, Any], own: str, least: float) -> dict[str, Any]:
    """Return a line as the tables with a record have them."""
    estimate = found[own]["rate"]["estimate"] if found.get(own) else None
    return {
        "least": least,
        "most": None,
        "reached": reached(estimate, least=least),
        "methods": dict(found),
    }


def _by(rows: Sequence[Row], method: str, name: str) -> dict[str, Any]:
    """Return figures by a field of the record, against the benign copies with the same field.

    Families exist for edits only: each of them stands against all benign copies.
    """
    benign = [row for row in rows if is_benign(row)]
    result = {}
    for value, here in by_field([row for row in rows if is_edited(row)], name).items():
        against = benign if name == "family" else [row for row in benign if row[name] == value]
        if against:
            figures = overall_of([*here, *against], method)
            result[value] = {key: figures[key] for key in _SHOWN}
    return result


def _held_out(method: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lines of what a method was trained without."""
    lines = {}
    for kind, words, least in (
        ("by_family", "a family never trained on", _LEAST_AUROC_OF_FAMILY),
        ("by_modality", "a modality never trained on", _LEAST_AUROC),
    ):
        for value in method.removeprefix(WITHOUT).split(", "):
            if value in table[kind]:
                row = table[kind][value]
                found = {method: {"trials": row["trials"], "rate": row["auroc"]}}
                lines[f"AUROC, {words}: {value}"] = _line(found, method, least)
    return lines


def blind_tables(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """Return the tables of methods without a record, the product's own first.

    One stored value by one level is left out: without a record nothing can see it. Handling beyond
    what is benign is left out too.
    """
    rows = [
        row for row in rows if row["group_of_handling"] != "beyond" and row["family"] != SMALLEST
    ]
    present = [name for name in names if any(name in row["methods"] for row in rows)]
    if not present:
        return {}
    overall = {name: overall_of(rows, name) for name in present}
    large = Asked(
        text="pixel F1",
        chosen=lambda row: is_edited(row) and row["extent"] >= _LARGE_EXTENT,
        figure="f1",
    )
    trials = {name: row["trials"] for name, row in overall.items()}
    own = present[0]
    asked = {
        text: _line(
            {name: {"trials": trials[name], "rate": overall[name][key]} for name in present},
            own,
            least,
        )
        for text, key, least in (
            ("AUROC, unseen patients", "auroc", _LEAST_AUROC),
            ("caught at 5 % false alarms", "caught_at_5_percent", _LEAST_CAUGHT),
        )
    }
    f1 = {name: measured(rows, name, large) for name in present}
    asked["pixel F1, edits of 16 px and more"] = _line(f1, own, _LEAST_F1)
    by_method = {}
    for name in present:
        if name != BLIND and not name.startswith(WITHOUT):
            continue
        by_method[name] = {
            f"by_{field}": _by(rows, name, field) for field in ("family", "modality", "processing")
        }
        if name.startswith(WITHOUT):
            asked |= _held_out(name, by_method[name])
    return {"about": about(rows), "asked": asked, "overall": overall, "by_method": by_method}
