"""Which plots a page of an evaluation shows, from its answers and figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.classification.evaluation import Evaluation
from medseal.classification.outcome import Outcome
from medseal.classification.plots import COLOURS, Bar, Series, bar_chart, line_chart, matrix_chart
from medseal.classification.robustness import SEVERITIES
from medseal.metrics.calibration import reliability, risk_coverage
from medseal.metrics.ranking import Curve, precision_recall_curve, roc_curve

__all__ = ["evaluation_charts", "robustness_charts", "source_bars"]

_ROBUST = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy_if_not_abstained": "accuracy of the answered",
    "coverage": "answered",
}
_RELIABILITY_BINS = 10
_BINARY = 2
# So few points make no line that could be seen.
_FEW_POINTS = 12

Chart = dict[str, Any]


def _chart(title: str, series: list[Series], **axes: Any) -> Chart:
    svg = line_chart(series, **axes)
    return {"title": title, "svg": svg, "names": [one.name for one in series]}


def evaluation_charts(
    evaluation: Evaluation, result: Mapping[str, Any]
) -> tuple[list[Chart], list[Chart]]:
    """Return the plots of the answers, and the confusion matrices.

    Returns
    -------
    tuple
        Charts with ``title``, ``svg`` and ``names`` of their lines; matrices with ``title`` and
        ``svg``. Other sources and those of training have a line each; of several classes, each
        class against the rest, of the headline's images.
    """
    external = evaluation.is_external
    parts = {}
    if external.any():
        parts["other sources"] = evaluation.outcome.part(external)
    if not external.all():
        parts["sources of training"] = evaluation.outcome.part(~external)
    classes = evaluation.classifier.card.classes
    ranked = _ranked(parts, classes)
    charts = [
        _chart(
            "ROC",
            [_series(name, roc_curve(labels, scores)) for name, labels, scores in ranked],
            x_label="1 - specificity",
            y_label="sensitivity",
            diagonal=True,
        ),
        _chart(
            "Precision over recall",
            [
                _series(name, precision_recall_curve(labels, scores))
                for name, labels, scores in ranked
            ],
            x_label="recall",
            y_label="precision",
        ),
        _chart(
            "Reliability",
            [_reliability(name, outcome) for name, outcome in parts.items()],
            x_label="mean probability",
            y_label="share that is right",
            diagonal=True,
        ),
        _chart(
            "Risk over coverage",
            [_risk(name, outcome) for name, outcome in parts.items()],
            x_label="share that is answered",
            y_label="share of errors",
            y_ticks=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        ),
    ]
    matrices = [
        ("other sources" if result["headline"] == "external" else "sources of training", result)
    ]
    if "inside" in result:
        matrices.append(("sources of training", result["inside"]))
    return charts, [
        {
            "title": f"Decisions, {title}",
            "svg": matrix_chart(part["confusion_matrix"], classes),
        }
        for title, part in matrices
    ]


def _ranked(
    parts: Mapping[str, Outcome], classes: tuple[str, ...]
) -> list[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
    """Return name, labels and scores of each line whose images hold both sides."""
    if len(classes) == _BINARY:
        lines = [(name, o.labels, o.probabilities[:, 1]) for name, o in parts.items()]
    else:
        first = next(iter(parts.values()))
        lines = [
            (name, (first.labels == number).astype(np.int64), first.probabilities[:, number])
            for number, name in enumerate(classes[:COLOURS])
        ]
    return [line for line in lines if 0 < line[1].sum() < len(line[1])]


def _series(name: str, curve: Curve) -> Series:
    return Series(name=name, x=curve.x, y=curve.y)


def _reliability(name: str, outcome: Outcome) -> Series:
    bins = reliability(outcome.labels, outcome.probabilities, bins=_RELIABILITY_BINS)
    return Series(
        name=name,
        x=np.array([one.confidence for one in bins]),
        y=np.array([one.accuracy for one in bins]),
        is_marked=True,
    )


def _risk(name: str, outcome: Outcome) -> Series:
    right = outcome.predicted == outcome.labels
    coverage, risk = risk_coverage(right, outcome.probabilities.max(axis=1))
    few = len(coverage) <= _FEW_POINTS
    return Series(name=name, x=coverage, y=np.minimum(risk, 0.5), is_marked=few)


def source_bars(result: Mapping[str, Any]) -> str:
    """Return the bars of sources, sub-collections and details: balanced accuracy, else accuracy."""
    bars = []
    for title in ("sources", "collections", "details"):
        for name, row in result.get(title, {}).items():
            figures = row["figures"]
            defined = None not in figures["balanced_accuracy"].values()
            parts = figures["balanced_accuracy" if defined else "accuracy"]
            colour = (
                1 if row.get("external") else {"sources": 0, "collections": 4, "details": 5}[title]
            )
            bars.append(Bar(name=name, colour=colour, **parts))
    return bar_chart(bars, title="accuracy by source, sub-collection and detail")


def robustness_charts(
    corruptions: Mapping[str, list[Mapping[str, Any]]],
) -> tuple[list[str], list[Chart]]:
    """Return the names of the lines, and one chart a corruption.

    Parameters
    ----------
    corruptions
        As `medseal.classification.robustness.robustness` gives them.
    """
    charts = []
    for name, rows in corruptions.items():
        series = [
            Series(
                name=title,
                x=np.array(SEVERITIES, dtype=np.float64),
                y=np.array([np.nan if row[key] is None else row[key] for row in rows]),
                is_marked=True,
            )
            for key, title in _ROBUST.items()
        ]
        charts.append(
            _chart(
                name.replace("-", " "),
                series,
                x_label="severity",
                y_label="share",
                x_ticks=[float(severity) for severity in SEVERITIES],
            )
        )
    return list(_ROBUST.values()), charts
