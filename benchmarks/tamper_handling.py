"""What copies go through in the tamper benchmark: benign handling, what follows an edit, beyond.

The first two are those of `attacks.handling`, every setting drawn for each copy. What stands under
``beyond`` changes an image more than benign handling is expected to; it is reported apart.
"""

from collections.abc import Callable, Mapping

import numpy as np

from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.attacks import distortions
from medseal.protection.attacks.handling import HANDLING, LOSSY_CHAINS, Act, Handling, Mask

__all__ = [
    "AFTER_AN_EDIT",
    "BENIGN",
    "BEYOND",
    "BY_NAME",
    "EXACT_GROUPS",
    "IN_SEQUENCE",
    "NAMED",
    "NONE",
    "group_of",
    "processing_of",
]

NONE = "none"
_BEYOND = "beyond"
_TURN = "turn"
# Groups of handling that keep every value.
EXACT_GROUPS = frozenset({NONE, "lossless", _TURN})
_TURNS = frozenset(
    {"quarter turn", "half turn", "three quarter turns", "flip of rows", "flip of columns"}
)
# Before the names of `LOSSY_CHAINS`, of which some stand in `HANDLING` too.
_AFTER = "then "
# Between the names of two steps in sequence.
_SEQUENCE = " + "
# Level from which a place of a mask that was resampled belongs to it.
_HALF = 127
_PROCESSING: Mapping[str, str] = {
    "JPEG 2000": "JPEG 2000",
    "JPEG-LS": "JPEG-LS",
    "JPEG": "JPEG",
    "scale": "resize",
    "resize": "resize",
    "rotation": "rotation",
    "crop": "crop",
    "window": "window",
    "8 bits": "window",
    "contrast stretch": "window",
    "gamma": "gamma",
    "contrast": "contrast",
    "brightness": "contrast",
    "CLAHE": "contrast",
    "noise": "noise",
    "blur": "filter",
    "median": "filter",
}

Change = Callable[[MedicalImage, np.random.Generator], MedicalImage]


def _seeded(change: Change, *, moves: bool) -> Callable[[np.random.Generator], Act]:
    """Return the draw of a change; where places move, a mask goes through the very same."""

    def draw(rng: np.random.Generator) -> Act:
        seed = int(rng.integers(2**63))

        def image(original: MedicalImage) -> MedicalImage:
            return change(original, np.random.default_rng(seed))

        def carried(mask: Mask) -> Mask:
            white = MedicalImage(
                stored_values=frozen(np.where(mask, 255, 0).astype(np.uint8)[None, :, :, None]),
                bits_stored=8,
                is_signed=False,
                photometric_interpretation="MONOCHROME2",
                source_format="png",
                decoder="mask",
            )
            return np.asarray(image(white).stored_values[0, :, :, 0] > _HALF, np.bool_)

        return Act(image=image, mask=carried) if moves else Act(image=image)

    return draw


def _wider(image: MedicalImage, _: np.random.Generator) -> MedicalImage:
    return distortions.resize_to(image, rows=image.rows, columns=round(image.columns * 1.05))


_IN_PLACE: Mapping[str, Change] = {
    "CLAHE, strong": lambda image, _: distortions.clahe(image, clip_limit=2.0),
    "sharpened": lambda image, rng: distortions.sharpen(
        image, sigma=rng.uniform(0.7, 1.5), amount=rng.uniform(0.3, 1.0)
    ),
    "bilateral filter": lambda image, _: distortions.bilateral(
        image, sigma_levels=12, sigma_pixels=2
    ),
    "non-local means": lambda image, _: distortions.non_local_means(image, strength=5),
    "32 levels": lambda image, _: distortions.posterise(image, count=32),
    "inversion, not declared": lambda image, _: distortions.invert(image),
    "JPEG 30": lambda image, _: distortions.jpeg(image, quality=30),
    "noise 10": lambda image, rng: distortions.gaussian_noise(image, sigma=10, rng=rng),
}
_MOVING: Mapping[str, Change] = {
    "columns 5 % wider": _wider,
    "rotation by 15 degrees": lambda image, _: distortions.rotate(image, degrees=15),
    "screenshot": lambda image, _: distortions.screenshot(image),
    "print and scan": lambda image, rng: distortions.print_and_scan(image, rng=rng),
}

BEYOND: tuple[Handling, ...] = tuple(
    Handling(name=name, group="lossy", draw=_seeded(change, moves=moves))
    for moves, changes in ((False, _IN_PLACE), (True, _MOVING))
    for name, change in changes.items()
)
BENIGN: tuple[Handling, ...] = (
    Handling(name=NONE, group="lossless", draw=lambda _: Act(image=lambda image: image)),
    *HANDLING,
)
AFTER_AN_EDIT: tuple[Handling, ...] = tuple(
    Handling(name=f"{_AFTER}{each.name}", group=each.group, draw=each.draw) for each in LOSSY_CHAINS
)
BY_NAME: Mapping[str, Handling] = {each.name: each for each in (*BENIGN, *AFTER_AN_EDIT, *BEYOND)}

# What edits of 8 px must be found behind: one step, and two of these in sequence.
NAMED = frozenset(each.name for each in AFTER_AN_EDIT if _SEQUENCE not in each.name)
IN_SEQUENCE = frozenset(each.name for each in AFTER_AN_EDIT) - NAMED


def group_of(name: str) -> str:
    """Return ``none``, ``lossless`` or ``turn``, which keep every value, or another group."""
    if name == NONE:
        return NONE
    if name in _TURNS:
        return _TURN
    if any(each.name == name for each in BEYOND):
        return _BEYOND
    return BY_NAME[name].group


def processing_of(name: str) -> str:
    """Return what a handling is counted under."""
    group = group_of(name)
    if group in {*EXACT_GROUPS, _BEYOND}:
        return group
    plain = name.removeprefix(_AFTER)
    if _SEQUENCE in plain:
        return "two in sequence"
    return next((kind for start, kind in _PROCESSING.items() if plain.startswith(start)), "other")
