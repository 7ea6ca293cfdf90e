"""Cover images to train on: read once, then cut, turned and scaled anew for every step."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.datasets.material import training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import read
from medseal.protection.watermark.frame import FRAME_SIDE, Plane
from medseal.protection.watermark.levels import Levels

__all__ = ["LARGE_SIDE", "Sample", "Samples", "draw", "read_samples"]

LARGE_SIDE = 384
# Larger images are trained on in this size: what is done to them there is gentler.
_MOST_SIDE = 1024
_USUAL_SIDE = 640
_LEAST_SIDE = 128
_SIDES = (384, 384, 448, 512, 576)
# Of the images drawn, those that are mirrored, cut, and scaled though of usual size.
_MIRRORED_SHARE, _CUT_SHARE, _SCALED_SHARE = 0.5, 0.8, 0.3
_VALIDATION_SHARE = 10
_LEAST_DEVIATION = 2.0
_LOGGER = logging.getLogger("medseal.train")

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Brightness of the images of training and validation, no group in both.

    Attributes
    ----------
    large, small
        For training; (rows, columns) of 8 bits each.
    validation
        Large ones.
    digest
        Hexadecimal SHA-256 of all of them in order.
    """

    large: tuple[Grey, ...]
    small: tuple[Grey, ...]
    validation: tuple[Grey, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One cover image of a step.

    Attributes
    ----------
    plane
        (rows, columns), native levels.
    shape
        Of its part of the working frame.
    """

    plane: Plane
    shape: tuple[int, int]


def _grey(path: Path) -> Grey | None:
    try:
        image = read(path)
        plane = Levels.of(image).plane(image.stored_values[image.frames // 2])
    except MedsealError:
        return None
    if min(plane.shape) < _LEAST_SIDE or float(plane.std()) < _LEAST_DEVIATION:
        return None
    if max(plane.shape) > _MOST_SIDE:
        plane = _scaled(plane, _MOST_SIDE / max(plane.shape))
    return np.rint(plane).astype(np.uint8)


def _scaled(plane: Plane, factor: float) -> Plane:
    rows, columns = (max(round(side * factor), 8) for side in plane.shape)
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=method), np.float32)


def read_samples(data: Path, *, per_collection: int, seed: int) -> Samples:
    """Read the images that the watermark may be trained on.

    Parameters
    ----------
    data
        As for `material.training_files`.
    per_collection
        Most small images of one folder.
    seed
        Of the choice among them.

    Raises
    ------
    InputError
        There is no large image to train on or to validate on.
    """
    rng = np.random.default_rng(seed)
    files = training_files(data)
    taken: Counter[Path] = Counter()
    large: list[Grey] = []
    small: list[Grey] = []
    validation: list[Grey] = []
    sums = hashlib.sha256()
    for index in rng.permutation(len(files)):
        item = files[index]
        if taken[item.path.parent] >= per_collection:
            continue
        grey = _grey(item.path)
        if grey is None:
            continue
        sums.update(grey.tobytes())
        is_large = max(grey.shape) >= LARGE_SIDE
        held_back = hashlib.sha256(item.group.encode()).digest()[0] % _VALIDATION_SHARE == 0
        if is_large and held_back:
            validation.append(grey)
        elif not held_back:
            (large if is_large else small).append(grey)
            taken[item.path.parent] += not is_large
    if not large or not validation:
        raise InputError(f"{data}: no images with a long side of {LARGE_SIDE} to train on")
    _LOGGER.info(
        "%d large and %d small images, %d to validate on", len(large), len(small), len(validation)
    )
    return Samples(
        large=tuple(large),
        small=tuple(small),
        validation=tuple(validation),
        digest=sums.hexdigest(),
    )


def draw(samples: Samples, rng: np.random.Generator, *, large_share: float) -> Sample:
    """Return an image at random, turned, mirrored, cut and scaled at random.

    Four of five are cut, to as little as half of each side: the mark is the same in any part.
    """
    takes_large = not samples.small or rng.random() < large_share
    pool: Sequence[Grey] = samples.large if takes_large else samples.small
    grey = np.rot90(pool[int(rng.integers(len(pool)))], int(rng.integers(4)))
    if rng.random() < _MIRRORED_SHARE:
        grey = grey[:, ::-1]
    whole_side = max(grey.shape)
    scale = FRAME_SIDE / whole_side
    if rng.random() < _CUT_SHARE:
        rows, columns = (int(side * rng.uniform(0.5, 1)) for side in grey.shape)
        top = int(rng.integers(grey.shape[0] - rows + 1))
        left = int(rng.integers(grey.shape[1] - columns + 1))
        grey = grey[top : top + rows, left : left + columns]
    plane = np.ascontiguousarray(grey, np.float32)
    if whole_side > _USUAL_SIDE or (takes_large and rng.random() < _SCALED_SHARE):
        factor = int(rng.choice(_SIDES)) / whole_side
        plane, scale = _scaled(plane, factor), scale / factor
    first, second = (max(2 * round(side * scale / 2), 16) for side in plane.shape)
    return Sample(plane=plane, shape=(first, second))
