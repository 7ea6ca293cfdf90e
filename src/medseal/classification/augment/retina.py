"""Lesions of diabetic retinopathy drawn into retinas without, so that the camera names no label."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medseal.classification.augment.draws import Picture, draw_chosen
from medseal.classification.augment.lesion import UNKNOWN
from medseal.errors import ImageMismatchError

__all__ = ["draw_artefacts", "draw_retinopathy", "insert_retinopathy"]

_CHANNELS = 3
# Of a place in the maps of the network, in pixels: a lesion of one pixel must still count there.
_PLACE = 16
# Lengths below are in pixels of a field of view this wide: about 0.05 mm each in a 45 degree field.
_SIDE = 224
_RIM_SHARE = 0.05
_LEAST_FIELD = 500
# Coordinates of cv2.ellipse in sixteenths of a pixel, since the smallest lesions are one pixel.
_SHIFT, _UNIT = 4, 16
# A lesion's share of its strongest opacity from which a pixel belongs to it.
_MASK_LEVEL = 0.15
_USUAL_DEVIATION = 0.12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Canvas:
    """A retina that lesions are drawn into.

    Attributes
    ----------
    picture
        float32, (n, n, 3), the retina so far; changed in place.
    mask
        float32, (n, n), 1 where a lesion lies; changed in place.
    inside
        uint8, (n, n), 1 in the field of view without its rim.
    places
        (m, 2), columns and rows of that field.
    contrast
        Of the retina's own texture, 1 for the usual one: lesions stand out in proportion.
    unit
        Pixels of this picture for one of `_SIDE`.
    generator
        Source of the draws.
    """

    picture: Picture
    mask: Picture
    inside: NDArray[np.uint8]
    places: NDArray[np.float64]
    contrast: float
    generator: np.random.Generator
    unit: float = field(default=1.0)

    def points(self, count: int, *, centre: NDArray[np.float64] | None, spread: float) -> Picture:
        """Return (k, 2) columns and rows in the field, anywhere or round a centre, k <= count."""
        if centre is None:
            chosen = self.places[self.generator.integers(len(self.places), size=count)]
            return np.asarray(chosen + self.generator.uniform(0, 1, chosen.shape), np.float32)
        near = centre + self.generator.normal(0, spread * self.unit, (count, 2))
        near = np.clip(near, 1, len(self.mask) - 2)
        kept = self.inside[near[:, 1].astype(int), near[:, 0].astype(int)] > 0
        return np.asarray(near[kept], np.float32)

    def scattered(self, count: int, *, gathered: float, spread: tuple[float, float]) -> Picture:
        """Return points all over the field or, with probability `gathered`, round one of them."""
        points = self.points(count, centre=None, spread=0)
        if self.generator.random() >= gathered:
            return points
        return self.points(count, centre=points[0], spread=self.generator.uniform(*spread))

    def put(self, opacity: Picture, *, colour: tuple[float, ...], blur: float) -> None:
        """Add a colour where `opacity`, (n, n), says, softened by `blur`."""
        soft = cv2.GaussianBlur(opacity, (0, 0), max(blur * self.unit, 0.3))
        soft = np.clip(soft, 0, 1) * self.inside
        self.picture[:] += soft[:, :, None] * np.asarray(colour, np.float32)
        if soft.max() > 0:
            np.maximum(self.mask, soft > _MASK_LEVEL * soft.max(), out=self.mask, casting="unsafe")


def insert_retinopathy(
    images: Tensor,
    targets: Tensor,
    *,
    probability: float,
    replaced: float,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw artefacts into all images, and lesions into some of the first class: now the second.

    The same camera then shows both labels, and only the lesions tell them apart. Where the second
    class comes from other cameras, its images can be replaced by drawn ones.

    Parameters
    ----------
    images
        float32, (B, 3, H, H), values in [0, 1], on the CPU, local mean subtracted, black outside
        the field of view; not changed. H is a multiple of 16.
    targets
        float32, (B, classes), the share of each class; the first class has no retinopathy.
    probability
        Of an image of the first class to get lesions.
    replaced
        Probability of an image of another class to be replaced by one of the first with lesions.
    generator
        Source of the draws.

    Returns
    -------
    images, targets, masks
        `masks` is float32, (B, 1, H, H): 1 in the squares of 16 pixels with a lesion, 0 where
        there is none, and `UNKNOWN` in all of an image whose lesions are its own.

    Raises
    ------
    ImageMismatchError
        The images are not square, of another size or have no colour.

    References
    ----------
    Wilkinson et al. 2003, doi:10.1016/S0161-6420(03)00475-5: the lesions that make the grades.
    """
    if images.shape[1:2] != (_CHANNELS,) or images.shape[2:3] != images.shape[3:]:
        raise ImageMismatchError("lesions of the retina are drawn into square images of colour")
    if images.shape[2] % _PLACE:
        raise ImageMismatchError(f"the side of a retina must be a multiple of {_PLACE}")
    healthy = np.flatnonzero(targets[:, 0].numpy() == 1)
    ill = np.setdiff1d(np.arange(len(images)), healthy)
    drawn = {index: index for index in _chosen_of(healthy, probability, generator)}
    if len(healthy):
        for index in _chosen_of(ill, replaced, generator):
            drawn[index] = int(generator.choice(healthy))
    result, labels = images.clone(), targets.clone()
    masks = torch.zeros_like(images[:, :1])
    masks[torch.from_numpy(ill)] = UNKNOWN
    for index in range(len(images)):
        picture = images[drawn.get(index, index)].permute(1, 2, 0).numpy()
        picture = draw_artefacts(picture, generator=generator)
        lesions = draw_retinopathy(picture, generator=generator) if index in drawn else None
        if lesions is not None:
            picture, mask = lesions
            masks[index, 0] = _places_of(torch.from_numpy(mask))
            labels[index] = 0.0
            labels[index, 1] = 1.0
        if lesions is not None or index not in drawn:
            result[index] = torch.from_numpy(picture).permute(2, 0, 1)
    return result, labels, masks


