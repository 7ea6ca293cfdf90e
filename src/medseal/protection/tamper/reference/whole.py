"""Pairs of whole images to train on: forged and handled in fact, and brought back in fact.

What registration and the fit of grey values leave over is what they leave over in use; nothing is
imitated. It takes more time a pair than `samples`, so that training begins there.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.material import training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import MedicalImage, read
from medseal.imaging.image import frozen
from medseal.protection.attacks.edit_draws import random_edit
from medseal.protection.attacks.families import FAMILIES
from medseal.protection.attacks.handling import HANDLING, LOSSY_CHAINS, Handling
from medseal.protection.attacks.levels import Levels, change_levels, levels_of
from medseal.protection.tamper.canonical import (
    TILE,
    CanonicalGrid,
    Plane,
    brightness,
    resampled,
)
from medseal.protection.tamper.reference.alignment import Aligned, align
from medseal.protection.tamper.reference.config import FitConfig
from medseal.protection.tamper.reference.images import is_calibration, is_validation
from medseal.protection.tamper.reference.picture import CoarsePicture
from medseal.protection.tamper.reference.samples import LEAST_ENERGY, Sample

__all__ = ["SIDE", "Folder", "WholeImages", "draw_whole", "part_of", "whole_images"]

SIDE = 512
"""Rows and columns of the canonical plane that a sample shows: most images have about as many."""

_COPIES = 2
_LEAST_DEVIATION = 2.0
_LEAST_SIDE = 96
# Forgeries of a copy that is forged, and how often.
_EDITS = (1, 2, 3)
_EDIT_SHARES = (0.5, 0.3, 0.2)
_CHAIN_SHARE = 0.45
_PROCESSING = tuple(one for one in HANDLING if one.group != "lossless")
# What is most like a forgery is drawn this many times as often as the rest.
_HARD = {"CLAHE, mild": 3.0, "contrast stretch": 3.0, "median 3 x 3": 3.0}
_WEIGHTS = np.array([_HARD.get(one.name, 1.0) for one in _PROCESSING])
# Many images of one kind teach more than few, yet far from in proportion.
_CROWDING = 0.25

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Files of one collection.

    Attributes
    ----------
    files
        Where they lie.
    weight
        How often one of them is drawn.
    """

    files: tuple[Path, ...]
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeImages:
    """Files to fit on and to validate on, no group in both.

    Attributes
    ----------
    training, validation
        By folder.
    digest
        Hexadecimal SHA-256 of all of them in order.
    """

    training: tuple[Folder, ...]
    validation: tuple[Folder, ...]
    digest: str


def whole_images(data: Path, *, without_modalities: tuple[str, ...] = ()) -> WholeImages:
    """Return the files that the comparison may be trained on; none is read yet.

    Parameters
    ----------
    data
        As for `datasets.material.training_files`.
    without_modalities
        As the manifest names them; left out.

    Raises
    ------
    InputError
        There is nothing to train on, or nothing to validate on.
    """
    pools: dict[bool, dict[Path, list[Path]]]
    pools = {held: defaultdict(list) for held in (False, True)}
    sums = hashlib.sha256()
    for item in training_files(data):
        if item.modality in without_modalities or is_calibration(item):
            continue
        pools[is_validation(item)][item.path.parent].append(item.path)
        sums.update(item.path.read_bytes())
    if not all(pools.values()):
        raise InputError(f"{data}: no images to train on and to validate on")
    training, validation = (
        tuple(
            Folder(files=tuple(files), weight=float(len(files) ** _CROWDING))
            for _, files in sorted(pools[held].items())
        )
        for held in (False, True)
    )
    return WholeImages(training=training, validation=validation, digest=sums.hexdigest())


def part_of(image: MedicalImage, rng: np.random.Generator | None) -> MedicalImage:
    """Return a part of one frame, at most 512 x 512: drawn, or the middle if `rng` is None."""
    rows, columns = min(image.rows, SIDE), min(image.columns, SIDE)
    spare = (image.frames - 1, image.rows - rows, image.columns - columns)
    if rng is None:
        frame, top, left = image.frames // 2, spare[1] // 2, spare[2] // 2
    else:
        frame, top, left = (int(rng.integers(one + 1)) for one in spare)
    part = image.stored_values[frame : frame + 1, top : top + rows, left : left + columns]
    return image.with_stored_values(frozen(part.copy()))


def _file(rng: np.random.Generator, folders: Sequence[Folder]) -> Path:
    weights = np.array([folder.weight for folder in folders])
    folder = folders[int(rng.choice(len(folders), p=weights / weights.sum()))]
    return folder.files[int(rng.integers(len(folder.files)))]


def _image(rng: np.random.Generator, folders: Sequence[Folder]) -> MedicalImage:
    """Return part of an image with content; files that cannot be read here are passed over."""
    while True:
        try:
            image = part_of(read(_file(rng, folders)), rng)
            if image.photometric_interpretation.startswith("PALETTE"):
                continue
            plane = brightness(levels_of(image, frame=0))
        except MedsealError:
            continue
        if min(plane.shape) >= _LEAST_SIDE and float(plane.std()) >= _LEAST_DEVIATION:
            return image


