"""Tell a change in places from a change of the whole by which tiles differ."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.report import parts_of

__all__ = ["Pattern", "pattern_of", "untouched_share"]

Flags = NDArray[np.bool_]
Pattern = Literal["equal", "local", "scattered", "whole"]

# Share of the textured tiles that must be untouched before the others count as the edit: dark
# texture outlives many a processing of the whole.
_LOCAL_SHARE = 0.5
# So many separate changed places are still few.
_FEW_CLUSTERS = 16
# Few changed places prove an edit if they are a small part of the image, or fill their boxes.
_SMALL_SHARE, _FEW_TILES, _FILLED = 0.1, 4, 0.5
# Neighbouring tiles of which one is changed, relative to a random arrangement: 1 for scattered
# changes as noise and re-encoding leave them, towards 0 for solid areas.
_SOLID_RATIO = 0.6


def untouched_share(differs: Flags, textured: Flags) -> float:
    """Return the share of the textured tiles that are equal; of all, where none is textured."""
    basis = textured if textured.any() else np.ones_like(textured)
    return float(np.count_nonzero(basis & ~differs) / np.count_nonzero(basis))


def _solid_ratio(differs: Flags, domain: Flags) -> float:
    """Return how often neighbours are unlike, relative to a random arrangement of the same tiles.

    The join-count statistic: a random arrangement with a share p of changed tiles has unlike
    neighbours in a share 2 p (1 - p) of all pairs. Pairs are counted inside the domain.
    """
    unlike, pairs = 0, 0
    for axis in (0, 1):
        ahead = [slice(None), slice(None)]
        behind = [slice(None), slice(None)]
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        both = domain[tuple(ahead)] & domain[tuple(behind)]
        pairs += int(np.count_nonzero(both))
        unlike += int(np.count_nonzero(both & (differs[tuple(ahead)] != differs[tuple(behind)])))
    share = np.count_nonzero(differs) / max(int(np.count_nonzero(domain)), 1)
    expected = 2 * share * (1 - share) * pairs
    return unlike / expected if expected else 0.0


def pattern_of(differs: Flags, textured: Flags) -> Pattern:
    """Return how the tiles that differ lie in one frame.

    A tile of air is constant before and after most processing, so it proves nothing; a textured
    tile that kept every value shows that the copy was not processed as a whole. Re-encoding with
    losses at a similar quality leaves many tiles as they were, yet changes others everywhere.

    Parameters
    ----------
    differs
        (down, across), tiles that differ from the original.
    textured
        (down, across), tiles of the original that are not constant.

    Returns
    -------
    Pattern
        ``equal``; ``local``: few or solid changed places amid untouched ones; ``scattered``:
        most tiles are untouched, the others lie everywhere; ``whole``: most are changed.

    References
    ----------
    Join counts: Cliff and Ord 1981, Spatial processes.
    """
    changed = np.count_nonzero(differs)
    if not changed:
        return "equal"
    domain = textured | differs if textured.any() else np.ones_like(differs)
    if untouched_share(differs, textured) < _LOCAL_SHARE:
        return "whole"
    if _solid_ratio(differs, domain) <= _SOLID_RATIO:
        return "local"
    boxes = parts_of(differs)
    if len(boxes) > _FEW_CLUSTERS:
        return "scattered"
    room = sum((bottom - top) * (right - left) for top, left, bottom, right in boxes)
    is_small = changed <= max(_FEW_TILES, _SMALL_SHARE * np.count_nonzero(domain))
    return "local" if is_small or changed >= _FILLED * room else "scattered"