def draw_retinopathy(
    picture: Picture, *, generator: np.random.Generator
) -> tuple[Picture, Picture] | None:
    """Return a retina with microaneurysms, haemorrhages, hard exudates or cotton wool spots.

    Parameters
    ----------
    picture
        float32, (n, n, 3), values in [0, 1], local mean subtracted, black outside the field.
    generator
        Source of the draws.

    Returns
    -------
    tuple or None
        The retina and, (n, n), 1 where lesions lie; None where no field of view was found.
    """
    canvas = _canvas(picture, generator)
    if canvas is None:
        return None
    kinds = generator.random(4) < (0.7, 0.55, 0.6, 0.2)
    if not kinds[:3].any():
        kinds[generator.integers(3)] = True
    severity = float(np.exp(generator.uniform(-1, 1.2)))
    steps = (_microaneurysms, _haemorrhages, _exudates, _cotton_wool)
    for wanted, step in zip(kinds, steps, strict=True):
        if wanted:
            step(canvas, severity)
    if not canvas.mask.any():
        return None
    return np.clip(canvas.picture, 0, 1), canvas.mask


def draw_artefacts(picture: Picture, *, generator: np.random.Generator) -> Picture:
    """Return a retina with what is no lesion: mottle, a soft reflection, a speck of dust.

    Arguments as `draw_retinopathy`; the label stays what it is.
    """
    side = len(picture)
    unit = side / _SIDE
    content = (picture.max(axis=2) > 0)[:, :, None]
    changed = picture.copy()
    if generator.random() < 0.5:  # noqa: PLR2004  # a fair coin
        grain = float(np.exp(generator.uniform(np.log(2), np.log(12)))) * unit
        mottle = generator.normal(0, 1, (side, side)).astype(np.float32)
        mottle = cv2.GaussianBlur(mottle, (0, 0), grain)
        tint = (generator.uniform(0.3, 1), 1, generator.uniform(0, 1))
        depth = generator.uniform(0.01, 0.05) / max(float(mottle.std()), 1e-6)
        changed += mottle[:, :, None] * np.asarray(tint, np.float32) * np.float32(depth)
    if generator.random() < 0.3:  # noqa: PLR2004  # now and then
        disc = _disc(side, generator.uniform(4, 22) * unit, generator)
        disc = cv2.GaussianBlur(disc, (0, 0), generator.uniform(1.5, 6) * unit)
        tint = (generator.uniform(0.5, 1), 1, generator.uniform(0.6, 1.2))
        depth = generator.uniform(-0.1, 0.35)
        changed += disc[:, :, None] * np.asarray(tint, np.float32) * np.float32(depth)
    if generator.random() < 0.2:  # noqa: PLR2004  # dust is on few lenses
        speck = cv2.GaussianBlur(_disc(side, unit, generator), (0, 0), 0.6 * unit)
        changed -= speck[:, :, None] * np.float32(generator.uniform(0.1, 0.5))
    return np.asarray(np.clip(changed, 0, 1) * content, np.float32)


def _chosen_of(
    numbers: NDArray[np.intp], probability: float, generator: np.random.Generator
) -> list[int]:
    """Return each of the numbers with a probability."""
    return [int(number) for number in numbers[draw_chosen(len(numbers), probability, generator)]]


def _places_of(mask: Tensor) -> Tensor:
    """Return the mask, (H, H), with all of a square of 16 pixels set that holds a lesion."""
    squares = functional.max_pool2d(mask[None, None], _PLACE)
    return functional.interpolate(squares, scale_factor=_PLACE, mode="nearest")[0, 0]


