"""The page of an evaluation: one HTML file with its plots, tables and explained images."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from medseal.classification.charts import evaluation_charts, robustness_charts, source_bars
from medseal.classification.evaluation import Evaluation
from medseal.classification.explain import explain, overlay
from medseal.classification.robustness import sample
from medseal.classification.trust import check_map, check_maps
from medseal.datasets import Record
from medseal.errors import ConfigurationError, StorageError
from medseal.imaging import display_values

__all__ = ["ReportSettings", "render", "write_report"]

_TITLES = {
    "external": "on other sources",
    "inside": "on sources of training",
    "by_group": "one decision a group",
}
_ANSWERS = {True: ("yes", "good"), False: ("no", "bad"), None: ("not known", "")}
_SIDE = 160
_QUALITY = 78
_SEED = 1
_BINARY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """How much the page measures.

    Attributes
    ----------
    explained_images
        Images whose heat maps are tested together; 0 leaves that part out.
    pictures
        Surest right, and surest wrong, images that are shown.

    Raises
    ------
    ConfigurationError
        A number is negative.
    """

    explained_images: int = 16
    pictures: int = 4

    def __post_init__(self) -> None:
        if min(self.explained_images, self.pictures) < 0:
            raise ConfigurationError("the page cannot measure fewer than no images")


def write_report(
    evaluation: Evaluation, result: Mapping[str, Any], path: Path, *, settings: ReportSettings
) -> None:
    """Write `render` to a file.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    page = render(evaluation, result, settings=settings)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written; name another file") from error


def render(evaluation: Evaluation, result: Mapping[str, Any], *, settings: ReportSettings) -> str:
    """Return the page.

    Parameters
    ----------
    evaluation
        Model, images and answers; the images are read again.
    result
        What `medseal.classification.evaluation.summary` says of it; under ``robustness``, if that
        was measured, what `medseal.classification.robustness.robustness` says.
    settings
        How much is measured for the page.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    card = evaluation.classifier.card
    answer, held_class = _ANSWERS[result["held_out"]]
    template = resources.files("medseal.classification").joinpath("report.html").read_text("utf-8")
    # Everything is escaped here but the plots, which escape what they show themselves.
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    charts, matrices = evaluation_charts(evaluation, result)
    return environment.from_string(template).render(
        result={"near_duplicates_of_training": None, **result},
        made=datetime.now(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00"),
        held_answer=answer,
        held_class=held_class,
        heads=list(_heads(result)),
        has_external=result["headline"] == "external",
        positive=_positive(card.classes),
        figures=_figures(result),
        bars=source_bars(result),
        charts=charts,
        matrices=matrices,
        robust=_robust(result),
        maps=_maps(evaluation, settings),
        tables=list(_tables(result)),
        card=card,
        sources=", ".join(sorted(evaluation.known.sources)),
    )


def _positive(classes: Sequence[str]) -> str:
    """Return whose sensitivity the figures state."""
    of_two = len(classes) == _BINARY
    return classes[1].replace("_", " ") if of_two else "each class against the rest, in the mean"


def _parts(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the headline, then what else has figures."""
    yield result["headline"], result
    for name in ("inside", "by_group"):
        if name in result:
            yield name, result[name]


