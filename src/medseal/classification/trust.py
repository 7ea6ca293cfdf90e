"""Can a heat map be trusted: does hiding what it marks matter, does it depend on the weights."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.classification.explain import Method, asked_class, heat_map, margins
from medseal.datasets import Dataset, Record
from medseal.errors import InputError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.preprocess import standardise
from medseal.metrics.intervals import Interval, bootstrap_by_group

__all__ = ["MapCheck", "MapsCheck", "Verdict", "check_map", "check_maps"]

# Share of the image that is hidden or kept.
AREA = 0.2
# Random regions: with 19, a map that beats all of them has p = 1/20.
RANDOM_REGIONS = 19
LARGEST_P = 0.05
# Rank correlation with the map of the same network with shuffled weights.
LARGEST_CORRELATION = 0.5
# Of the single maps: where most fail, the mean says little about the next one.
LEAST_SHARE = 0.5
_SHUFFLES = 3
_BLUR_SHARE = 1 / 8
_FIELD = 7
_RANK_SIDE = 28
# Grey levels from the border's by which content differs.
_CONTENT_LEVELS = 8

Verdict = Literal["trustworthy", "not supported"]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCheck:
    """What the tests say about one heat map; differences are in log-odds of the class.

    Attributes
    ----------
    verdict
        ``trustworthy`` only if all tests pass.
    deletion, insertion
        How much more the class loses, or keeps, when what the map marks is hidden, or kept alone,
        than with random regions of the same area in the mean.
    deletion_p, insertion_p
        Share of random regions (the map counted) that do as well.
    correlation
        Rank correlation, in absolute value, with the maps of the same network with shuffled
        weights; None for a model without a network.
    """

    verdict: Verdict
    deletion: float
    insertion: float
    deletion_p: float
    insertion_p: float
    correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapsCheck:
    """What the tests say about the heat maps of a model over many images.

    Attributes
    ----------
    verdict
        ``trustworthy`` if both differences are above 0 with their whole interval, the mean
        correlation is small, and at least half of the single maps are trustworthy.
    images
        Number of images.
    trustworthy_share
        Of single maps.
    deletion, insertion
        Mean of the differences, with the interval by group.
    correlation
        Mean; None for a model without a network.
    """

    verdict: Verdict
    images: int
    trustworthy_share: float
    deletion: Interval
    insertion: Interval
    correlation: float | None


def check_map(
    image: MedicalImage,
    classifier: Classifier,
    *,
    generator: np.random.Generator,
    frame: int = 0,
    label: str | None = None,
    method: Method | None = None,
) -> MapCheck:
    """Return whether the heat map of one frame shows what the model used.

    Of an ensemble every member's map must pass; the differences are averaged, p-values and
    correlation are the worst.

    Parameters
    ----------
    image, classifier, frame, label, method
        As for `medseal.classification.explain.explain`.
    generator
        Draws the random regions and the shuffles.

    Raises
    ------
    ModelMismatchError, InputError
        As `medseal.classification.explain.explain`.

    References
    ----------
    Petsiuk et al. 2018, arXiv 1806.07421 (deletion and insertion); Adebayo et al. 2018,
    arXiv 1810.03292 (randomised weights).
    """
    classifier.check(image)
    classes = classifier.card.classes
    if label is not None and label not in classes:
        raise InputError(f"{classifier.card.id} knows the classes {', '.join(classes)}")
    display = display_values(image, frame=frame)
    index = asked_class(display, classifier, label=label)
    models = classifier.members or (classifier,)
    checks = [
        _check_one(display, model, index=index, method=method, generator=generator)
        for model in models
    ]
    if not classifier.members:
        return checks[0]
    known = [check.correlation for check in checks if check.correlation is not None]
    supported = all(check.verdict == "trustworthy" for check in checks)
    return MapCheck(
        verdict="trustworthy" if supported else "not supported",
        deletion=float(np.average([c.deletion for c in checks], weights=classifier.shares)),
        insertion=float(np.average([c.insertion for c in checks], weights=classifier.shares)),
        deletion_p=max(check.deletion_p for check in checks),
        insertion_p=max(check.insertion_p for check in checks),
        correlation=max(known) if known else None,
    )


def _check_one(
    display: NDArray[np.uint8],
    classifier: Classifier,
    *,
    index: int,
    method: Method | None,
    generator: np.random.Generator,
) -> MapCheck:
    standard = standardise(display, config=classifier.preprocess)
    heat = heat_map(standard, classifier, index=index, method=method)
    deleted, inserted = _against_random(
        standard, classifier, heat=heat, index=index, generator=generator
    )
    correlation = None
    if classifier.network is not None:
        shuffled = [_shuffled(classifier, generator) for _ in range(_SHUFFLES)]
        maps = [heat_map(standard, other, index=index, method=method) for other in shuffled]
        correlation = float(np.mean([abs(_rank_correlation(heat, other)) for other in maps]))
    passed = heat.max() > 0 and max(deleted[1], inserted[1]) <= LARGEST_P
    independent = correlation is None or correlation < LARGEST_CORRELATION
    return MapCheck(
        verdict="trustworthy" if passed and independent else "not supported",
        deletion=deleted[0],
        deletion_p=deleted[1],
        insertion=inserted[0],
        insertion_p=inserted[1],
        correlation=correlation,
    )


def _against_random(
    standard: NDArray[np.uint8],
    classifier: Classifier,
    *,
    heat: NDArray[np.float64],
    index: int,
    generator: np.random.Generator,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return difference and p of hiding, then of keeping, what the map marks."""
    content = _content(standard)
    regions = [_top(heat), *(_random_region(content, generator) for _ in range(RANDOM_REGIONS))]
    sigma = _BLUR_SHARE * max(standard.shape[:2])
    blurred = np.asarray(cv2.GaussianBlur(standard, (0, 0), sigma), np.uint8)
    hidden = np.stack([_mixed(blurred, standard, region) for region in regions])
    kept = np.stack([_mixed(standard, blurred, region) for region in regions])
    return (
        _beaten(-margins(hidden, classifier, index=index)),
        _beaten(margins(kept, classifier, index=index)),
    )


