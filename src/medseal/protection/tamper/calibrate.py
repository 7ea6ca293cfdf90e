"""Fix fusion, threshold and narrowing of the comparison on patients kept for nothing else."""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from medseal import weights
from medseal.datasets.material import Material, training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import MedicalImage, read
from medseal.protection.attacks.edit_draws import random_edit
from medseal.protection.attacks.handling import HANDLING, LOSSY_CHAINS, Handling
from medseal.protection.attacks.levels import change_levels, levels_of
from medseal.protection.tamper.canonical import CanonicalGrid
from medseal.protection.tamper.narrowing import TENSORS
from medseal.protection.tamper.narrowing_fit import Examples, fitted
from medseal.protection.tamper.processed import Finding, frame_finding
from medseal.protection.tamper.reference.alignment import Unreadable
from medseal.protection.tamper.reference.fusion import FUSION, Fusion
from medseal.protection.tamper.reference.images import is_calibration
from medseal.protection.tamper.reference.inference import (
    CALIBRATION,
    Networks,
    compiled,
    load_folder,
)
from medseal.protection.tamper.reference.record import enrol, frame_records, readout
from medseal.protection.tamper.reference.whole import part_of
from medseal.weights import Card

__all__ = ["calibrate"]

# So many of a hundred untouched copies may be called forged: room below the 0.5 % that
# must hold for patients never seen.
_FALSE_ALARM_PERCENT = 0.3
_BENIGN_TRIALS, _FORGED_TRIALS, _PROVEN_TRIALS = 16, 10, 20
_KINDS = 2
_FOLDS, _STRENGTH = 6, 0.3
_KEY = bytes(32)
_PLACE_THRESHOLDS = np.linspace(0.1, 0.9, 17)
_LOGGER = logging.getLogger("medseal.train")

Flags = NDArray[np.bool_]


@dataclass(slots=True)
class _Trials:
    """What was seen."""

    clues: list[NDArray[np.float64]] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    overlaps: list[NDArray[np.float64]] = field(default_factory=list)
    unreadable: int = 0
    proven: Examples = field(default_factory=Examples)

    def add(self, found: Finding, *, forged: bool, image: int) -> None:
        self.clues.append(found.clues)
        self.labels.append(forged)
        self.images.append(image)


def _files(data: Path, per_collection: int) -> list[Material]:
    pools: dict[Path, list[Material]] = defaultdict(list)
    for item in training_files(data):
        if is_calibration(item):
            pools[item.path.parent].append(item)
    rng = np.random.default_rng(0)
    chosen = []
    for _, items in sorted(pools.items()):
        order = rng.permutation(len(items))[:per_collection]
        chosen += [items[place] for place in order]
    return chosen


def _images(data: Path, per_collection: int) -> Iterator[MedicalImage]:
    for item in _files(data, per_collection):
        try:
            yield part_of(read(item.path), None)
        except MedsealError:
            # A file that cannot be decoded here is no image to calibrate on.
            _LOGGER.info("%s is left out: it cannot be read", item.path.name)


def _overlaps(found: Finding, mask: Flags) -> NDArray[np.float64]:
    """Return F1 of the mask at each threshold."""
    masks = found.score_map[None] >= _PLACE_THRESHOLDS[:, None, None]
    both = (masks & mask).sum(axis=(1, 2))
    return np.asarray(2 * both / np.maximum(masks.sum(axis=(1, 2)) + mask.sum(), 1), np.float64)


def _forged(image: MedicalImage, rng: np.random.Generator) -> tuple[MedicalImage, Flags]:
    levels = levels_of(image, frame=0)
    edited = random_edit(rng, levels, donor=np.ascontiguousarray(np.rot90(levels)))
    return change_levels(image, lambda _: edited.levels), edited.mask


class _Compared:
    """Compares copies of one image with its record."""

    def __init__(self, networks: Networks, image: MedicalImage) -> None:
        self._networks = networks
        self._shape = (image.rows, image.columns)
        grid = CanonicalGrid.of(1, *self._shape)
        robust = enrol(image, _KEY, networks=networks)
        if grid is None or not robust:
            raise InputError("an image without a robust part")
        self._record = frame_records(robust, frames=1, grid=grid)[0]
        self._read = readout(_KEY, 0, grid=grid, networks=networks)

    def prove(
        self,
        image: MedicalImage,
        forged: MedicalImage,
        examples: Examples,
        *,
        mask: Flags,
        rng: np.random.Generator,
    ) -> None:
        """Add the proven tiles of a forged copy to the examples."""
        record = (self._record, self._read)
        examples.add(self._networks, record, image, forged, mask=mask, rng=rng)

    def finding(self, copy: MedicalImage) -> Finding | Unreadable:
        levels = levels_of(copy, frame=0)
        return frame_finding(self._networks, levels, self._record, self._read, shape=self._shape)


def _draw(rng: np.random.Generator, handling: tuple[Handling, ...]) -> Handling:
    return handling[int(rng.integers(len(handling)))]


