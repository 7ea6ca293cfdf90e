"""Coarse pictures to train a restoration on: coded once, then cut and disturbed anew in every step.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.material import training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import MedicalImage, read
from medseal.protection.encryption.cnn.analog_features import Damaged
from medseal.protection.encryption.cnn.analog_frame import coarse_pictures
from medseal.protection.encryption.cnn.analog_residual import code_of_factor, factor_of_code
from medseal.protection.encryption.cnn.analog_shape import Shape

__all__ = ["Sample", "Samples", "disturbed", "draw", "read_samples", "whole"]

Floats = NDArray[np.float32]

# Cuts of larger images are coded in their place, and this is kept of each.
_MOST_CODED_SIDE, _KEPT_SIDE = 640, 256
_LEAST_SIDE = 64
_MOST_BITS = 16
_VALIDATION_SHARE = 12
# Spread of the shifts, and of their noise where there is any: from JPEG 95 to JPEG 40.
_SHIFT_SPREAD = 8.0
_LEAST_NOISE, _MOST_NOISE = 0.8, 20.0
_NOISY_SHARE, _LOSSY_SHARE, _MOST_LOST = 0.82, 0.45, 0.4
_CIRCLE = 127.0
_LOGGER = logging.getLogger("medseal.train")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """A cut of one plane on the scale 0 to 1: image, coarse picture and base picture.

    Attributes
    ----------
    image, coarse, base
        (rows, columns).
    error, base_error
        Standard deviation of the whole image about its pictures.
    """

    image: Floats
    coarse: Floats
    base: Floats
    error: float
    base_error: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Of training and validation, no group in both; with the SHA-256 of all of them in order."""

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    digest: str


def _place(rng: np.random.Generator, sides: tuple[int, int], most: int) -> tuple[slice, slice]:
    starts = [int(rng.integers(max(side - most, 0) + 1)) for side in sides]
    first, second = (slice(start, start + most) for start in starts)
    return first, second


def _error(image: NDArray[np.int64], picture: NDArray[np.int64]) -> float:
    return float(np.sqrt(np.mean(np.square(image - picture, dtype=np.float64))))


