"""Lesions brought into levels: blended in with their surroundings, or laid over them."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseal.errors import InputError
from medseal.protection.attacks.edits import like
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels
from medseal.protection.attacks.places import (
    Alpha,
    Patch,
    Window,
    blended,
    draw_window,
    soft_shape,
    weights,
)
from medseal.protection.attacks.poisson import seamless

__all__ = ["PROFILES", "Lesion", "Profile", "blended_lesion", "overlaid_lesion"]

Profile = Literal["cosine", "gaussian", "disc", "spiculated"]
PROFILES: tuple[Profile, ...] = ("cosine", "gaussian", "disc", "spiculated")

# How far a profile reaches, in radii, and where the Gaussian one is cut.
_REACH = {"cosine": 1.0, "gaussian": 1.5, "disc": 1.0, "spiculated": 1.6}
_GAUSSIAN_CUT = math.exp(-2 * _REACH["gaussian"] ** 2)
# Width in pixels of a disc's edge.
_DISC_EDGE = 1.5
_COLOURS = 3
_LEAST_TINT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """A lesion.

    Attributes
    ----------
    radius
        Pixels; with an aspect, the geometric mean of both half axes.
    contrast
        Height in shares of the range; negative is darker. Where a place has no room for it, its
        sign turns.
    profile
        ``cosine`` (ends at the radius), ``gaussian``, ``disc`` with an edge of 1.5 pixels, or
        ``spiculated``.
    aspect
        Square root of the ratio of both axes.

    Raises
    ------
    InputError
        Radius or aspect is not above 0.
    """

    radius: float
    contrast: float
    profile: Profile = "cosine"
    aspect: float = 1.0

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.aspect > 0):
            raise InputError("a lesion has a radius and an aspect of more than 0")

    @property
    def side(self) -> int:
        """Side in pixels of the square window that it and a border of zeros fill."""
        longer = max(self.aspect, 1 / self.aspect)
        return 2 * math.ceil(self.radius * _REACH[self.profile] * longer) + 3


def _height(rng: np.random.Generator, lesion: Lesion) -> Alpha:
    """Return the height of a lesion, 0 to 1, on its window."""
    radius, aspect, profile = lesion.radius, lesion.aspect, lesion.profile
    half = lesion.side // 2
    across, down = np.meshgrid(*[np.arange(-half, half + 1, dtype=np.float32)] * 2)
    angle = float(rng.uniform(0, math.pi))
    along = across * math.cos(angle) + down * math.sin(angle)
    beside = down * math.cos(angle) - across * math.sin(angle)
    distance = np.hypot(along / (radius * aspect), beside / (radius / aspect))
    if profile == "cosine":
        height = np.where(distance < 1, (1 + np.cos(np.pi * np.minimum(distance, 1))) / 2, 0)
    elif profile == "gaussian":
        height = np.maximum(np.exp(-2 * distance**2) - _GAUSSIAN_CUT, 0) / (1 - _GAUSSIAN_CUT)
    elif profile == "disc":
        height = np.clip((1 - distance) * radius / _DISC_EDGE + 0.5, 0, 1)
    else:
        spikes, phase = int(rng.integers(4, 10)), float(rng.uniform(0, 2 * math.pi))
        waves = np.cos(spikes * np.arctan2(beside, along) + phase)
        border = 0.55 + (_REACH[profile] - 0.55) * np.maximum(waves, 0) ** 3
        height = np.clip(1.3 * (1 - distance / border), 0, 1)
    height[[0, -1]] = 0
    height[:, [0, -1]] = 0
    return np.asarray(height, np.float32)


def _tinted(levels: Levels, height: Alpha, contrast: float, rng: np.random.Generator) -> Levels:
    """Return what a lesion adds; colour channels take part to different degrees."""
    added = height * np.float32(contrast * WHITE_LEVEL)
    if levels.ndim < _COLOURS:
        return added
    tint = rng.uniform(_LEAST_TINT, 1, _COLOURS)
    return np.asarray(weights(added, levels) * (tint / tint.max()).astype(np.float32), np.float32)


def _with_room(levels: Levels, window: Window, height: Alpha, contrast: float) -> float:
    """Return the contrast, turned to the other sign where the levels have no room for it."""
    seen = levels[window][height > height.max() / 2]
    room = WHITE_LEVEL - seen.mean() if contrast > 0 else seen.mean()
    return contrast if room >= abs(contrast) * WHITE_LEVEL / 2 else -contrast


def overlaid_lesion(levels: Levels, rng: np.random.Generator, *, lesion: Lesion) -> Levels:
    """Add a lesion to what lies under it; the way for radii of a few pixels.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rng
        Source of place, direction and tint.
    lesion
        Its size, height and profile.

    Raises
    ------
    InputError
        The lesion does not fit the levels.
    """
    height = _height(rng, lesion)
    window = draw_window(levels, rng, rows=lesion.side, columns=lesion.side)
    added = _tinted(levels, height, _with_room(levels, window, height, lesion.contrast), rng)
    alpha = np.asarray(height > 0, np.float32)
    return blended(levels, window, levels[window] + added, alpha)


def blended_lesion(
    levels: Levels,
    rng: np.random.Generator,
    *,
    lesion: Lesion,
    texture: float = 1.0,
    mixed: bool = False,
    donor: Levels | None = None,
) -> Levels:
    """Blend in a lesion with tissue of its own, so that no border shows (Poisson blending).

    Parameters
    ----------
    levels, rng, lesion
        As for `overlaid_lesion`.
    texture
        How much of the other tissue's detail the lesion has; 0 leaves it smooth.
    mixed
        As for `poisson.seamless`.
    donor
        Levels of another image that the tissue comes from; without, from elsewhere in this one.

    Raises
    ------
    InputError
        The lesion does not fit the levels or the donor.
    """
    height, side = _height(rng, lesion), lesion.side
    window = draw_window(levels, rng, rows=side, columns=side)
    origin = levels if donor is None else donor
    tissue = like(origin[draw_window(origin, rng, rows=side, columns=side)], levels)
    added = _tinted(levels, height, _with_room(levels, window, height, lesion.contrast), rng)
    around = soft_shape(rng, Patch(rows=side - 2, columns=side - 2, shape="blob"))
    inside = np.pad(around > 0, 1) | (height > 0)
    content = seamless(levels[window], np.float32(texture) * tissue + added, inside, mixed=mixed)
    return blended(levels, window, content, inside.astype(np.float32))
