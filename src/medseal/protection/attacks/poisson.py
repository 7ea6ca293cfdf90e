"""Poisson blending of levels of any depth: gradients of a source, border values of the target."""

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.attacks.levels import Levels

__all__ = ["seamless", "solve_poisson"]

_LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
_COLOUR_DIMENSIONS = 3
# Conjugate gradients stop where the residual has fallen to this share; levels are then right to
# a few hundredths.
_RESIDUAL_SHARE = 1e-3


def _laplacian(field: Levels) -> Levels:
    return np.asarray(cv2.filter2D(field, -1, _LAPLACE, borderType=cv2.BORDER_CONSTANT), np.float32)


def solve_poisson(divergence: Levels, inside: NDArray[np.bool_]) -> Levels:
    """Return the field that is 0 outside and has a given Laplacian inside.

    Parameters
    ----------
    divergence
        float32, (rows, columns): the five-point Laplacian wanted; read inside only.
    inside
        (rows, columns), True where the field is free; False on all four edges.

    Notes
    -----
    Conjugate gradients. Their number of steps grows with the diameter of the inside: 1 ms for 20
    pixels, 10 ms for 100.
    """
    domain = inside.astype(np.float32)
    field = np.zeros_like(domain)
    residual = -divergence * domain
    direction = residual
    energy = float(np.vdot(residual, residual))
    enough = energy * _RESIDUAL_SHARE**2
    for _ in range(2 * sum(inside.shape)):
        if energy <= enough:
            break
        bent = -_laplacian(direction) * domain
        step = energy / float(np.vdot(direction, bent))
        field = field + step * direction
        residual = residual - step * bent
        before, energy = energy, float(np.vdot(residual, residual))
        direction = residual + (energy / before) * direction
    return field


def _divergence(target: Levels, source: Levels, *, mixed: bool) -> Levels:
    if not mixed:
        return _laplacian(source)
    result = np.zeros_like(target)
    for axis in (0, 1):
        ours, theirs = np.diff(target, axis=axis), np.diff(source, axis=axis)
        slope = np.where(np.abs(theirs) >= np.abs(ours), theirs, ours)
        first = [slice(None)] * 2
        second = [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        result[tuple(first)] += slope
        result[tuple(second)] -= slope
    return result


def seamless(
    target: Levels, source: Levels, inside: NDArray[np.bool_], *, mixed: bool = False
) -> Levels:
    """Return the target with the source's gradients inside; nothing outside is touched.

    Parameters
    ----------
    target, source
        float32, (rows, columns) or (rows, columns, 3), of the same shape. A flat source gives the
        smoothest continuation of the target (a membrane).
    inside
        (rows, columns), False on all four edges.
    mixed
        Take the steeper of both gradients, so that strong detail of the target shines through.

    References
    ----------
    Perez, Gangnet and Blake 2003, doi:10.1145/882262.882269.
    """
    if target.ndim == _COLOUR_DIMENSIONS:
        channels = (
            seamless(target[:, :, k], source[:, :, k], inside, mixed=mixed)
            for k in range(target.shape[2])
        )
        return np.stack(list(channels), axis=2)
    ours, theirs = np.ascontiguousarray(target), np.ascontiguousarray(source)
    wanted = _divergence(ours, theirs, mixed=mixed) - _laplacian(ours)
    return ours + solve_poisson(wanted, inside)
