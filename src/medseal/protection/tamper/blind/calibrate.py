"""Fix thresholds on validation images, and state how good the detector is there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.metrics.ranking import auroc
from medseal.protection.tamper.blind.calibration import Calibration, evened
from medseal.protection.tamper.blind.handling import random_handling
from medseal.protection.tamper.blind.plane import Plane
from medseal.protection.tamper.blind.samples import FAMILIES, Picture, Pictures, Recipe, forge
from medseal.protection.tamper.blind.scan import Scan, Tile, scanned

__all__ = [
    "FALSE_ALARM_RATE",
    "LARGE_PIXELS",
    "Look",
    "Seen",
    "calibrated",
    "features_of",
    "figures",
    "trials",
]

FALSE_ALARM_RATE = 0.05
"""Of clean images: where the threshold is put."""

LARGE_PIXELS = 16
"""Extent of an edit from which its mask is measured."""

# Images above this side are cut to it: what is fixed on them is fixed for tiles.
_MOST_SIDE = 1024
# Of the distances of validation images from the training images, where the threshold is put.
_KNOWN_SHARE = 0.995
# Of the variance of the features, added to each direction that hardly varies.
_SHRINKAGE, _LEAST_VARIANCE = 5e-4, 1e-9
# Log-odds among which the threshold of the mask is chosen.
_MAP_THRESHOLDS = np.arange(-4.0, 4.01, 0.25, dtype=np.float32)
_NEWTON_STEPS, _RIDGE = 30, 1e-3

Look = Callable[[Plane], Tile]
Floats = NDArray[np.float64]
Metrics = dict[str, float | int | Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What the network said of one image, forged or not.

    Attributes
    ----------
    score, tiles, features
        As in `Scan`.
    is_forged
        The truth.
    modality, family, handling, extent_pixels
        Of the image, of the forgery (also on its clean twin), of what came after.
    shared, marked, changed
        Places in mask and truth, and in the mask, for each of `_MAP_THRESHOLDS`; places changed.
    """

    score: float
    tiles: int
    features: NDArray[np.float32]
    is_forged: bool
    modality: str
    family: str
    handling: tuple[str, ...]
    extent_pixels: int
    shared: NDArray[np.int64]
    marked: NDArray[np.int64]
    changed: int


def _counts(scan: Scan, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return places in mask and truth, and in the mask, at each threshold."""
    both = []
    for values in (scan.forged[mask], scan.forged.ravel()):
        ordered = np.sort(values)
        both.append(values.size - np.searchsorted(ordered, _MAP_THRESHOLDS))
    return both[0], both[1]


def trials(pictures: Pictures, look: Look, *, seed: int, draws: int, most: int) -> tuple[Seen, ...]:
    """Return what a network says of forged validation images and their clean twins.

    Parameters
    ----------
    pictures
        Their validation part is used.
    look
        The network.
    seed
        Of forgeries and handling, which are the same for each network.
    draws
        Forgeries of one image, each of another family; half of them are handled afterwards.
    most
        Images of one modality.
    """
    found: list[Seen] = []
    taken: dict[str, int] = {}
    for place, picture in enumerate(pictures.validation):
        taken[picture.modality] = taken.get(picture.modality, 0) + 1
        if taken[picture.modality] > most:
            continue
        rng = np.random.default_rng([seed, place])
        for draw in range(draws):
            family = FAMILIES[(place + draw * 4) % len(FAMILIES)]
            found += _trial(pictures.validation, picture, look, rng, family=family)
    return tuple(found)


def _trial(
    pool: Sequence[Picture], picture: Picture, look: Look, rng: np.random.Generator, *, family: str
) -> Iterable[Seen]:
    alike = [one for one in pool if one.modality == picture.modality]
    donor = alike[int(rng.integers(len(alike)))].plane.astype(np.float32)
    recipe = Recipe(families=(family,))
    handling = random_handling(rng, share=recipe.handled_share)
    try:
        pair = forge(
            picture.plane[:_MOST_SIDE, :_MOST_SIDE].astype(np.float32),
            donor,
            rng,
            recipe=recipe,
            handling=handling,
            whole=picture.plane.dtype == np.uint8,
        )
    except InputError:
        # Some forgeries change nothing in some images: there is nothing to find.
        return
    for is_forged, plane in ((True, pair.forged), (False, pair.clean)):
        scan = scanned(plane, look)
        mask = pair.mask if is_forged else np.zeros_like(pair.mask)
        shared, marked = _counts(scan, mask)
        yield Seen(
            score=scan.score,
            tiles=scan.tiles,
            features=scan.features,
            is_forged=is_forged,
            modality=picture.modality,
            family=family,
            handling=pair.handling,
            extent_pixels=pair.extent_pixels,
            shared=shared,
            marked=marked,
            changed=int(mask.sum()),
        )


def features_of(pictures: Pictures, look: Look, *, seed: int, most: int) -> NDArray[np.float32]:
    """Return the features of training images, half of them handled: (images, C).

    Parameters
    ----------
    pictures
        Their training part is used.
    look, seed
        As for `trials`.
    most
        Images of one modality.
    """
    rng = np.random.default_rng(seed)
    found = []
    for part in pictures.training.values():
        for picture in part[:most]:
            plane = picture.plane[:_MOST_SIDE, :_MOST_SIDE].astype(np.float32)
            handling = random_handling(rng, share=Recipe().handled_share)
            found.append(scanned(handling.apply(plane), look).features)
    return np.array(found, np.float32)


def _logistic(inputs: Floats, labels: Floats) -> Floats:
    """Return the weights of a logistic regression, (inputs + 1): Newton's method, slight ridge."""
    design = np.column_stack([inputs, np.ones(len(inputs))])
    weights = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        expected = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slopes = design.T @ (labels - expected) - _RIDGE * weights
        curvature = design.T @ (design * (expected * (1 - expected))[:, None])
        weights = weights + np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), slopes)
    return weights