def _canvas(picture: Picture, generator: np.random.Generator) -> _Canvas | None:
    side = len(picture)
    content = (picture.max(axis=2) > 0).astype(np.uint8)
    closed = cv2.morphologyEx(content, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    rim = 2 * round(_RIM_SHARE * side / 2) + 1
    inside = cv2.erode(np.pad(closed, 1), np.ones((rim, rim), np.uint8))[1:-1, 1:-1] & content
    rows, columns = np.nonzero(inside)
    if len(rows) < _LEAST_FIELD * (side / _SIDE) ** 2:
        return None
    deviation = float(picture[inside > 0].std(axis=0).mean())
    return _Canvas(
        picture=picture.astype(np.float32).copy(),
        mask=np.zeros((side, side), np.float32),
        inside=inside,
        places=np.stack([columns, rows], axis=1).astype(np.float64),
        contrast=float(np.clip(deviation / _USUAL_DEVIATION, 0.6, 1.6)),
        generator=generator,
        unit=side / _SIDE,
    )


def _disc(side: int, radius: float, generator: np.random.Generator) -> Picture:
    """Return (n, n) with one filled circle of ones, away from the edge."""
    disc = np.zeros((side, side), np.float32)
    across, down = (int(value) for value in generator.uniform(0.1, 0.9, 2) * side)
    cv2.circle(disc, (across, down), max(round(radius), 1), 1.0, -1)
    return disc


def _spots(canvas: _Canvas, points: Picture, radii: NDArray[np.floating[Any]]) -> Picture:
    """Return the opacity, (n, n), of spots; larger ones are unions of ellipses."""
    generator = canvas.generator
    opacity = np.zeros(canvas.mask.shape, np.float32)
    for (across, down), radius in zip(points, radii * canvas.unit, strict=True):
        strength = float(generator.uniform(0.5, 1))
        parts = 1 if radius < 1.6 else int(generator.integers(1, 4))  # noqa: PLR2004  # one dot
        for _ in range(parts):
            axes = np.maximum(radius * np.exp(generator.normal(0, 0.25, 2)), 0.5)
            shift = generator.normal(0, 0.5 * radius, 2) if parts > 1 else np.zeros(2)
            cv2.ellipse(
                opacity,
                (int((across + shift[0]) * _UNIT), int((down + shift[1]) * _UNIT)),
                (max(int(axes[0] * _UNIT), 6), max(int(axes[1] * _UNIT), 6)),
                generator.uniform(0, 180),
                0,
                360,
                strength,
                -1,
                cv2.LINE_8,
                _SHIFT,
            )
    return opacity


def _dark_red(depth: float, generator: np.random.Generator) -> tuple[float, float, float]:
    """Return a change of red, green and blue: blood takes most from green."""
    return -depth * generator.uniform(0.3, 1), -depth, -depth * generator.uniform(-0.2, 0.9)


def _log_uniform(low: float, high: float, count: int, generator: np.random.Generator) -> Picture:
    return np.exp(generator.uniform(np.log(low), np.log(high), count)).astype(np.float32)


def _microaneurysms(canvas: _Canvas, severity: float) -> None:
    generator = canvas.generator
    points = canvas.scattered(3 + generator.poisson(8 * severity), gathered=0.4, spread=(10, 50))
    opacity = _spots(canvas, points, generator.uniform(0.6, 1.4, len(points)))
    depth = generator.uniform(0.15, 0.45) * canvas.contrast
    canvas.put(opacity, colour=_dark_red(depth, generator), blur=generator.uniform(0.4, 0.7))


def _haemorrhages(canvas: _Canvas, severity: float) -> None:
    generator = canvas.generator
    points = canvas.scattered(1 + generator.poisson(3 * severity), gathered=0.5, spread=(15, 60))
    opacity = _spots(canvas, points, _log_uniform(1.2, 5.5, len(points), generator))
    depth = generator.uniform(0.18, 0.5) * canvas.contrast
    canvas.put(opacity, colour=_dark_red(depth, generator), blur=generator.uniform(0.4, 1.2))


def _exudates(canvas: _Canvas, severity: float) -> None:
    generator = canvas.generator
    for _ in range(1 + generator.poisson(0.8 * severity)):
        centre = canvas.points(1, centre=None, spread=0)[0].astype(np.float64)
        spread = float(_log_uniform(4, 25, 1, generator)[0])
        points = canvas.points(2 + generator.poisson(8 * severity), centre=centre, spread=spread)
        opacity = _spots(canvas, points, _log_uniform(0.6, 3, len(points), generator))
        depth = generator.uniform(0.2, 0.7) * canvas.contrast
        shares = (
            generator.uniform(0.4, 1),
            generator.uniform(0.8, 1.1),
            generator.uniform(-0.6, 0.5),
        )
        colour = tuple(depth * share for share in shares)
        canvas.put(opacity, colour=colour, blur=generator.uniform(0.4, 0.8))


def _cotton_wool(canvas: _Canvas, severity: float) -> None:
    generator = canvas.generator
    points = canvas.points(1 + generator.poisson(0.8 * severity), centre=None, spread=0)
    opacity = _spots(canvas, points, generator.uniform(3, 7, len(points)))
    depth = generator.uniform(0.15, 0.45) * canvas.contrast
    shares = (generator.uniform(0.7, 1), 1.0, generator.uniform(0.4, 1))
    colour = tuple(depth * share for share in shares)
    canvas.put(opacity, colour=colour, blur=generator.uniform(1.2, 2.5))