def _try(compared: _Compared, image: MedicalImage, number: int, seen: _Trials) -> None:
    """Handle an image honestly, and forged, several times."""
    rng = np.random.default_rng(number)
    processing = tuple(one for one in HANDLING if one.group != "lossless")
    for _ in range(_BENIGN_TRIALS):
        found = compared.finding(_draw(rng, processing).apply(image, rng))
        if isinstance(found, Finding):
            seen.add(found, forged=False, image=number)
        else:
            seen.unreadable += 1
    for _ in range(_FORGED_TRIALS):
        forged, mask = _forged(image, rng)
        copy, moved = _draw(rng, LOSSY_CHAINS).apply_with_mask(forged, mask, rng)
        found = compared.finding(copy)
        if isinstance(found, Finding):
            seen.add(found, forged=True, image=number)
            seen.overlaps.append(_overlaps(found, moved))
        else:
            seen.unreadable += 1
    for _ in range(_PROVEN_TRIALS):
        forged, mask = _forged(image, rng)
        compared.prove(image, forged, seen.proven, mask=mask, rng=rng)


def _trials(networks: Networks, data: Path, *, per_collection: int) -> _Trials:
    seen = _Trials()
    for number, image in enumerate(_images(data, per_collection)):
        try:
            _try(_Compared(networks, image), image, number, seen)
        except InputError as error:
            _LOGGER.info("an image is left out: %s", error)
        if number % 10 == 0:
            _LOGGER.info("%d images: %d copies", number + 1, len(seen.labels))
    if len(set(seen.labels)) < _KINDS:
        raise InputError(f"{data}: no images to calibrate on")
    return seen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fused:
    """A fusion, its threshold, and the share of forged copies above it, with and without it."""

    fusion: Fusion
    threshold: float
    caught: float
    caught_without: float


def _caught(scores: NDArray[np.float64], labels: Flags) -> tuple[float, float]:
    """Return the threshold of few false alarms, and the share of forged copies above it."""
    threshold = float(np.quantile(scores[~labels], 1 - _FALSE_ALARM_PERCENT / 100))
    return threshold, float((scores[labels] > threshold).mean())


def _model() -> Pipeline:
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000)
    )


def _fused(found: NDArray[np.float64], labels: Flags, images: NDArray[np.int_]) -> _Fused:
    """Fit the weights of the clues; the threshold is fixed on images that were left out.

    Where the images are too few to leave some out the surest tile decides alone.
    """
    alone = _caught(found[:, 0], labels)
    folds = min(_FOLDS, len(np.unique(images)))
    if folds < _FOLDS:
        plain = Fusion.of({}, name="")
        return _Fused(fusion=plain, threshold=alone[0], caught=alone[1], caught_without=alone[1])
    scores = np.empty(len(labels))
    for fitting, left_out in GroupKFold(folds).split(found, labels, images):
        model = _model().fit(found[fitting], labels[fitting])
        scores[left_out] = model.decision_function(found[left_out])
    threshold, caught = _caught(scores, labels)
    scaler, linear = (step for _, step in _model().fit(found, labels).steps)
    slopes = linear.coef_[0] / scaler.scale_
    fusion = Fusion(weights=slopes, constant=float(linear.intercept_[0] - scaler.mean_ @ slopes))
    return _Fused(fusion=fusion, threshold=threshold, caught=caught, caught_without=alone[1])


def calibrate(folder: Path, *, data_dir: Path, per_collection: int = 4) -> Card:
    """Fix fusion, thresholds and narrowing of a trained comparison; write it again.

    Untouched copies are handled as honest people do, forged ones handled likewise; both go through
    the whole comparison, registration included.

    Parameters
    ----------
    folder
        Of a model that `train_reference` has written.
    data_dir
        As for `datasets.material.training_files`; only groups that neither fit nor validate are
        read.
    per_collection
        Images of each folder.

    Returns
    -------
    Card
        As written, with what was fixed and on how many copies.

    Raises
    ------
    InputError
        There are no images to calibrate on.
    WeightsError
        The model is damaged.
    """
    card, tensors = weights.load_folder(folder)
    plain = {name: one for name, one in tensors.items() if not name.startswith((FUSION, TENSORS))}
    plain |= {CALIBRATION: np.array([1.0, 0.0, 0.5], np.float32)}
    seen = _trials(compiled(card, plain), data_dir, per_collection=per_collection)
    fused = _fused(np.array(seen.clues), np.array(seen.labels), np.array(seen.images))
    overlap = np.mean(seen.overlaps, axis=0)
    place = float(_PLACE_THRESHOLDS[int(overlap.argmax())])
    fixed = np.array([1.0, -fused.threshold, place], np.float32)
    metrics = dict(card.metrics) | {
        "calibration_untouched_copies": len(seen.labels) - sum(seen.labels),
        "calibration_forged_copies": sum(seen.labels),
        "calibration_unreadable": seen.unreadable,
        "calibration_false_alarm_percent": _FALSE_ALARM_PERCENT,
        "calibration_caught": round(fused.caught, 4),
        "calibration_caught_without_fusion": round(fused.caught_without, 4),
        "calibration_pixel_f1": round(float(overlap.max()), 4),
    }
    load_folder.cache_clear()
    complete = dataclasses.replace(card, metrics=metrics)
    fixed_tensors = plain | {CALIBRATION: fixed, FUSION: fused.fusion.tensor()}
    return weights.save(folder.parent, card=complete, tensors=fixed_tensors | fitted(seen.proven))
