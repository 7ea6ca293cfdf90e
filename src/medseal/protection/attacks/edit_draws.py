"""Random forgeries of levels for training and evaluation: family, settings and place drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.protection.attacks.families import FAMILIES, Draw, Scene, chance
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels

__all__ = ["LEAST_SIDE", "MATERIAL_LEVELS", "Edited", "random_edit"]

# Smallest side of levels that every family fits into.
LEAST_SIDE = 24
# A change of fewer levels is no change.
MATERIAL_LEVELS = 0.5
# An edit changes some place by this much, and all places together (root of the sum of squares) by
# as much as a single one that is changed by a twentieth of the range.
_LEAST_PEAK_LEVELS = 3.0
_LEAST_TOTAL_LEVELS = WHITE_LEVEL / 20
_ATTEMPTS = 24
# Of two or three edits in one image.
_SEVERAL_PROBABILITY = 0.1
_MOST_EDITS = 3
_COLOUR_DIMENSIONS = 3
# The change that this share of the changed places stays below is the contrast of an edit.
_CONTRAST_PERCENTILE = 95

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """Forged levels.

    Attributes
    ----------
    levels
        As given, changed within the mask; elsewhere by less than half a level.
    mask
        (rows, columns), True where a level changed by at least half a one; nowhere empty.
    family
        Key of `FAMILIES`; of several edits joined by " + ".
    extent_pixels
        Longer side of what changed; of several edits the longest.
    contrast
        Change that 5 % of the changed places exceed, in shares of the range.
    """

    levels: Levels
    mask: Mask
    family: str
    extent_pixels: int
    contrast: float


def _chosen(families: Sequence[str] | None, scene: Scene) -> dict[str, tuple[float, Draw]]:
    unknown = set(families or ()) - set(FAMILIES)
    if unknown:
        raise InputError(f"families of forgeries are {', '.join(FAMILIES)}; not {min(unknown)}")
    lacking = {
        name
        for name, source in (("splice", scene.donor), ("generated", scene.generated))
        if source is None
    }
    names = FAMILIES if families is None else families
    chosen = {name: FAMILIES[name] for name in names if name not in lacking}
    if not chosen:
        raise InputError("these families of forgeries need a donor or generated levels")
    return chosen


def _changed(before: Levels, after: Levels) -> Levels:
    """Return by how much each place changed, (rows, columns): the most of its channels."""
    change = np.zeros(before.shape[:2], np.float32)
    rows = np.flatnonzero((after != before).reshape(len(before), -1).any(axis=1))
    if rows.size:
        # The rest is worked out for these rows alone: most edits are small.
        band = slice(rows[0], rows[-1] + 1)
        moved = np.abs(after[band] - before[band])
        if moved.ndim == _COLOUR_DIMENSIONS:
            moved = np.maximum.reduce([moved[:, :, k] for k in range(moved.shape[2])])
        change[band] = moved
    return change


def _longer_side(mask: Mask) -> int:
    places = (np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1))
    return max(int(found[-1] - found[0]) + 1 for found in places)


def _one_edit(
    rng: np.random.Generator, scene: Scene, kinds: Mapping[str, tuple[float, Draw]]
) -> tuple[str, Levels]:
    """Return family and levels of an edit; draws that change nothing are repeated."""
    share = np.array([weight for weight, _ in kinds.values()])
    order = rng.choice(list(kinds), len(kinds), replace=False, p=share / share.sum())
    for name in map(str, order):
        draw = kinds[name][1]
        for _ in range(_ATTEMPTS):
            levels = draw(rng, scene)
            change = _changed(scene.levels, levels)
            enough = change.max() >= _LEAST_PEAK_LEVELS
            if enough and np.linalg.norm(change) >= _LEAST_TOTAL_LEVELS:
                return name, levels
    raise InputError("the image is too flat for this forgery; nothing would change")


def random_edit(
    rng: np.random.Generator,
    levels: Levels,
    *,
    donor: Levels | None = None,
    generated: Levels | None = None,
    families: Sequence[str] | None = None,
    strength: float = 1.0,
) -> Edited:
    """Return levels with a forgery of a random family with random settings.

    One draw in ten makes two or three edits. A family that needs a donor or generated levels is
    left out where there are none, and another one is drawn where one changes nothing.

    Parameters
    ----------
    rng
        Source of families, settings and places.
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255, 24 pixels a side or more.
    donor
        Levels of another patient's image, for splices and for the tissue of lesions.
    generated
        Levels that a generative network made, for ``generated``.
    families
        Keys of `FAMILIES` to draw from; without, all of them.
    strength
        0 to 1: how far settings reach towards small and faint edits; 1 is the whole space.

    Raises
    ------
    InputError
        The strength or a family is unknown, the levels are too small, or so flat that no family
        changes anything.
    """
    scene = Scene(levels=levels, strength=strength, donor=donor, generated=generated)
    if not 0 <= strength <= 1 or scene.side < LEAST_SIDE:
        raise InputError(
            f"a random edit has a strength of 0 to 1 and levels of {LEAST_SIDE} pixels a side"
        )
    kinds = _chosen(families, scene)
    count = 1
    if chance(rng, _SEVERAL_PROBABILITY):
        count = int(rng.integers(2, _MOST_EDITS + 1))
    made: list[str] = []
    extent = 0
    for _ in range(count):
        name, edited = _one_edit(rng, scene, kinds)
        change = _changed(scene.levels, edited)
        extent = max(extent, _longer_side(change >= MATERIAL_LEVELS))
        scene = replace(scene, levels=edited)
        made.append(name)
    change = _changed(levels, scene.levels)
    mask = change >= MATERIAL_LEVELS
    return Edited(
        levels=scene.levels,
        mask=mask,
        family=" + ".join(made),
        extent_pixels=extent,
        contrast=float(np.percentile(change[mask], _CONTRAST_PERCENTILE)) / WHITE_LEVEL,
    )
