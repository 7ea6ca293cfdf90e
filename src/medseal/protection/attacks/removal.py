"""Things removed from levels: a hole filled from its border, or with what fits from elsewhere."""

import math
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.attacks.levels import Levels
from medseal.protection.attacks.places import (
    Patch,
    Window,
    blended,
    draw_window,
    soft_shape,
)
from medseal.protection.attacks.poisson import seamless

__all__ = ["FILLS", "Fill", "remove"]

Fill = Literal["Telea", "Navier-Stokes", "membrane", "exemplar"]
FILLS: tuple[Fill, ...] = ("Telea", "Navier-Stokes", "membrane", "exemplar")

_INPAINT = {"Telea": cv2.INPAINT_TELEA, "Navier-Stokes": cv2.INPAINT_NS}
_INPAINT_RADIUS = 3
_COLOUR_DIMENSIONS = 3
# Width of the ring of surroundings, and the places elsewhere whose ring is compared with it.
_RING = 4
_CANDIDATES = 48
# Noise of the surroundings is what a filter of this many pixels takes out.
_GRAIN_SIGMA = 1.0


def _inpainted(levels: Levels, hole: NDArray[np.bool_], fill: Fill) -> Levels:
    mask = hole.astype(np.uint8)

    def filled(plane: Levels) -> Levels:
        flat = np.ascontiguousarray(plane)
        return np.asarray(cv2.inpaint(flat, mask, _INPAINT_RADIUS, _INPAINT[fill]), np.float32)

    if levels.ndim < _COLOUR_DIMENSIONS:
        return filled(levels)
    return np.stack([filled(levels[:, :, k]) for k in range(levels.shape[2])], axis=2)


def _exemplar(
    levels: Levels, window: Window, hole: NDArray[np.bool_], rng: np.random.Generator
) -> Levels:
    """Return the patch from elsewhere whose ring fits best, lifted to the ring's grey values."""
    seen, ring = levels[window], ~hole
    rows, columns = hole.shape
    best, least = seen, math.inf
    for _ in range(_CANDIDATES):
        patch = levels[draw_window(levels, rng, rows=rows, columns=columns)]
        difference = seen[ring] - patch[ring]
        misfit = float(np.square(difference).mean())
        # A misfit of 0 is the place itself.
        if 0 < misfit < least:
            best, least = patch + difference.mean(axis=0), misfit
    return best


def _grain(levels: Levels, window: Window, rng: np.random.Generator) -> Levels:
    """Return the fine noise of a place elsewhere, of the window's size."""
    rows, columns = (inside.stop - inside.start for inside in window)
    patch = levels[draw_window(levels, rng, rows=rows, columns=columns)]
    return patch - np.asarray(cv2.GaussianBlur(patch, (0, 0), _GRAIN_SIGMA), np.float32)


def remove(
    levels: Levels,
    rng: np.random.Generator,
    *,
    patch: Patch,
    fill: Fill = "Telea",
    grain: float = 0.0,
) -> Levels:
    """Erase what lies within a patch.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255.
    rng
        Source of the place, of a blob's border and of places elsewhere.
    patch
        Size, shape and border of the hole.
    fill
        ``Telea`` and ``Navier-Stokes`` inpainting, ``membrane`` (the smoothest continuation of
        the border), or ``exemplar`` (of many patches the one whose surroundings are most alike).
    grain
        Share of the fine noise of a place elsewhere that is laid over the fill.

    Raises
    ------
    InputError
        The patch and 4 pixels around it do not fit the levels.

    References
    ----------
    Telea 2004, doi:10.1080/10867651.2004.10487596; Bertalmio, Bertozzi and Sapiro 2001,
    doi:10.1109/CVPR.2001.990497; Criminisi, Perez and Toyama 2004, doi:10.1109/TIP.2004.833105.
    """
    window = draw_window(
        levels, rng, rows=patch.rows + 2 * _RING, columns=patch.columns + 2 * _RING
    )
    alpha = np.pad(soft_shape(rng, patch), _RING)
    seen, hole = levels[window], alpha > 0
    if fill == "exemplar":
        content = _exemplar(levels, window, hole, rng)
    elif fill == "membrane":
        content = seamless(seen, np.zeros_like(seen), hole)
    else:
        content = _inpainted(seen, hole, fill)
    if grain > 0:
        content = content + np.float32(grain) * _grain(levels, window, rng)
    return blended(levels, window, content, np.asarray(alpha, np.float32))
