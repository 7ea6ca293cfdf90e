"""Families of forgeries: for each, how its settings are drawn and what it makes of levels."""

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from medseal.errors import InputError
from medseal.protection.attacks import blocks, edits, lesions, removal, texture
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels
from medseal.protection.attacks.places import Patch, Shape

__all__ = ["FAMILIES", "Draw", "Scene", "chance"]

_SHAPES: tuple[Shape, ...] = ("rectangle", "ellipse", "blob")
_LETTERS = string.ascii_uppercase + string.digits + " .:/-"
_MOST_LETTERS = 12
# Sizes are drawn up to these shares of the shortest side.
_PATCH_SHARE = 1 / 4
_LESION_SHARE = 1 / 12
_REMOVAL_SHARE = 1 / 7
_TEXT_SHARE = 1 / 18

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What an edit is made in.

    Attributes
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255.
    strength
        0 to 1: how far settings reach towards small and faint edits.
    donor
        Levels of another image of any size, or None.
    generated
        Levels that a generative network made, or None.
    """

    levels: Levels
    strength: float
    donor: Levels | None = None
    generated: Levels | None = None

    @property
    def side(self) -> int:
        """Shortest side of all levels there are, in pixels."""
        known = [item for item in (self.levels, self.donor, self.generated) if item is not None]
        return min(int(side) for item in known for side in item.shape[:2])

    def reach(self, easy: float, hard: float) -> float:
        """Return the bound of a setting that goes from easy to hard with the strength."""
        return easy + (hard - easy) * self.strength


Draw = Callable[[np.random.Generator, Scene], Levels]


def chance(rng: np.random.Generator, share: float) -> bool:
    """Return True in a share of the draws."""
    return bool(rng.random() < share)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number, small ones as often as large ones: uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(max(high, low)))))


def _one_of(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def _patch(rng: np.random.Generator, scene: Scene, *, easy: float, hard: float) -> Patch:
    """Return a patch between a least size and a quarter of the side, its aspect up to 2."""
    largest = scene.side // 2
    least = min(scene.reach(easy, hard), largest)
    size, aspect = _between(rng, least, scene.side * _PATCH_SHARE), _between(rng, 0.7, 1.4)
    rows, columns = (int(np.clip(round(size * f), 2, largest)) for f in (aspect, 1 / aspect))
    feather = float(rng.uniform(0.5, max(size / 4, 1))) if chance(rng, 0.5) else 0.0
    return Patch(rows=rows, columns=columns, shape=_one_of(rng, _SHAPES), feather=feather)


def _fitting(rng: np.random.Generator) -> edits.Fitting:
    """Return turns and scales for half of the patches, and matched grey values for half."""
    match = float(rng.random()) if chance(rng, 0.5) else 0.0
    if chance(rng, 0.5):
        return edits.Fitting(match=match)
    return edits.Fitting(
        degrees=float(rng.uniform(-180, 180)) if chance(rng, 0.6) else 0.0,
        scale=_between(rng, 0.7, 1.4) if chance(rng, 0.6) else 1.0,
        is_mirrored=chance(rng, 0.3),
        match=match,
    )


def _contrast(rng: np.random.Generator, scene: Scene, *, least: float, most: float) -> float:
    """Return a share of the range with a sign, as low as `least` at full strength."""
    size = _between(rng, scene.reach(most * 0.7, least), most)
    return size if chance(rng, 0.5) else -size


def _copy_move(rng: np.random.Generator, scene: Scene) -> Levels:
    patch = _patch(rng, scene, easy=48, hard=10)
    return edits.copy_move(scene.levels, rng, patch=patch, fitting=_fitting(rng))


def _splice(rng: np.random.Generator, scene: Scene) -> Levels:
    if scene.donor is None:
        raise InputError("a splice needs the levels of another image")
    patch = _patch(rng, scene, easy=48, hard=10)
    return edits.splice(scene.levels, rng, donor=scene.donor, patch=patch, fitting=_fitting(rng))


def _generated(rng: np.random.Generator, scene: Scene) -> Levels:
    if scene.generated is None:
        raise InputError("a generated patch needs the levels that a network made")
    patch = _patch(rng, scene, easy=48, hard=16)
    return edits.splice(
        scene.levels, rng, donor=scene.generated, patch=patch, fitting=_fitting(rng)
    )


def _random_lesion(
    rng: np.random.Generator, scene: Scene, *, easy: float, hard: float, most: float
) -> lesions.Lesion:
    aspect = _between(rng, 1, 1.4)
    # Of all profiles the widest window reaches 1.6 radii to each side.
    largest = min(most, (scene.side - 6) / (3.2 * aspect))
    return lesions.Lesion(
        radius=_between(rng, min(scene.reach(easy, hard), largest), largest),
        contrast=_contrast(rng, scene, least=0.1, most=0.5),
        profile=_one_of(rng, lesions.PROFILES),
        aspect=aspect,
    )


def _lesion(rng: np.random.Generator, scene: Scene) -> Levels:
    most = max(scene.side * _LESION_SHARE, 6)
    return lesions.blended_lesion(
        scene.levels,
        rng,
        lesion=_random_lesion(rng, scene, easy=14, hard=4, most=most),
        texture=float(rng.uniform(0.3, 1)),
        mixed=chance(rng, 0.3),
        donor=_one_of(rng, (None, scene.donor)),
    )


def _small_lesion(rng: np.random.Generator, scene: Scene) -> Levels:
    lesion = _random_lesion(rng, scene, easy=4.5, hard=1.5, most=6)
    return lesions.overlaid_lesion(scene.levels, rng, lesion=lesion)


def _removal(rng: np.random.Generator, scene: Scene) -> Levels:
    largest = min(max(scene.side * _REMOVAL_SHARE, 8), scene.side // 2)
    size = _between(rng, min(scene.reach(24, 5), largest), largest)
    shape = _one_of(rng, _SHAPES[1:])
    feather = _one_of(rng, (0.0, 0.0, 1.5, size / 6))
    side = round(size)
    return removal.remove(
        scene.levels,
        rng,
        patch=Patch(rows=side, columns=side, shape=shape, feather=feather),
        fill=_one_of(rng, removal.FILLS),
        grain=float(rng.uniform(0.3, 1)) if chance(rng, 0.3) else 0.0,
    )


def _block(rng: np.random.Generator, scene: Scene) -> Levels:
    size = _between(rng, scene.reach(8, 0.7), 16)
    aspect = _between(rng, 0.4, 2.5) if chance(rng, 0.2) else 1.0
    rows, columns = (
        int(np.clip(round(side), 1, scene.side // 2)) for side in (size, size * aspect)
    )
    return blocks.change_block(
        scene.levels,
        rng,
        patch=Patch(rows=rows, columns=columns),
        contrast=_contrast(rng, scene, least=0.05, most=0.6),
        filled=chance(rng, 0.3),
    )


def _text(rng: np.random.Generator, scene: Scene) -> Levels:
    least = min(7, scene.side // 4)
    height = round(_between(rng, least, max(scene.side * _TEXT_SHARE, least)))
    letters = [_one_of(rng, _LETTERS) for _ in range(int(rng.integers(_MOST_LETTERS)))]
    text = _one_of(rng, string.ascii_uppercase) + "".join(letters)
    mask = blocks.text_mask(text, height=height, font=_one_of(rng, tuple(blocks.FONTS)))
    level = float(rng.uniform(160, WHITE_LEVEL) if chance(rng, 0.8) else rng.uniform(0, 60))
    ground = float(WHITE_LEVEL - level) if chance(rng, 0.15) else None
    return blocks.burn_text(scene.levels, rng, mask=mask, level=level, ground=ground)


def _erased_detail(rng: np.random.Generator, scene: Scene) -> Levels:
    return texture.erase_detail(
        scene.levels,
        rng,
        patch=_patch(rng, scene, easy=40, hard=14),
        size=int(rng.integers(2, 8)),
        method=_one_of(rng, texture.FILTERS),
        amount=float(rng.uniform(scene.reach(1, 0.5), 1)),
    )


def _texture(rng: np.random.Generator, scene: Scene) -> Levels:
    return texture.add_texture(
        scene.levels,
        rng,
        patch=_patch(rng, scene, easy=32, hard=8),
        amplitude=_between(rng, scene.reach(14, 3), 25),
        period=_one_of(rng, (2, 2, 3, 4)),
        pattern=_one_of(rng, texture.PATTERNS),
    )


# Families with the weight of each among the draws.
FAMILIES: Mapping[str, tuple[float, Draw]] = {
    "copy-move": (2, _copy_move),
    "splice": (2, _splice),
    "lesion": (2, _lesion),
    "small lesion": (2, _small_lesion),
    "removal": (2, _removal),
    "block": (2, _block),
    "text": (1, _text),
    "erased detail": (2, _erased_detail),
    "texture": (2, _texture),
    "generated": (2, _generated),
}