def _mixed(
    inside: NDArray[np.uint8], outside: NDArray[np.uint8], region: Mask
) -> NDArray[np.uint8]:
    mask = region if inside.ndim == region.ndim else region[:, :, None]
    return np.where(mask, inside, outside)


def _beaten(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return first value minus mean of the others, and the share that is at least the first."""
    return float(values[0] - values[1:].mean()), float((values >= values[0]).mean())


def _top(values: NDArray[np.float64]) -> Mask:
    """Return the `AREA` of the places with the highest values."""
    region = np.zeros(values.size, dtype=np.bool_)
    region[np.argsort(-values, axis=None, kind="stable")[: round(AREA * values.size)]] = True
    return region.reshape(values.shape)


def _content(standard: NDArray[np.uint8]) -> Mask:
    """Return where an image is not its border: a random region in the void would prove nothing."""
    grey = standard if standard.ndim == 2 else standard.mean(axis=2)  # noqa: PLR2004  # (rows, columns)
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    differs = (np.abs(grey - np.median(rim)) > _CONTENT_LEVELS).astype(np.uint8)
    side = max(grey.shape[0] // 16, 1)
    content = cv2.dilate(differs, np.ones((side, side), np.uint8)) > 0
    # A region must still be able to lie in several places.
    return content if content.mean() > 2 * AREA else np.ones(grey.shape, dtype=np.bool_)


def _random_region(content: Mask, generator: np.random.Generator) -> Mask:
    """Return blobs of the same area as the map's, as smooth as a map, inside the content."""
    field = generator.random((_FIELD, _FIELD)).astype(np.float32)
    smooth = cv2.resize(field, content.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return _top(np.where(content, smooth, smooth - 10).astype(np.float64))


def _shuffled(classifier: Classifier, generator: np.random.Generator) -> Classifier:
    """Return the model with the values inside each filter and dense unit shuffled."""
    import torch  # noqa: PLC0415  # only a model with a network comes here

    from medseal.classification.fit import logits_of  # noqa: PLC0415  # needs torch

    network = copy.deepcopy(classifier.network)
    if network is None:
        raise InputError("only a network has weights to shuffle")
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                rows = parameter.reshape(len(parameter), -1)
                # Inside each filter: sum and size stay, so no layer goes silent.
                order = generator.permuted(
                    np.tile(np.arange(rows.shape[1]), (len(rows), 1)), axis=1
                )
                parameter.copy_(rows.gather(1, torch.from_numpy(order)).reshape(parameter.shape))

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(logits_of(network, images).numpy(), np.float64)

    return dataclasses.replace(classifier, network=network, logits=logits)


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return Spearman's correlation of two maps; 0 where one is constant."""
    ranks = []
    for heat in (first, second):
        small = cv2.resize(heat, (_RANK_SIDE, _RANK_SIDE), interpolation=cv2.INTER_AREA).ravel()
        _, inverse, counts = np.unique(small, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[inverse])
    if min(values.std() for values in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def check_maps(
    classifier: Classifier,
    data: Dataset,
    records: Sequence[Record],
    *,
    generator: np.random.Generator,
    method: Method | None = None,
) -> MapsCheck:
    """Return whether the heat maps of a model show what it uses, over many images.

    Parameters
    ----------
    classifier, method
        As for `check_map`; each image is asked about its most probable class.
    data, records
        The images; held out from training.
    generator
        Draws random regions, shuffles and the bootstrap.

    Raises
    ------
    InputError
        No image, or one cannot be read.
    """
    if not records:
        raise InputError("heat maps are tested on at least one image")
    found = [
        check_map(data.read(record), classifier, generator=generator, method=method)
        for record in records
    ]
    table = np.array([[check.deletion, check.insertion] for check in found])
    deletion, insertion = bootstrap_by_group(
        _means(table), [record.group for record in records], generator=generator
    )
    known = [check.correlation for check in found if check.correlation is not None]
    correlation = float(np.mean(known)) if known else None
    share = float(np.mean([check.verdict == "trustworthy" for check in found]))
    passed = min(deletion.low, insertion.low) > 0 and share >= LEAST_SHARE
    independent = correlation is None or correlation < LARGEST_CORRELATION
    return MapsCheck(
        verdict="trustworthy" if passed and independent else "not supported",
        images=len(found),
        trustworthy_share=share,
        deletion=deletion,
        insertion=insertion,
        correlation=correlation,
    )


def _means(
    table: NDArray[np.float64],
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the figures of the bootstrap: the weighted means of the columns."""

    def means(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((weights @ table) / weights.sum(axis=1, keepdims=True))

    return means
