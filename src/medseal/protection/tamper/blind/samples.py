"""Pictures to train and validate on, and pairs: a forged tile and its clean twin, handled alike."""

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.material import training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import read
from medseal.protection.attacks.compression import to_8_bits
from medseal.protection.attacks.edit_draws import random_edit
from medseal.protection.attacks.levels import WHITE_LEVEL
from medseal.protection.tamper.blind.handling import Handling, random_handling
from medseal.protection.tamper.blind.plane import Plane, plane_of

__all__ = [
    "FAMILIES",
    "Batch",
    "Pair",
    "Picture",
    "Pictures",
    "Recipe",
    "draw_batch",
    "forge",
    "read_pictures",
]

# Families that need nothing but images of patients.
FAMILIES = (
    "copy-move",
    "splice",
    "lesion",
    "small lesion",
    "removal",
    "block",
    "text",
    "erased detail",
    "texture",
)
_LEAST_SIDE = 96
_LEAST_DEVIATION = 2.0
_VALIDATION_SHARE = 10
# Modalities are drawn by this power of their number of pictures: rare ones count for more.
_POWER = 0.35
_DRAWS = 8
# Of the tiles, those whose grey values are squeezed as in images of more than 8 bits, unrounded.
_FINE_SHARE = 0.15
# Of the tiles, those cut so that a changed place lies in them.
_AIMED_SHARE = 0.95
_LOGGER = logging.getLogger("medseal.train")

