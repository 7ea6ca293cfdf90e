"""Scores of calibration patients to fix thresholds by: benign quantiles, edits above them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.tamper_handling import EXACT_GROUPS

__all__ = ["calibration"]

_QUANTILES = (0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)

Row = Mapping[str, Any]


def _scores(rows: Sequence[Row], method: str) -> Any:
    return np.array([row["methods"][method]["score"] for row in rows], np.float64)


def _grouped(rows: Sequence[Row], name: str, method: str) -> dict[str, dict[str, float]]:
    by: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by[row[name]].append(row)
    return {
        value: {
            "trials": len(here),
            "p99": float(np.quantile(_scores(here, method), 0.99)),
            "max": float(_scores(here, method).max()),
            "flagged": sum(row["methods"][method]["flagged"] for row in here),
            "abstained": sum(row["methods"][method]["abstained"] for row in here),
        }
        for value, here in sorted(by.items())
    }


def calibration(rows: Sequence[Row]) -> dict[str, Any]:
    """Return for each method quantiles of benign scores and the edits above each of them.

    Parameters
    ----------
    rows
        Records of `tamper_trials.run_unit` on patients that nothing was trained on and that are
        no test patients; handling beyond what is benign is left out.
    """
    result = {}
    for method in sorted({name for row in rows for name in row["methods"]}):
        here = [
            row for row in rows if method in row["methods"] and row["group_of_handling"] != "beyond"
        ]
        benign = [row for row in here if row["kind"] == "benign"]
        lossy = [
            row
            for row in here
            if row["kind"] == "edit" and row["group_of_handling"] not in EXACT_GROUPS
        ]
        edits = _scores(lossy, method)
        quantiles = {q: float(np.quantile(_scores(benign, method), q)) for q in _QUANTILES}
        result[method] = {
            "benign_trials": len(benign),
            "processed_edits": len(lossy),
            "benign_quantiles": {str(q): value for q, value in quantiles.items()},
            "processed_edits_above": {
                str(q): float((edits > value).mean()) for q, value in quantiles.items()
            },
            "benign_by_handling": _grouped(benign, "handling", method),
            "benign_by_folder": _grouped(benign, "folder", method),
            "edits_by_family": _grouped(lossy, "family", method),
            "highest_benign": [
                {key: row[key] for key in ("image", "handling")}
                | {key: row["methods"][method][key] for key in ("score", "outcome")}
                for row in sorted(benign, key=lambda r: -r["methods"][method]["score"])[:20]
            ],
        }
    return result