def _heads(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, part in _parts(result):
        if name != "by_group":
            figure = part["figures"]["balanced_accuracy"]
            yield {
                "title": _TITLES[name],
                "figure": _number(figure["estimate"]),
                "interval": f"{_number(figure['low'])} to {_number(figure['high'])}",
                "images": part["images"],
                "groups": part["groups"],
            }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(parts: Mapping[str, float | None] | None) -> str:
    if parts is None or None in parts.values():
        return "-"
    return f"{_number(parts['estimate'])} [{_number(parts['low'])}, {_number(parts['high'])}]"


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    parts = list(_parts(result))
    rows = [
        {
            "name": name.replace("_", " "),
            "cells": [_interval(part["figures"].get(name)) for _, part in parts],
        }
        for name in result["figures"]
    ]
    for name in ("coverage", "accuracy_if_not_abstained"):
        title = "answered (not abstained)" if name == "coverage" else "accuracy of the answered"
        rows.append({"name": title, "cells": [_number(part[name]) for _, part in parts]})
    return {"titles": [_TITLES[name] for name, _ in parts], "rows": rows}


def _tables(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for title in ("sources", "collections", "details"):
        if title in result:
            rows = [
                {
                    "name": name,
                    "external": row.get("external", False),
                    "cells": [
                        row["images"],
                        row["groups"],
                        *(
                            _interval(row["figures"][figure])
                            for figure in ("accuracy", "balanced_accuracy", "auroc")
                        ),
                        _number(row["coverage"]),
                    ],
                }
                for name, row in result[title].items()
            ]
            yield {"title": title, "rows": rows}


def _robust(result: Mapping[str, Any]) -> dict[str, Any] | None:
    if "robustness" not in result:
        return None
    found = result["robustness"]
    names, charts = robustness_charts(found["corruptions"])
    figures = ("balanced_accuracy", "accuracy", "coverage", "accuracy_if_not_abstained")
    sites = [
        {"name": name.replace("-", " "), "cells": [_number(row[figure]) for figure in figures]}
        for name, row in found["sites"].items()
    ]
    return {"images": found["images"], "names": names, "charts": charts, "sites": sites}


def _maps(evaluation: Evaluation, settings: ReportSettings) -> dict[str, Any] | None:
    if not settings.explained_images:
        return None
    generator = np.random.default_rng(_SEED)
    chosen = sample(evaluation.records, count=settings.explained_images, generator=generator)
    found = check_maps(evaluation.classifier, evaluation.data, chosen, generator=generator)
    numbers = [
        f"{one.estimate:.2f} [{one.low:.2f}, {one.high:.2f}]"
        for one in (found.deletion, found.insertion)
    ]
    text = (
        f"Over {found.images} images: hiding what the map marks costs the named class {numbers[0]} "
        f"more log-odds than hiding random regions of the same area, showing it alone keeps "
        f"{numbers[1]} more; {found.trustworthy_share:.0%} of the single maps pass all tests."
    )
    if found.correlation is not None:
        text += (
            f" The map of the same network with shuffled weights correlates with it by "
            f"{found.correlation:.2f} in the mean."
        )
    pictures = [
        _picture(evaluation, int(place), generator)
        for place in _surest(evaluation, settings.pictures)
    ]
    return {"verdict": found.verdict, "text": text, "pictures": pictures}


def _surest(evaluation: Evaluation, count: int) -> Sequence[int]:
    """Return the places of the surest right, then of the surest wrong answers."""
    outcome = evaluation.outcome
    order = np.argsort(-outcome.probabilities.max(axis=1), kind="stable")
    right = (outcome.predicted == outcome.labels)[order]
    return [*_of_all_classes(order[right], outcome.labels, count), *order[~right][:count].tolist()]


def _of_all_classes(order: NDArray[np.int64], labels: NDArray[np.int64], count: int) -> list[int]:
    """Return the first places of each class in turn, so that no class fills the row."""
    queues = [order[labels[order] == number].tolist() for number in np.unique(labels)]
    found: list[int] = []
    while len(found) < count and any(queues):
        found += [queue.pop(0) for queue in queues if queue]
    return found[:count]


def _picture(evaluation: Evaluation, place: int, generator: np.random.Generator) -> dict[str, Any]:
    record: Record = evaluation.records[place]
    outcome, classifier = evaluation.outcome, evaluation.classifier
    image = evaluation.data.read(record)
    said = classifier.card.classes[outcome.predicted[place]]
    display = display_values(image)
    heat = explain(image, classifier, label=said)
    check = check_map(image, classifier, generator=generator, label=said)
    return {
        "image": _uri(display),
        "map": _uri(overlay(display, heat)),
        "said": said.replace("_", " "),
        "share": f"{outcome.probabilities[place, outcome.predicted[place]]:.2f}",
        "label": record.label.replace("_", " "),
        "right": bool(outcome.predicted[place] == outcome.labels[place]),
        "verdict": check.verdict,
        "name": record.path,
    }


def _uri(display: NDArray[np.uint8]) -> str:
    """Return a small JPEG inside an address."""
    image = Image.fromarray(display)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
