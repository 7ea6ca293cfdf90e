"""How far a model holds when images get worse, or come from a simulated other site."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.classification.augment.site import shift_names, shift_site
from medseal.classification.classifier import Classifier
from medseal.classification.outcome import Outcome
from medseal.datasets import Dataset, Record
from medseal.errors import ConfigurationError, InputError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.preprocess import to_grey
from medseal.metrics.classification import figures_of

__all__ = ["CORRUPTIONS", "SEVERITIES", "corrupt", "robustness", "sample", "site_rows"]

SEVERITIES = (0, 1, 2, 3, 4, 5)
Display = NDArray[np.uint8]
_COLOUR_NDIM = 3
_OF_COLOUR = "colour-cast"
# One value a severity from 1 to 5.
_CONTRAST = (0.75, 0.5, 0.35, 0.2, 0.1)  # factor on the distance from the mean
_GAMMA = (1.3, 1.7, 2.2, 3.0, 4.0)  # exponent: darker
_NOISE = (5.0, 10.0, 20.0, 35.0, 50.0)  # standard deviation, grey levels
_BLUR = (0.003, 0.006, 0.01, 0.016, 0.025)  # standard deviation, share of the larger side
_JPEG = (75, 50, 30, 15, 8)  # quality
_RESOLUTION = (0.7, 0.5, 0.35, 0.25, 0.15)  # share of the rows and columns that is left
_BORDER = (0.03, 0.06, 0.1, 0.15, 0.22)  # width of a black frame, share of each side
_CAST = (0.08, 0.16, 0.24, 0.32, 0.4)  # red up and blue down by this share


def _scaled(display: Display, values: NDArray[np.float64]) -> Display:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=display.dtype)


def _contrast(display: Display, number: int) -> Display:
    mean = display.mean(axis=(0, 1), keepdims=True)
    return _scaled(display, mean + (display - mean) * _CONTRAST[number])


def _gamma(display: Display, number: int) -> Display:
    return _scaled(display, 255 * (display / 255.0) ** _GAMMA[number])


def _noise(display: Display, number: int) -> Display:
    # The same noise for the same size: a curve shall not jitter between runs.
    drawn = np.random.default_rng(number).normal(0, _NOISE[number], display.shape)
    return _scaled(display, display + drawn)


def _blur(display: Display, number: int) -> Display:
    sigma = _BLUR[number] * max(display.shape[:2])
    return np.asarray(cv2.GaussianBlur(display, (0, 0), sigma), dtype=np.uint8)


def _jpeg(display: Display, number: int) -> Display:
    colour = display.ndim == _COLOUR_NDIM
    stored = cv2.cvtColor(display, cv2.COLOR_RGB2BGR) if colour else display
    _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, _JPEG[number]])
    found = cv2.imdecode(data, cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise InputError("the image cannot be compressed as JPEG")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB) if colour else found, dtype=np.uint8)


def _resolution(display: Display, number: int) -> Display:
    rows, columns = display.shape[:2]
    size = tuple(max(round(side * _RESOLUTION[number]), 1) for side in (columns, rows))
    small = cv2.resize(display, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def _border(display: Display, number: int) -> Display:
    down, across = (round(side * _BORDER[number]) for side in display.shape[:2])
    framed = cv2.copyMakeBorder(display, down, down, across, across, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(framed, dtype=np.uint8)


def _colour_cast(display: Display, number: int) -> Display:
    if display.ndim != _COLOUR_NDIM:
        raise InputError("a grey image has no colour to change")
    share = _CAST[number]
    return _scaled(display, display * np.array([1 + share, 1.0, 1 - share]))


CORRUPTIONS: Mapping[str, Callable[[Display, int], Display]] = MappingProxyType(
    {
        "contrast": _contrast,
        "gamma": _gamma,
        "noise": _noise,
        "blur": _blur,
        "jpeg": _jpeg,
        "resolution": _resolution,
        "border": _border,
        _OF_COLOUR: _colour_cast,
    }
)


def corrupt(display: Display, *, name: str, severity: int) -> Display:
    """Return a display image made worse.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3); not changed.
    name
        Of `CORRUPTIONS`.
    severity
        0 changes nothing, 5 is the worst.

    Returns
    -------
    ndarray
        uint8; larger only by ``border``. The same for the same image.

    Raises
    ------
    ConfigurationError
        No corruption has this name, or no such severity.
    InputError
        A grey image has no colour to change.
    """
    if name not in CORRUPTIONS or severity not in SEVERITIES:
        raise ConfigurationError(
            f"a corruption is one of {', '.join(CORRUPTIONS)}, its severity 0 to {SEVERITIES[-1]}"
        )
    return CORRUPTIONS[name](display, severity - 1) if severity else display


def sample(
    records: Sequence[Record], *, count: int, generator: np.random.Generator
) -> tuple[Record, ...]:
    """Return at most `count` records, each class as often as it has records for it.

    Parameters
    ----------
    records
        Any.
    count
        Upper limit.
    generator
        Source of the draws.
    """
    if len(records) <= count:
        return tuple(records)
    left: dict[str, list[Record]] = {}
    for place in generator.permutation(len(records)):
        left.setdefault(records[place].label, []).append(records[place])
    chosen: list[Record] = []
    while len(chosen) < count:
        for rest in left.values():
            if rest and len(chosen) < count:
                chosen.append(rest.pop())
    return tuple(sorted(chosen, key=lambda record: record.path))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shown:
    """Images as a viewer shows them, with what the model needs to know of each."""

    displays: tuple[Display, ...]
    originals: tuple[MedicalImage, ...]
    labels: NDArray[np.int64]
    groups: tuple[str, ...]


def robustness(classifier: Classifier, data: Dataset, records: Sequence[Record]) -> dict[str, Any]:
    """Return accuracy and abstention of a model on worsened images and at simulated sites.

    Parameters
    ----------
    classifier
        The model.
    data, records
        Images, held out from training; of a volume the first frame is taken.

    Returns
    -------
    dict
        ``images``; ``corruptions``: by name a list with one row a severity, 0 first; ``sites``: as
        `site_rows` gives it.

    Raises
    ------
    InputError
        No record, or an image cannot be read.
    """
    shown = _read(classifier, data, records)
    names = [name for name in CORRUPTIONS if _sees_colour(classifier) or name != _OF_COLOUR]
    sites = _sites(classifier, shown)
    corruptions = {
        name: [
            sites["none"],
            *(_row(classifier, shown, _worse(name, level)) for level in SEVERITIES[1:]),
        ]
        for name in names
    }
    return {"images": len(records), "corruptions": corruptions, "sites": sites}


def site_rows(
    classifier: Classifier, data: Dataset, records: Sequence[Record]
) -> dict[str, dict[str, Any]]:
    """Return accuracy and abstention of a model at simulated other sites.

    Parameters and errors as `robustness`.

    Returns
    -------
    dict
        By name of the site, ``none`` first, a row with ``accuracy``, ``balanced_accuracy`` (None
        if a class is missing), ``coverage`` (share that was not left to a person) and
        ``accuracy_if_not_abstained`` (None if nothing was answered).
    """
    return _sites(classifier, _read(classifier, data, records))


def _read(classifier: Classifier, data: Dataset, records: Sequence[Record]) -> _Shown:
    if not records:
        raise InputError(f"no image of {data.name} to worsen")
    images = [data.read(record) for record in records]
    displays = [display_values(image) for image in images]
    # A grey picture stored in colour must stay grey, or noise would colour it.
    colour = _sees_colour(classifier)
    classes = classifier.card.classes
    return _Shown(
        displays=tuple(shown if colour else to_grey(shown) for shown in displays),
        originals=tuple(images),
        labels=np.array([classes.index(record.label) for record in records], dtype=np.int64),
        groups=tuple(record.group for record in records),
    )


def _sees_colour(classifier: Classifier) -> bool:
    return any(model.preprocess.colour for model in classifier.members or (classifier,))


def _sites(classifier: Classifier, shown: _Shown) -> dict[str, dict[str, Any]]:
    names = shift_names(colour=_sees_colour(classifier))
    return {
        "none": _row(classifier, shown, lambda display: display),
        **{name: _row(classifier, shown, _elsewhere(name)) for name in names},
    }


def _worse(name: str, severity: int) -> Callable[[Display], Display]:
    return lambda display: corrupt(display, name=name, severity=severity)


def _elsewhere(name: str) -> Callable[[Display], Display]:
    return lambda display: shift_site(display, name=name)


def _row(
    classifier: Classifier, shown: _Shown, change: Callable[[Display], Display]
) -> dict[str, Any]:
    changed = [
        _as_image(change(display), like=original)
        for display, original in zip(shown.displays, shown.originals, strict=True)
    ]
    predictions = classifier.predict(changed)
    classes = classifier.card.classes
    outcome = Outcome(
        labels=shown.labels,
        probabilities=np.array([[p.probabilities[name] for name in classes] for p in predictions]),
        predicted=np.array([classes.index(p.label) for p in predictions], dtype=np.int64),
        abstained=np.array([p.abstained for p in predictions]),
        groups=shown.groups,
    )
    figures = figures_of(outcome.labels, outcome.probabilities, predicted=outcome.predicted)
    balanced = figures["balanced_accuracy"]
    return {
        "accuracy": figures["accuracy"],
        "balanced_accuracy": None if np.isnan(balanced) else balanced,
        **outcome.abstention(),
    }


def _as_image(display: Display, *, like: MedicalImage) -> MedicalImage:
    """Return display values as an image that shows them unchanged."""
    colour = display.ndim == _COLOUR_NDIM
    return MedicalImage(
        stored_values=display[None] if colour else display[None, :, :, None],
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
        source_format="png",
        decoder=like.decoder,
        modality=like.modality,
    )
