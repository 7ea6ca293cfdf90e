"""The simplest motion that explains a registration as well as a free one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.orientation import Orientation
from medseal.protection.tamper.registration_search import Frames, rotation

__all__ = ["Motion", "simplest"]

# What one more degree of freedom has to gain, in squared deviations.
_PRICE = 7.0
_STEPS = 4
_CHANGE = 1e-4
_WHOLE = 1e-3
_TINY = 1e-9

Values = NDArray[np.float64]
Build = Callable[[Values], tuple[Values, Values]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    """A motion of some kind.

    Attributes
    ----------
    name
        Its kind.
    linear, shift
        See `Frames.matrix`.
    matrix
        (2, 3), tiles to the working plane.
    cost
        Squared deviations lost against the free motion, and the price of its freedom.
    """

    name: str
    linear: Values
    shift: Values
    matrix: Values
    cost: float


def _kinds(
    frames: Frames, orientation: Orientation, linear: Values, shift: Values
) -> Iterator[tuple[str, Values, Build]]:
    """Yield the kinds of motions, simplest first: name, first parameters, how to build one."""
    fill = frames.fill(orientation)
    none, one = np.zeros(2), np.eye(2)
    angle = float(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    sides = np.hypot(linear[:, 0], linear[:, 1])
    yield "unmoved", np.zeros(0), lambda _: (np.diag(fill), none)
    yield "turned", np.array([angle]), lambda z: (np.diag(fill) @ rotation(z[0]), none)
    yield (
        "turned and scaled",
        np.array([angle, scale]),
        lambda z: (z[1] * rotation(z[0]), none),
    )
    yield "cropped", shift, lambda z: (one, z)
    yield "cropped and scaled", np.array([*shift, scale]), lambda z: (z[2] * one, z[:2])
    yield (
        "cropped and stretched",
        np.array([*shift, *sides]),
        lambda z: (np.diag(z[2:]), z[:2]),
    )
    yield "turned and cropped", np.array([*shift, angle]), lambda z: (rotation(z[2]), z[:2])
    yield (
        "turned, cropped and scaled",
        np.array([*shift, angle, scale]),
        lambda z: (z[3] * rotation(z[2]), z[:2]),
    )
    yield (
        "turned, cropped and stretched",
        np.array([*shift, angle, *sides]),
        lambda z: (np.diag(z[3:]) @ rotation(z[2]), z[:2]),
    )
    yield (
        "sheared",
        np.array([*shift, *linear.ravel()]),
        lambda z: (z[2:].reshape(2, 2), z[:2]),
    )


def _difference(inverse: Values, matrix: Values, half: float) -> Values:
    """Return the small change that leads from one map to another: (6,)."""
    linear = inverse[:, :2] @ matrix[:, :2] - np.eye(2)
    moved = inverse[:, :2] @ matrix[:, 2] + inverse[:, 2]
    return np.column_stack([moved, linear * half]).ravel()


def _inverse(matrix: Values) -> Values:
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _whole_pixels(frames: Frames, orientation: Orientation, shift: Values) -> Values:
    """Return the shift at which the pixels of a crop are those of the original."""
    rows, columns = frames.expected[::-1] if orientation.swaps_sides else frames.expected
    odd = (np.array([columns, rows]) - np.array(frames.query[::-1])) / 2
    return np.asarray(odd - np.rint(odd - shift))


def _nearest(change: Callable[[Values], Values], first: Values, information: Values) -> Values:
    """Return the parameters of a kind that change least, by Gauss and Newton."""
    z = first.copy()
    for _ in range(_STEPS if z.size else 0):
        here = change(z)
        sizes = np.maximum(np.abs(z), 1.0) * _CHANGE
        slopes = np.stack(
            [
                (change(z + size * unit) - here) / size
                for size, unit in zip(sizes, np.eye(z.size), strict=True)
            ],
            axis=1,
        )
        normal = slopes.T @ information @ slopes
        normal[np.diag_indices(z.size)] *= 1 + _TINY
        z = z - np.linalg.solve(normal, slopes.T @ information @ here)
    return z


def simplest(
    frames: Frames, orientation: Orientation, matrix: Values, information: Values
) -> Motion:
    """Return the simplest motion that explains what was seen.

    Parameters
    ----------
    frames, orientation
        Sizes, and the orientation of the copy.
    matrix
        (2, 3), the free solution: tiles to the working plane.
    information
        (6, 6), inverse of the covariance of small changes ahead of it.
    """
    half = max(frames.tiles) / 2
    inverse = _inverse(matrix)
    found: list[Motion] = []
    for name, first, build in _kinds(frames, orientation, *frames.motion(matrix, orientation)):
        if any(motion.cost <= _PRICE * first.size for motion in found):
            # Its price alone is more than a simpler one costs in all.
            continue

        def change(z: Values, build: Build = build) -> Values:
            return _difference(inverse, frames.matrix(orientation, *build(z)), half)

        z = _nearest(change, first, information)
        if name == "cropped":
            z = _whole_pixels(frames, orientation, z)
        left = change(z)
        linear, shift = build(z)
        found.append(
            Motion(
                name=name,
                linear=linear,
                shift=shift,
                matrix=frames.matrix(orientation, linear, shift),
                cost=float(left @ information @ left) + _PRICE * z.size,
            )
        )
    return min(found, key=lambda motion: motion.cost)
