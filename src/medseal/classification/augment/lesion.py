"""Lesions drawn into healthy slices of a head, so that its collection no longer names the label."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseal.classification.augment.draws import draw_chosen
from medseal.errors import ImageMismatchError

__all__ = ["UNKNOWN", "draw_lesion", "draw_spots", "head_mask", "insert_lesions"]

# In a mask: whether a lesion lies there is not known.
UNKNOWN = -1.0
Picture = NDArray[np.float32]
# Darker is air, after the stretch to the whole range.
_AIR = 0.07
# Lengths as a share of the side. A skull is thinner than _RIM; lesions of less than the smallest
# radius are hard to tell from vessels and white matter spots, larger than the largest are rare.
_RIM = 0.10
_EDGE = 0.04
_RADIUS = (0.05, 0.18)
_SPOT_RADIUS = (0.008, 0.025)
_LEAST_PLACES = 20
# In sagittal and coronal slices the lower part is face and neck.
_UPPER, _UPPER_SHARE = 0.6, 0.75
_KINDS = ("solid", "ring", "dark", "mixed", "faint")
_KIND_SHARES = (0.40, 0.23, 0.15, 0.17, 0.05)
_MOST_SPOTS = 9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """A slice with what a lesion needs to know of it.

    Attributes
    ----------
    picture
        (n, n), values in [0, 1].
    depth
        Distance to the outline of the head, in pixels.
    middle, up, down
        Median of the tissue, and the way from there to its brightest and darkest values.
    """

    picture: Picture
    depth: Picture
    middle: float
    up: float
    down: float

    @property
    def side(self) -> int:
        return len(self.picture)


def head_mask(picture: Picture) -> NDArray[np.uint8]:
    """Return 1 inside the outline of the head, 0 in the air: uint8, (rows, columns).

    Parameters
    ----------
    picture
        float32, (rows, columns), values in [0, 1], stretched to the whole range.
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), len(picture) / 50)
    bright = (smooth > _AIR).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    closed = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, kernel)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros(picture.shape, np.uint8)
    if outlines:
        cv2.drawContours(mask, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    return mask


def insert_lesions(
    images: Tensor,
    targets: Tensor,
    *,
    probability: float,
    spots: float = 0.0,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw lesions into images of the first class and give these the label of the second.

    The same collection then shows both labels, and only the lesion tells them apart.

    Parameters
    ----------
    images
        float32, (B, 1, H, H), values in [0, 1], on the CPU; not changed.
    targets
        float32, (B, classes), the share of each class; the first class is healthy.
    probability
        Of a healthy image to get a lesion.
    spots
        Of a healthy image without one to get small bright spots and stay healthy.
    generator
        Source of the draws.

    Returns
    -------
    images, targets, masks
        `masks` is float32, (B, 1, H, H): the opacity of the lesion, 0 where there is none, and
        `UNKNOWN` in all of an image that came as another class.

    Raises
    ------
    ImageMismatchError
        The images are not square or not grey.
    """
    if images.ndim != 4 or images.shape[1] != 1 or images.shape[2] != images.shape[3]:  # noqa: PLR2004  # (B, 1, H, H)
        raise ImageMismatchError("lesions are drawn into square grey images alone")
    healthy = targets[:, 0].numpy() == 1
    masks = torch.zeros_like(images)
    masks[torch.from_numpy(~healthy)] = UNKNOWN
    result, labels = images.clone(), targets.clone()
    chosen = draw_chosen(len(images), probability, generator)
    for index in chosen[healthy[chosen]]:
        drawn = draw_lesion(images[index, 0].numpy(), generator=generator)
        if drawn is not None:
            result[index, 0], masks[index, 0] = (torch.from_numpy(part) for part in drawn)
            labels[index] = 0.0
            labels[index, 1] = 1.0
    rest = np.setdiff1d(draw_chosen(len(images), spots, generator), chosen)
    for index in rest[healthy[rest]]:
        spotted = draw_spots(images[index, 0].numpy(), generator=generator)
        result[index, 0] = torch.from_numpy(spotted)
    return result, labels, masks


def draw_lesion(
    picture: Picture, *, generator: np.random.Generator
) -> tuple[Picture, Picture] | None:
    """Return the slice with a lesion inside the head, and the opacity of the lesion.

    Displaced tissue, then oedema, then the lesion itself: solid, with a bright rim, dark, mixed,
    or faint. Bright and dark are drawn at random, since that depends on the sequence.

    Parameters
    ----------
    picture
        float32, (n, n), values in [0, 1], stretched to the whole range.
    generator
        Source of the draws.

    Returns
    -------
    tuple or None
        Both float32, (n, n), in [0, 1]; None where no head with room for a lesion was found.
    """
    depth = _depth(picture)
    places = _places(depth, generator)
    if places is None:
        return None
    scene = _scene(picture, depth)
    row, column = places[generator.integers(len(places))]
    low, high = np.log(_RADIUS)
    radius = len(picture) * float(np.exp(generator.uniform(low, high)))
    centre = (float(column), float(row))
    changed = picture
    if generator.random() < 0.7:  # noqa: PLR2004  # many lesions displace tissue
        changed = _displaced(scene, centre, radius, generator)
    inside = cv2.GaussianBlur((depth > _EDGE * scene.side).astype(np.float32), (0, 0), 1.2)
    if generator.random() < 0.5:  # noqa: PLR2004  # a fair coin
        changed = _with_oedema(scene, changed, centre, radius, inside, generator)
    softness, rough = generator.uniform(0.5, 2.2), generator.uniform(0.05, 0.5)
    opacity, distance = _blob(scene.side, centre, radius, softness, rough, generator)
    opacity = opacity * inside * np.float32(generator.uniform(0.7, 1))
    content = _content(scene, changed, distance, radius, generator)
    blended = changed * (1 - opacity) + opacity * content
    return np.clip(blended, 0, 1).astype(np.float32), opacity.astype(np.float32)


def draw_spots(picture: Picture, *, generator: np.random.Generator) -> Picture:
    """Return the slice with bright spots too small for a tumour; arguments as `draw_lesion`."""
    depth = _depth(picture)
    places = np.argwhere(depth > (_RIM + 0.02) * len(picture))
    if len(places) < _LEAST_PLACES:
        return picture
    scene, changed = _scene(picture, depth), picture
    for _ in range(generator.integers(1, _MOST_SPOTS + 1)):
        row, column = places[generator.integers(len(places))]
        radius = len(picture) * generator.uniform(*_SPOT_RADIUS)
        centre = (float(column), float(row))
        opacity, _ = _blob(scene.side, centre, radius, 0.7, 0.3, generator)
        value = scene.middle + scene.up * generator.uniform(0.4, 1.2)
        changed = changed * (1 - opacity) + opacity * np.float32(value)
    return np.clip(changed, 0, 1).astype(np.float32)


def _depth(picture: Picture) -> Picture:
    padded = np.pad(head_mask(picture), 1)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1], np.float32)


def _places(depth: Picture, generator: np.random.Generator) -> NDArray[np.intp] | None:
    """Return where a lesion may lie, (n, 2) rows and columns; None where there is no room."""
    side = len(depth)
    inner = np.argwhere(depth > max(_RIM * side, 0.22 * float(depth.max())))
    if len(inner) < _LEAST_PLACES:
        return None
    upper = inner[inner[:, 0] < _UPPER * side]
    chosen = generator.random() < _UPPER_SHARE and len(upper) >= _LEAST_PLACES
    return upper if chosen else inner


def _scene(picture: Picture, depth: Picture) -> _Scene:
    tissue = picture[depth > _RIM * len(picture)]
    darkest, middle, brightest = np.percentile(tissue, [2, 50, 98])
    return _Scene(
        picture=picture,
        depth=depth,
        middle=float(middle),
        up=max(float(brightest - middle), 0.15),
        down=max(float(middle - darkest), 0.12),
    )


def _grid(side: int, centre: tuple[float, float]) -> tuple[Picture, Picture]:
    """Return the distance of each pixel to the centre, across and down."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    return columns - np.float32(centre[0]), rows - np.float32(centre[1])


def _noise(side: int, grain: float, generator: np.random.Generator) -> Picture:
    """Return smooth noise of about unit variance with structures of `grain` pixels."""
    count = max(2, round(side / grain))
    coarse = generator.standard_normal((count, count)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _blob(  # one shape
    side: int,
    centre: tuple[float, float],
    radius: float,
    softness: float,
    rough: float,
    generator: np.random.Generator,
) -> tuple[Picture, Picture]:
    """Return opacity and distance (1 at the outline) of an ellipse with a wavy outline."""
    across, down = _grid(side, centre)
    angle, stretch = generator.uniform(0, np.pi), np.exp(generator.uniform(-0.35, 0.35))
    u = (across * np.cos(angle) + down * np.sin(angle)) * stretch
    v = (down * np.cos(angle) - across * np.sin(angle)) / stretch
    theta, distance = np.arctan2(v, u), np.hypot(u, v)
    outline = np.ones_like(theta)
    for wave in range(2, 7):
        phase = generator.uniform(0, 2 * np.pi)
        outline += rough / wave * generator.normal() * np.cos(wave * theta + phase)
    outline = radius * np.clip(outline, 0.4, 1.8)
    opacity = 1 / (1 + np.exp(np.clip((distance - outline) / softness, -30, 30)))
    return opacity.astype(np.float32), (distance / outline).astype(np.float32)


def _displaced(
    scene: _Scene, centre: tuple[float, float], radius: float, generator: np.random.Generator
) -> Picture:
    """Return the slice with the tissue round the centre pushed outwards, the skull left alone."""
    across, down = _grid(scene.side, centre)
    near = np.exp(-(across**2 + down**2) / np.float32(1.8 * radius) ** 2)
    near = near * np.minimum(scene.depth / (0.12 * scene.side), 1) * generator.uniform(0.1, 0.6)
    rows, columns = np.mgrid[: scene.side, : scene.side].astype(np.float32)
    x, y = (columns - across * near).astype(np.float32), (rows - down * near).astype(np.float32)
    return np.asarray(cv2.remap(scene.picture, x, y, cv2.INTER_LINEAR), np.float32)


def _with_oedema(  # one lesion
    scene: _Scene,
    changed: Picture,
    centre: tuple[float, float],
    radius: float,
    inside: Picture,
    generator: np.random.Generator,
) -> Picture:
    x, y = (place + generator.normal() * radius * 0.4 for place in centre)
    wide, softness = radius * generator.uniform(1.3, 2.6), generator.uniform(1.0, 4.0)
    opacity, _ = _blob(scene.side, (x, y), wide, softness, 0.35, generator)
    fingers = _noise(scene.side, radius * 0.7, generator) * 1.5 + generator.uniform(0, 2)
    opacity = opacity * inside / (1 + np.exp(-fingers)) * generator.uniform(0.4, 1)
    bright = generator.random() < 0.6  # noqa: PLR2004  # T2 and FLAIR more often than T1
    shift = (scene.up if bright else -scene.down) * generator.uniform(0.35, 0.9)
    kept = (0.4 if bright else 0.2) * (changed - scene.middle)
    return np.asarray(changed * (1 - opacity) + opacity * (scene.middle + shift + kept), np.float32)


def _level(scene: _Scene, bright: bool, generator: np.random.Generator) -> float:
    if bright:
        return scene.middle + scene.up * generator.uniform(0.6, 1.6)
    return max(scene.middle - scene.down * generator.uniform(0.6, 1.2), 0.0)


def _content(
    scene: _Scene,
    changed: Picture,
    distance: Picture,
    radius: float,
    generator: np.random.Generator,
) -> Picture:
    """Return the values inside the lesion, of the whole slice."""
    grain = max(2.5, radius * generator.uniform(0.15, 0.6))
    texture = _noise(scene.side, grain, generator) * generator.uniform(0.01, 0.12)
    texture = texture + (scene.picture - scene.middle) * generator.uniform(0, 0.35)
    kind = _KINDS[generator.choice(len(_KINDS), p=_KIND_SHARES)]
    bright = generator.random() < 0.75  # noqa: PLR2004  # most tumours stand out brightly
    if kind == "solid":
        return np.asarray(_level(scene, bright, generator) + texture, np.float32)
    if kind == "ring":
        width = generator.uniform(0.12, 0.4)
        rim = np.exp(-(((distance - 1 + width) / width) ** 2))
        rim = np.clip(
            rim * np.clip(1 + 0.5 * _noise(scene.side, radius, generator), 0.2, 1.3), 0, 1
        )
        core = _level(scene, generator.random() > 0.75, generator)  # noqa: PLR2004  # mostly dark
        rise = _level(scene, True, generator) - core
        return np.asarray(core + rise * rim + texture * 0.7, np.float32)
    if kind == "dark":
        return np.asarray(_level(scene, False, generator) + texture * 0.6, np.float32)
    if kind == "mixed":
        parts = _noise(scene.side, radius * generator.uniform(0.3, 0.7), generator)
        size = scene.up if bright else scene.down
        return np.asarray(scene.middle + size * (0.35 + parts * 0.6) + texture, np.float32)
    shift = scene.up if generator.random() < 0.6 else -scene.down  # noqa: PLR2004  # as oedema
    return np.asarray(changed + shift * generator.uniform(0.35, 0.7), np.float32)
