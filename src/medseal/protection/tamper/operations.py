"""What honest handling did to a copy, in words, as far as registration and features show it."""

import numpy as np

from medseal.protection.tamper.canonical import Plane
from medseal.protection.tamper.registration import Registration

__all__ = ["operations_of"]

# Below these nothing is said: it lies within the error of the estimate.
_LEAST_DEGREES = 0.15
_LEAST_SCALE = 0.004
_LEAST_CUT = 0.01
_LEAST_CURVE = 2.5
# What quantisation alone leaves, the mean of x * x / (x * x + 1 / 2) over a step, and how much
# more shows that values are others.
_QUANTISED, _MORE = 0.130, 0.012


def _geometry(registration: Registration) -> list[str]:
    names = [registration.orientation.name] if registration.orientation.name else []
    if abs(registration.degrees) >= _LEAST_DEGREES:
        names.append(f"rotated by {registration.degrees:.1f} degrees")
    across, down = registration.scales
    if abs(across - down) > _LEAST_SCALE * max(across, down):
        names.append(f"scaled by {across:.2f} across and {down:.2f} down")
    elif abs(across - 1) > _LEAST_SCALE:
        names.append(f"scaled by {across:.2f}")
    if 1 - registration.overlap > _LEAST_CUT and registration.moved:
        names.append(f"cut to {100 * registration.overlap:.0f} % of the area")
    return names


def _grey_values(registration: Registration, plane: Plane) -> list[str]:
    curve = registration.curve
    if not curve.rising:
        return ["shown as a negative"]
    levels = plane[~curve.clipped(plane)]
    if not levels.size or float(np.abs(curve.apply(levels) - levels).mean()) < _LEAST_CURVE:
        return []
    lost = curve.clipped_low is not None or curve.clipped_high is not None
    return ["window or contrast changed, extremes clipped" if lost else "grey values changed"]


def operations_of(registration: Registration, plane: Plane, energy: float) -> tuple[str, ...]:
    """Return what was done, geometry first.

    Parameters
    ----------
    registration
        Of the copy.
    plane
        (rows, columns), brightness of the copy.
    energy
        Median over the tiles of how much their mixtures differ, see `reference.codes.saturated`.
    """
    names = [*_geometry(registration), *_grey_values(registration, plane)]
    if energy > _QUANTISED + _MORE:
        names.append("re-encoded with losses, filtered or noisy")
    return tuple(names)