Stored = NDArray[np.uint8] | NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """One image of a patient.

    Attributes
    ----------
    plane
        (rows, columns) levels, uint8 where they are whole.
    modality
        As `Material` names it.
    """

    plane: Stored
    modality: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Pictures of training by modality, and of validation, no group in both.

    Attributes
    ----------
    training
        By modality.
    validation
        In a fixed order, modalities in turn.
    digest
        Hexadecimal SHA-256 of all of them in order.
    """

    training: Mapping[str, tuple[Picture, ...]]
    validation: tuple[Picture, ...]
    digest: str

    @property
    def count(self) -> int:
        """Pictures of training."""
        return sum(map(len, self.training.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How pairs are made.

    Attributes
    ----------
    families, strength
        As for `attacks.random_edit`.
    handled_share
        Of the pairs, those that are handled after the forgery.
    twin_share
        Of the clean tiles of a batch, those that are the twin of a forged one.
    """

    families: tuple[str, ...] = FAMILIES
    strength: float = 1.0
    handled_share: float = 0.5
    twin_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """A forged plane, its clean twin and the mask, all (rows, columns), handled alike.

    Attributes
    ----------
    family
        Of the forgery.
    extent_pixels
        Of the change before handling.
    handling
        Kinds of steps.
    """

    forged: Plane
    clean: Plane
    mask: Mask
    family: str
    extent_pixels: int
    handling: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Forged and clean tiles of a step, and masks of the forged ones: (n, side, side) each."""

    forged: NDArray[np.float32]
    clean: NDArray[np.float32]
    masks: NDArray[np.float32]


def _picture(path: Path, modality: str) -> Picture | None:
    try:
        image = read(path)
        plane = plane_of(image, frame=image.frames // 2)
    except MedsealError:
        return None
    if min(plane.shape) < _LEAST_SIDE or float(plane.std()) < _LEAST_DEVIATION:
        return None
    whole = plane.astype(np.uint8)
    return Picture(plane=whole if np.array_equal(whole, plane) else plane, modality=modality)


def _in_turn(found: Mapping[str, Sequence[Picture]]) -> tuple[Picture, ...]:
    """Return pictures, the first of each modality, then the second of each."""
    longest = max(map(len, found.values()), default=0)
    return tuple(
        found[name][place]
        for place in range(longest)
        for name in sorted(found)
        if place < len(found[name])
    )


def read_pictures(
    data: Path, *, per_collection: int, seed: int, without_modalities: Collection[str] = ()
) -> Pictures:
    """Read the images that may be trained on; one group in ten is kept for validation.

    Parameters
    ----------
    data
        As for `datasets.material.training_files`.
    per_collection
        Most images of one folder.
    seed
        Of the choice among them.
    without_modalities
        Only validated on.

    Raises
    ------
    InputError
        There is no image to train on or to validate on, or no image of a modality left out.
    """
    files = training_files(data)
    unknown = set(without_modalities) - {item.modality for item in files}
    if unknown:
        raise InputError(f"{data}: no images of the modality {min(unknown)} to leave out")
    taken: Counter[Path] = Counter()
    training: dict[str, list[Picture]] = {}
    validation: dict[str, list[Picture]] = {}
    sums = hashlib.sha256()
    for index in np.random.default_rng(seed).permutation(len(files)):
        item = files[index]
        if taken[item.path.parent] >= per_collection:
            continue
        held_back = hashlib.sha256(item.group.encode()).digest()[0] % _VALIDATION_SHARE == 0
        if not held_back and item.modality in without_modalities:
            continue
        picture = _picture(item.path, item.modality)
        if picture is None:
            continue
        sums.update(picture.plane.tobytes())
        taken[item.path.parent] += 1
        part = validation if held_back else training
        part.setdefault(item.modality, []).append(picture)
    if not training or not validation:
        raise InputError(f"{data}: no images to train on, or none to validate on")
    result = Pictures(
        training={name: tuple(training[name]) for name in sorted(training)},
        validation=_in_turn(validation),
        digest=sums.hexdigest(),
    )
    _LOGGER.info("%d images, %d to validate on", result.count, len(result.validation))
    return result


def _cut(plane: Stored, rng: np.random.Generator, side: int) -> Plane:
    """Return a square of at most `side`, turned and mirrored at random."""
    rows, columns = (min(side, length) for length in plane.shape)
    top = int(rng.integers(plane.shape[0] - rows + 1))
    left = int(rng.integers(plane.shape[1] - columns + 1))
    part = np.rot90(plane[top : top + rows, left : left + columns], int(rng.integers(4)))
    part = part[:, ::-1] if rng.random() < 0.5 else part  # noqa: PLR2004  one half
    return np.ascontiguousarray(part, np.float32)


def _squeezed(plane: Plane, rng: np.random.Generator) -> Plane:
    """Return the plane with less contrast and finer steps, as a wide range of 12 bits shows it."""
    gain = rng.uniform(0.3, 1)
    offset = rng.uniform(0, WHITE_LEVEL * (1 - gain))
    dither = rng.random(plane.shape, np.float32) - np.float32(0.5)
    squeezed = (plane + dither) * np.float32(gain) + np.float32(offset)
    return np.asarray(np.clip(squeezed, 0, WHITE_LEVEL), np.float32)


def forge(
    plane: Plane,
    donor: Plane,
    rng: np.random.Generator,
    *,
    recipe: Recipe,
    handling: Handling,
    whole: bool,
) -> Pair:
    """Return a forgery of a plane and the plane itself after the same handling.

    Parameters
    ----------
    plane, donor
        (rows, columns) levels.
    rng
        Of the forgery.
    recipe
        Which forgeries are made.
    handling
        Of both.
    whole
        Levels are rounded, as files of 8 bits hold them.

    Raises
    ------
    InputError
        The plane is too flat or too small for any forgery.
    """
    edited = random_edit(
        rng, plane, donor=donor, families=recipe.families, strength=recipe.strength
    )
    forged, clean = (
        handling.apply(to_8_bits(one) if whole else one) for one in (edited.levels, plane)
    )
    return Pair(
        forged=to_8_bits(forged) if whole else forged,
        clean=to_8_bits(clean) if whole else clean,
        mask=handling.moved(edited.mask),
        family=edited.family,
        extent_pixels=edited.extent_pixels,
        handling=handling.names,
    )


def _window(mask: Mask, rng: np.random.Generator, side: int) -> tuple[slice, slice]:
    """Return a square window, around a changed place where there is one, else anywhere."""
    places = np.argwhere(mask)
    aimed = len(places) > 0 and rng.random() < _AIMED_SHARE
    target = places[int(rng.integers(len(places)))] if aimed else None
    corner = []
    for axis, length in enumerate(mask.shape):
        low, high = 0, length - side
        if target is not None:
            low, high = max(0, int(target[axis]) - side + 1), min(high, int(target[axis]))
        corner.append(int(rng.integers(low, high + 1)))
    return slice(corner[0], corner[0] + side), slice(corner[1], corner[1] + side)


def _drawn(pictures: Pictures, rng: np.random.Generator, *, side: int) -> tuple[Picture, Picture]:
    """Return a picture of at least `side` and another one of its modality."""
    names = list(pictures.training)
    shares = np.array([len(pictures.training[name]) ** _POWER for name in names])
    for _ in range(_DRAWS):
        pool = pictures.training[names[int(rng.choice(len(names), p=shares / shares.sum()))]]
        picture, donor = (pool[int(rng.integers(len(pool)))] for _ in range(2))
        if min(picture.plane.shape) >= side:
            return picture, donor
    raise InputError(f"hardly any image has {side} pixels a side, as the largest tile does")


def _pair(pictures: Pictures, rng: np.random.Generator, *, side: int, recipe: Recipe) -> Pair:
    picture, donor = _drawn(pictures, rng, side=side)
    fits = min(picture.plane.shape)
    handling = random_handling(rng, share=recipe.handled_share)
    for _ in range(_DRAWS):
        if handling.side_before(side) <= fits:
            break
        handling = random_handling(rng, share=recipe.handled_share)
    else:
        handling = random_handling(rng, share=0.0)
    plane = _cut(picture.plane, rng, max(handling.side_before(side), min(side + 8, fits)))
    other = _cut(donor.plane, rng, min(donor.plane.shape))
    whole = picture.plane.dtype == np.uint8 and rng.random() >= _FINE_SHARE
    if not whole:
        plane, other = _squeezed(plane, rng), _squeezed(other, rng)
    return forge(plane, other, rng, recipe=recipe, handling=handling, whole=whole)


def _next_pair(pictures: Pictures, rng: np.random.Generator, *, side: int, recipe: Recipe) -> Pair:
    """Return a pair; a flat corner of an image, where nothing can be forged, is passed over."""
    for _ in range(_DRAWS):
        try:
            return _pair(pictures, rng, side=side, recipe=recipe)
        except InputError as error:
            reason = error
    raise reason


def draw_batch(
    pictures: Pictures, rng: np.random.Generator, *, side: int, count: int, recipe: Recipe
) -> Batch:
    """Return tiles at random.

    Parameters
    ----------
    pictures
        Of training.
    rng
        Source of everything.
    side, count
        Of the tiles, and number of forged ones; there are as many clean ones.
    recipe
        How they are made.

    Raises
    ------
    InputError
        Images are too small or too flat.
    """
    forged, clean, masks = (np.empty((count, side, side), np.float32) for _ in range(3))
    for place in range(count):
        pair = _next_pair(pictures, rng, side=side, recipe=recipe)
        inside = _window(pair.mask, rng, side)
        forged[place], masks[place] = pair.forged[inside], pair.mask[inside]
        if rng.random() >= recipe.twin_share:
            pair = _next_pair(pictures, rng, side=side, recipe=recipe)
            inside = _window(pair.mask, rng, side)
        clean[place] = pair.clean[inside]
    return Batch(forged=forged, clean=clean, masks=masks)
