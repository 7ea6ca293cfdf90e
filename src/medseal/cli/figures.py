"""Figures of a model as lines for a person: the estimate and its interval."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["evaluation_lines", "figure_lines"]

_TABLES = ("sources", "collections", "details", "per_class")
_NESTED = ("inside", "by_group", "external_without_near_duplicates")
_TITLES = {
    "external": "sources that the model was not trained on",
    "inside": "sources that the model was trained on",
    "by_group": "one decision a group",
    "external_without_near_duplicates": "other sources without near-duplicates of training images",
}
_ANSWERS = {True: "yes", False: "no", None: "not known"}
_IN_TABLE = ("accuracy", "balanced_accuracy", "auroc")


def evaluation_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of what `medseal.classification.evaluate` returns, the headline first.

    The headline is the balanced accuracy on other sources, where there are some.
    """
    yield f"{result['model_id']} on {result['data_set']}, part {result['split']}"
    yield from _headline(result, result["headline"])
    if "inside" in result:
        yield from _headline(result["inside"], "inside")
    yield f"  held out: {_ANSWERS[result['held_out']]}; {result['held_out_because']}"
    yield f"{_TITLES[result['headline']]}:"
    plain = ("images", "groups", "classes", "confusion_matrix", "figures")
    abstention = ("abstained", "coverage", "accuracy_if_not_abstained")
    yield from figure_lines({name: result[name] for name in (*plain, *abstention)})
    for name in _NESTED:
        if name in result:
            yield f"{_TITLES[name]}:"
            yield from figure_lines(result[name])
    for name in _TABLES:
        if name in result:
            yield f"{name.replace('_', ' ')}:"
            yield from _table(result[name])
    if "robustness" in result:
        yield from _robustness(result["robustness"])


def _robustness(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"balanced accuracy of {found['images']} images made worse, severity 0 to 5; answered:"
    for name, rows in found["corruptions"].items():
        for key in ("balanced_accuracy", "coverage"):
            title = name if key == "balanced_accuracy" else ""
            yield f"  {title:14} {' '.join(_number(row[key]) for row in rows)}"
    yield "the same images at simulated other sites: balanced accuracy; answered:"
    for name, row in found["sites"].items():
        yield f"  {name:14} {_number(row['balanced_accuracy'])} {_number(row['coverage'])}"


def _headline(part: Mapping[str, Any], name: str) -> Iterator[str]:
    figure = _interval(part["figures"]["balanced_accuracy"])
    yield f"  balanced accuracy {figure} on {_TITLES[name]} ({part['images']} images)"


def _table(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, row in rows.items():
        if "figures" in row:
            figures = row["figures"]
            defined = [key for key in _IN_TABLE if None not in figures[key].values()]
            texts = [f"{key} {_interval(figures[key])}" for key in defined]
            other = ", other source" if row.get("external") else ""
            yield f"  {name} ({row['images']} images{other}): {'; '.join(texts)}"
        else:
            texts = [f"{key} {_number(value)}" for key, value in row.items()]
            yield f"  {name}: {'; '.join(texts)}"


def figure_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line a figure of what `medseal.classification.outcome.score` returns."""
    for name, value in result.items():
        if name == "figures":
            for figure, parts in value.items():
                yield f"  {figure:30} {_interval(parts)}"
        elif isinstance(value, Mapping):
            yield f"  {name}:"
            yield from (f"  {line}" for line in _table(value))
        elif isinstance(value, float):
            yield f"  {name:30} {_number(value)}"
        else:
            yield f"  {name:30} {value}"


def _number(value: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:.0f}" if value > 1 else f"{value:.3f}"


def _interval(parts: Mapping[str, float | None]) -> str:
    estimate, low, high = parts["estimate"], parts["low"], parts["high"]
    if estimate is None or low is None or high is None:
        return "not defined on these images"
    return f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
