"""Images to train on, one pool for each collection, read once into memory."""

import hashlib
import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.material import Material, training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import read
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import LEAST_SIDE, brightness, resampled

__all__ = ["Collection", "Images", "is_calibration", "is_validation", "read_images"]

_MOST_SIDE = 1024
_LARGE_SIDE = 384
_EIGHT_BITS = 8
_LEAST_DEVIATION = 2.0
# One in ten groups validates, another one in ten fixes thresholds.
_PARTS, _VALIDATION, _CALIBRATION = 10, 0, 1
_LARGE_WEIGHT = 2.5
# Collections of fewer images are drawn less often for each of them.
_FEW = 120
_LOGGER = logging.getLogger("medseal.train")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collection:
    """Images of one folder.

    Attributes
    ----------
    name
        Of the folder.
    planes
        (rows, columns) each; uint8, or float16 where the levels are finer.
    weight
        How often an image of it is drawn.
    """

    name: str
    planes: tuple[NDArray[np.generic], ...]
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Collections to fit on and to validate on, no group in both.

    Attributes
    ----------
    training, validation
        By name.
    digest
        Hexadecimal SHA-256 of all of them in order.
    """

    training: tuple[Collection, ...]
    validation: tuple[Collection, ...]
    digest: str


def _part(group: str) -> int:
    return hashlib.sha256(group.encode()).digest()[1] % _PARTS


def is_calibration(item: Material) -> bool:
    """Return whether a training image is kept to fix thresholds and for nothing else."""
    return _part(item.group) == _CALIBRATION


def is_validation(item: Material) -> bool:
    """Return whether a training image is kept to validate on."""
    return _part(item.group) == _VALIDATION


def _plane(path: Path) -> NDArray[np.generic] | None:
    try:
        image = read(path)
        plane = brightness(levels_of(image, frame=image.frames // 2))
    except MedsealError:
        return None
    if min(plane.shape) < LEAST_SIDE or float(plane.std()) < _LEAST_DEVIATION:
        return None
    if max(plane.shape) > _MOST_SIDE:
        factor = _MOST_SIDE / max(plane.shape)
        plane = resampled(plane, tuple(round(side * factor) for side in plane.shape))
    whole = image.bits_stored <= _EIGHT_BITS and image.samples == 1
    return np.rint(plane).astype(np.uint8) if whole else plane.astype(np.float16)


def _collections(pools: dict[str, list[NDArray[np.generic]]]) -> tuple[Collection, ...]:
    found = []
    for name, planes in sorted(pools.items()):
        sides = np.median([max(plane.shape) for plane in planes])
        # Many images of one kind teach more than few, yet not in proportion.
        weight = np.sqrt(len(planes)) * (_LARGE_WEIGHT if sides >= _LARGE_SIDE else 1.0)
        if len(planes) < _FEW:
            weight *= len(planes) / _FEW
        found.append(Collection(name=name, planes=tuple(planes), weight=float(weight)))
    return tuple(found)


def read_images(
    data: Path, *, per_collection: int, seed: int, without_modalities: tuple[str, ...] = ()
) -> Images:
    """Read the images that the comparison may be trained on.

    Parameters
    ----------
    data
        As for `datasets.material.training_files`.
    per_collection
        Most images of one folder.
    seed
        Of the choice among them.
    without_modalities
        As the manifest names them; no image of these is read.

    Raises
    ------
    InputError
        There is nothing to train on, or nothing to validate on.
    """
    rng = np.random.default_rng(seed)
    files = [
        item
        for item in training_files(data)
        if item.modality not in without_modalities and not is_calibration(item)
    ]
    pools: dict[bool, dict[str, list[NDArray[np.generic]]]]
    pools = {held: defaultdict(list) for held in (False, True)}
    sums = hashlib.sha256()
    for index in rng.permutation(len(files)):
        item = files[index]
        held = is_validation(item)
        pool = pools[held]["/".join(item.path.parts[-3:-1])]
        if len(pool) >= (per_collection // 5 if held else per_collection):
            continue
        plane = _plane(item.path)
        if plane is not None:
            pool.append(plane)
            sums.update(plane.tobytes())
    training, validation = (
        _collections({name: planes for name, planes in pools[held].items() if planes})
        for held in (False, True)
    )
    if not training or not validation:
        raise InputError(f"{data}: no images to train on and to validate on")
    counts = [sum(len(pool.planes) for pool in part) for part in (training, validation)]
    _LOGGER.info(
        "%d images of %d collections, %d to validate on", counts[0], len(training), counts[1]
    )
    return Images(training=training, validation=validation, digest=sums.hexdigest())