def _handling(rng: np.random.Generator) -> Handling:
    """Return a step, or steps; drawn alike for forged copies and others."""
    if rng.random() < _CHAIN_SHARE:
        return LOSSY_CHAINS[int(rng.integers(len(LOSSY_CHAINS)))]
    return _PROCESSING[int(rng.choice(len(_PROCESSING), p=_WEIGHTS / _WEIGHTS.sum()))]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Forged:
    image: MedicalImage
    mask: Flags
    family: str


def _forged(
    rng: np.random.Generator, image: MedicalImage, donor: Levels, config: FitConfig
) -> _Forged:
    families = tuple(name for name in FAMILIES if name not in config.without_families)
    levels = levels_of(image, frame=0)
    mask, made = np.zeros(levels.shape[:2], np.bool_), []
    if donor.ndim != levels.ndim:
        donor = np.ascontiguousarray(np.rot90(levels))
    for _ in range(int(rng.choice(_EDITS, p=_EDIT_SHARES))):
        edited = random_edit(rng, levels, donor=donor, families=families)
        levels, mask = edited.levels, mask | edited.mask
        made.append(edited.family)
    return _Forged(image=change_levels(image, lambda _: levels), mask=mask, family=" + ".join(made))


def _fitted(plane: Plane, size: tuple[int, int], fill: float) -> Plane:
    """Return the first rows and columns of a plane, filled up to a size."""
    kept = plane[: size[0], : size[1]]
    wide = np.full(size, fill, np.float32)
    wide[: kept.shape[0], : kept.shape[1]] = kept
    return wide


def _shares(places: NDArray[np.generic], size: int) -> Plane:
    down, across = places.shape[0] // size, places.shape[1] // size
    blocks = places.astype(np.float32).reshape(down, size, across, size)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _sample(
    record: Plane, picture: CoarsePicture, laid: Aligned, mask: Plane, *, family: str, counts: bool
) -> Sample:
    """Return a pair at the size of all samples: cut, or filled up with what is outside."""
    outside = _shares(laid.unknown, TILE)
    shown = np.where(laid.unknown, 0, mask)
    tiles, halves, places = ((SIDE // size,) * 2 for size in (TILE, 2, 1))
    middle = float(record.mean())
    lower, upper = (_fitted(one, tiles, middle) for one in picture.bounds)
    kept = _fitted(_shares(shown, 2), halves, 0)
    return Sample(
        record=_fitted(record, places, middle),
        copy=_fitted(laid.copy, places, middle),
        mask=kept,
        clipped=_fitted(_shares(laid.clipped, TILE), tiles, 0),
        outside=_fitted(outside, tiles, 1),
        bounds=(lower, upper),
        family=family if kept.any() else "",
        counts=counts,
    )


def _pair(
    rng: np.random.Generator,
    image: MedicalImage,
    record: Plane,
    picture: CoarsePicture,
    donor: Levels,
    config: FitConfig,
) -> Sample | None:
    """Return one pair of an image; None if the copy cannot be laid on the record."""
    shape = (image.rows, image.columns)
    copy, family, mask, counts = image, "", np.zeros(record.shape, np.float32), True
    if rng.random() < config.edited_share:
        forged = _forged(rng, image, donor, config)
        copy, family = forged.image, forged.family
        mask = resampled(forged.mask.astype(np.float32), (record.shape[0], record.shape[1]))
        change = brightness(levels_of(copy, frame=0)) - brightness(levels_of(image, frame=0))
        counts = float(np.square(change).sum()) * record.size / change.size >= LEAST_ENERGY
    copy = _handling(rng).apply(copy, rng)
    laid = align(levels_of(copy, frame=0), picture, shape=shape)
    if not isinstance(laid, Aligned):
        return None
    return _sample(record, picture, laid, mask, family=family, counts=counts)


def draw_whole(
    folders: Sequence[Folder], config: FitConfig, rng: np.random.Generator, count: int
) -> list[Sample]:
    """Return pairs of whole images at random, two of each image.

    Parameters
    ----------
    folders
        Of `WholeImages`.
    config
        Shares and families.
    rng
        Source of all that is random.
    count
        Of pairs.
    """
    found: list[Sample] = []
    while len(found) < count:
        image = _image(rng, folders)
        grid = CanonicalGrid.of(1, image.rows, image.columns)
        if grid is None:
            continue
        record = resampled(brightness(levels_of(image, frame=0)), grid.shape)
        picture = CoarsePicture.of(record)
        donor = levels_of(_image(rng, folders), frame=0)
        for _ in range(min(_COPIES, count - len(found))):
            try:
                sample = _pair(rng, image, record, picture, donor, config)
            except MedsealError:
                # Too flat for a forgery, or no form for this handling: another one is drawn.
                continue
            found += [] if sample is None else [sample]
    return found