def _sample(image: MedicalImage, rng: np.random.Generator) -> Sample | None:
    """Return a cut of the middle frame; None where it is nothing to learn from."""
    values = image.stored_values[image.frames // 2].astype(np.int64)
    if image.is_signed:
        values = values + (1 << (image.bits_stored - 1))
    values = values[_place(rng, values.shape[:2], _MOST_CODED_SIDE)]
    shape = Shape(
        rows=values.shape[0],
        columns=values.shape[1],
        samples=values.shape[2],
        bits=image.bits_stored,
    )
    stack = shape.stack(values)
    pictures = coarse_pictures(stack, shape)
    if pictures is None or not np.any(stack - pictures[1]):
        return None
    inner = _place(rng, (shape.rows, shape.columns), _KEPT_SIDE)
    sample = int(rng.integers(shape.samples))
    cuts = [shape.unstacked(plane)[..., sample][inner] for plane in (stack, *pictures)]
    image_cut, base, coarse = (np.asarray(cut / shape.white, np.float32) for cut in cuts)
    return Sample(
        image=image_cut,
        coarse=coarse,
        base=base,
        error=_error(stack, pictures[1]) / shape.white,
        base_error=max(_error(stack, pictures[0]), 0.25) / shape.white,
    )


def _usable(image: MedicalImage) -> bool:
    return (
        image.stored_values.dtype.kind in "ui"
        and image.bits_stored <= _MOST_BITS
        and image.samples in (1, 3)
        and min(image.rows, image.columns) >= _LEAST_SIDE
    )


def read_samples(data: Path, *, per_collection: int, seed: int) -> Samples:
    """Read and code the images that a restoration may be trained on.

    Parameters
    ----------
    data
        As for `material.training_files`.
    per_collection
        Most images of one folder.
    seed
        Of the choice among them, and of the cuts.

    Raises
    ------
    InputError
        There is no image to train on or to validate on.
    """
    rng = np.random.default_rng(seed)
    files = training_files(data)
    taken: Counter[Path] = Counter()
    training: list[Sample] = []
    validation: list[Sample] = []
    sums = hashlib.sha256()
    for index in rng.permutation(len(files)):
        item = files[index]
        if taken[item.path.parent] >= per_collection:
            continue
        try:
            image = read(item.path)
        except MedsealError:
            continue
        sample = _sample(image, rng) if _usable(image) else None
        if sample is None:
            continue
        taken[item.path.parent] += 1
        sums.update(sample.image.tobytes() + sample.coarse.tobytes() + sample.base.tobytes())
        held_back = hashlib.sha256(item.group.encode()).digest()[0] % _VALIDATION_SHARE == 0
        (validation if held_back else training).append(sample)
    if not training or not validation:
        raise InputError(f"{data}: no images of {_LEAST_SIDE} pixels a side to train on")
    _LOGGER.info("%d images, %d to validate on", len(training), len(validation))
    return Samples(training=tuple(training), validation=tuple(validation), digest=sums.hexdigest())


def whole(sample: Sample, *, side_multiple: int) -> Sample:
    """Return a sample cut to sides that are multiples."""
    rows, columns = (side // side_multiple * side_multiple for side in sample.image.shape)
    return _cut(sample, np.s_[:rows, :columns], 0, mirrored=False)


def _cut(sample: Sample, place: tuple[slice, slice], turns: int, *, mirrored: bool) -> Sample:
    planes = [np.rot90(plane[place], turns) for plane in (sample.image, sample.coarse, sample.base)]
    if mirrored:
        planes = [plane[:, ::-1] for plane in planes]
    image, coarse, base = (np.ascontiguousarray(plane) for plane in planes)
    return Sample(
        image=image,
        coarse=coarse,
        base=base,
        error=sample.error,
        base_error=sample.base_error,
    )


def draw(samples: tuple[Sample, ...], rng: np.random.Generator, *, side: int) -> Sample:
    """Return a cut of a sample at random, turned and mirrored; small ones repeat their edge."""
    sample = samples[int(rng.integers(len(samples)))]
    place = _place(rng, (sample.image.shape[0], sample.image.shape[1]), side)
    cut = _cut(sample, place, int(rng.integers(4)), mirrored=bool(rng.integers(2)))
    rows, columns = cut.image.shape
    if (rows, columns) == (side, side):
        return cut
    border = ((0, side - rows), (0, side - columns))
    planes = [np.pad(plane, border, mode="edge") for plane in (cut.image, cut.coarse, cut.base)]
    return Sample(
        image=planes[0],
        coarse=planes[1],
        base=planes[2],
        error=cut.error,
        base_error=cut.base_error,
    )


def disturbed(sample: Sample, rng: np.random.Generator, *, base_share: float) -> Damaged:
    """Return a sample as a channel of random strength leaves it.

    The places of the residual are drawn at random, so that what a channel does to them is white:
    noise, and values that are lost alone.
    """
    shape = sample.image.shape
    if rng.random() < base_share:
        none = np.zeros(shape, np.float32)
        error = factor_of_code(code_of_factor(sample.base_error * 255)) / 255
        return Damaged(picture=sample.base, error=error, residual=none, weight=none, noise=0.0)
    gain = _SHIFT_SPREAD / sample.error
    noise = 0.0
    if rng.random() < _NOISY_SHARE:
        noise = float(np.exp(rng.uniform(np.log(_LEAST_NOISE), np.log(_MOST_NOISE))))
    lost_share = rng.uniform(0, _MOST_LOST) if rng.random() < _LOSSY_SHARE else 0.0
    lost = rng.random(shape) < lost_share
    shift = np.rint((sample.image - sample.coarse) * gain) + rng.normal(0, 1, shape) * noise
    shift = np.where(lost, rng.uniform(-_CIRCLE, _CIRCLE, shape), shift)
    weight = np.where(lost, rng.uniform(0, 0.06, shape), 1 - rng.uniform(0, 0.02, shape))
    return Damaged(
        picture=sample.coarse,
        error=sample.error,
        residual=np.asarray(shift / gain, np.float32),
        weight=np.asarray(weight, np.float32),
        noise=noise / gain,
    )