def _overlaps(seen: Iterable[Seen]) -> Floats:
    """Return the pixel F1 of each forged image with a larger edit: (images, thresholds)."""
    chosen = [one for one in seen if one.is_forged and one.extent_pixels >= LARGE_PIXELS]
    rows = [2 * one.shared / np.maximum(one.marked + one.changed, 1) for one in chosen]
    return np.array(rows, np.float64).reshape(len(rows), _MAP_THRESHOLDS.size)


def _whitening(known: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    centre = known.mean(axis=0)
    covariance = np.cov((known - centre).T.astype(np.float64), bias=True)
    common = max(np.trace(covariance) / len(covariance), _LEAST_VARIANCE)
    covariance += _SHRINKAGE * common * np.eye(len(covariance))
    lower = np.linalg.cholesky(np.linalg.inv(covariance))
    return centre.astype(np.float32), lower.astype(np.float32)


def calibrated(seen: Sequence[Seen], known: NDArray[np.float32]) -> Calibration:
    """Return all that is fixed on validation images.

    Parameters
    ----------
    seen
        From `trials`.
    known
        (images, C) features of training images.
    """
    scores, labels = _scores(seen), _labels(seen)
    tiles = np.log2([one.tiles for one in seen])
    slope, tiles_slope, offset = _logistic(np.column_stack([scores, tiles]), labels)
    if tiles_slope > 0:
        # More tiles are no reason to suspect an image.
        (slope, offset), tiles_slope = _logistic(scores[:, None], labels), 0.0
    odds = slope * scores + tiles_slope * tiles + offset
    probabilities = 1 / (1 + np.exp(-odds))
    clean = probabilities[labels == 0]
    threshold = float(np.quantile(clean, 1 - FALSE_ALARM_RATE, method="higher"))
    centre, whitening = _whitening(evened(known))
    calibration = Calibration(
        slope=float(slope),
        tiles_slope=float(tiles_slope),
        offset=float(offset),
        threshold=threshold,
        false_alarm_rate=float(np.mean(clean >= threshold)),
        map_threshold=float(_MAP_THRESHOLDS[np.argmax(_overlaps(seen).mean(axis=0))]),
        most_distance=0.0,
        centre=centre,
        whitening=whitening,
    )
    away = [calibration.distance(one.features) for one in seen]
    return replace(calibration, most_distance=float(np.quantile(away, _KNOWN_SHARE)))


def _scores(seen: Iterable[Seen]) -> Floats:
    return np.array([one.score for one in seen], np.float64)


def _labels(seen: Iterable[Seen]) -> Floats:
    return np.array([one.is_forged for one in seen], np.float64)


def _ranked(seen: Sequence[Seen]) -> float:
    return auroc(_labels(seen).astype(int), _scores(seen))


def _parts(seen: Iterable[Seen], kind: Callable[[Seen], str]) -> Mapping[str, list[Seen]]:
    parts: dict[str, list[Seen]] = {}
    for one in seen:
        parts.setdefault(kind(one), []).append(one)
    return {name: parts[name] for name in sorted(parts)}


def _handled(one: Seen) -> str:
    return "none" if not one.handling else one.handling[0] if len(one.handling) == 1 else "several"


def figures(seen: Sequence[Seen], calibration: Calibration) -> Metrics:
    """Return how good the detector is on validation images, also by family, modality, handling."""
    flagged = (
        np.array([calibration.probability(one.score, tiles=one.tiles) for one in seen])
        >= calibration.threshold
    )
    labels = _labels(seen) == 1
    place = int(np.argmin(np.abs(_MAP_THRESHOLDS - calibration.map_threshold)))
    away = np.array([calibration.distance(one.features) for one in seen])
    result: Metrics = {
        "images": len(seen),
        "auroc": _ranked(seen),
        "caught": float(flagged[labels].mean()),
        "false_alarms": float(flagged[~labels].mean()),
        "pixel_f1": float(_overlaps(seen)[:, place].mean()),
        "abstained": float(np.mean(away > calibration.most_distance)),
    }
    kinds: dict[str, Callable[[Seen], str]] = {
        "auroc_by_family": lambda one: one.family,
        "auroc_by_modality": lambda one: one.modality.strip(),
        "auroc_by_handling": _handled,
    }
    for name, kind in kinds.items():
        result[name] = {part: _ranked(some) for part, some in _parts(seen, kind).items()}
    large = {
        name: _overlaps(some)[:, place] for name, some in _parts(seen, lambda o: o.family).items()
    }
    result["pixel_f1_by_family"] = {
        name: float(some.mean()) for name, some in large.items() if some.size
    }
    return result
