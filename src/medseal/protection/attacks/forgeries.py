"""What happens to a copy with ill intent: each returns the forged image and where it was changed.

Every function takes a `MedicalImage`, changes one frame of it and returns the new image with a
mask (rows, columns) that is True exactly where a stored value changed. Edits of levels, as they
are trained on, are brought into stored values by `forge`; whatever they leave alone keeps its
stored value.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.attacks import blocks, edit_draws, edits, lesions, removal, texture
from medseal.protection.attacks.levels import Levels, change_places, levels_of
from medseal.protection.attacks.places import Patch

__all__ = [
    "Forgery",
    "add_texture",
    "blend_lesion",
    "burn_text",
    "change_block",
    "copy_move",
    "erase_detail",
    "forge",
    "insert_lesion",
    "paint_block",
    "random_forgery",
    "remove",
    "splice",
]

# Places tried until one changes something; in flat air a copied patch changes nothing.
_ATTEMPTS = 64

Mask = NDArray[np.bool_]
Forged = tuple[MedicalImage, Mask]
Edit = Callable[[Levels, np.random.Generator], Levels]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forgery:
    """A forged image.

    Attributes
    ----------
    image
        With one frame changed.
    mask
        (rows, columns), True exactly where a stored value of that frame changed.
    family
        Key of `families.FAMILIES`; of several edits joined by " + ".
    extent_pixels, contrast
        As for `edit_draws.Edited`.
    """

    image: MedicalImage
    mask: Mask
    family: str
    extent_pixels: int
    contrast: float


def _stored(image: MedicalImage, values: NDArray[np.floating]) -> StoredValues:
    """Return values as they can be stored."""
    if image.stored_values.dtype.kind != "f":
        values = np.rint(values)
    clipped = np.clip(values, *image.storable_range)
    return np.asarray(clipped, image.stored_values.dtype)


def _forged(image: MedicalImage, frame: int, changed: StoredValues) -> Forged:
    source = image.stored_values[frame]
    differs = changed != source
    if source.dtype.kind == "f":
        # What is no number equals nothing, not even itself.
        differs &= ~(np.isnan(changed) & np.isnan(source))
    mask = np.asarray(differs.any(axis=2), np.bool_)
    values = image.stored_values.copy()
    values[frame] = changed
    return image.with_stored_values(frozen(values)), mask


def _attempt(image: MedicalImage, frame: int, draw: Callable[[], StoredValues]) -> Forged:
    """Return the first of several drawn forgeries that changes a value."""
    if not 0 <= frame < image.frames:
        raise InputError(f"the image has frames 0 to {image.frames - 1}")
    for _ in range(_ATTEMPTS):
        forged, mask = _forged(image, frame, draw())
        if mask.any():
            return forged, mask
    raise InputError("the image is too flat for this forgery; nothing would change")


def _corner(
    image: MedicalImage, rows: int, columns: int, rng: np.random.Generator
) -> tuple[int, int]:
    if not (0 < rows <= image.rows and 0 < columns <= image.columns):
        raise InputError(f"a patch of {rows} x {columns} does not fit the image")
    top = int(rng.integers(0, image.rows - rows + 1))
    return top, int(rng.integers(0, image.columns - columns + 1))


def forge(image: MedicalImage, rng: np.random.Generator, edit: Edit, *, frame: int = 0) -> Forged:
    """Make an edit of levels to a frame.

    Parameters
    ----------
    image
        Any image but one of palette indices.
    rng
        Source of everything that the edit draws.
    edit
        Takes levels and the generator; gives levels of the same shape.
    frame
        Which one is changed; here and in the whole file.

    Raises
    ------
    InputError
        There is no such frame, or no draw changes a stored value.
    UnsupportedImageError
        Stored values are palette indices.
    """
    return _attempt(
        image,
        frame,
        lambda: change_places(image, lambda levels: edit(levels, rng), frame=frame),
    )


def random_forgery(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    donor: MedicalImage | None = None,
    families: Sequence[str] | None = None,
    strength: float = 1.0,
    frame: int = 0,
) -> Forgery:
    """Make a forgery of a random family with random settings; see `edit_draws.random_edit`.

    Parameters
    ----------
    image, rng, frame
        As for `forge`.
    donor
        Image of another patient, of which the first frame is taken.
    families, strength
        As for `edit_draws.random_edit`.

    Raises
    ------
    InputError
        As for `edit_draws.random_edit` and `forge`.
    UnsupportedImageError
        Stored values are palette indices.
    """
    given = None if donor is None else levels_of(donor, frame=0)
    last: list[edit_draws.Edited] = []

    def edit(levels: Levels, rng: np.random.Generator) -> Levels:
        last[:] = [
            edit_draws.random_edit(rng, levels, donor=given, families=families, strength=strength)
        ]
        return last[0].levels

    forged, mask = forge(image, rng, edit, frame=frame)
    return Forgery(
        image=forged,
        mask=mask,
        family=last[0].family,
        extent_pixels=last[0].extent_pixels,
        contrast=last[0].contrast,
    )


def copy_move(
    image: MedicalImage, rng: np.random.Generator, *, rows: int, columns: int, frame: int = 0
) -> Forged:
    """Copy a patch of the image over another place of it, every stored value exactly."""

    def draw() -> StoredValues:
        source = image.stored_values[frame]
        top, left = _corner(image, rows, columns, rng)
        top2, left2 = _corner(image, rows, columns, rng)
        result: StoredValues = source.copy()
        result[top2 : top2 + rows, left2 : left2 + columns] = source[
            top : top + rows, left : left + columns
        ]
        return result

    return _attempt(image, frame, draw)


def splice(
    image: MedicalImage,
    donor: MedicalImage,
    rng: np.random.Generator,
    *,
    rows: int,
    columns: int,
    frame: int = 0,
) -> Forged:
    """Copy a patch of another image's first frame over a place, matched in value range.

    Raises
    ------
    InputError
        The samples differ or the patch does not fit both images.
    """
    if donor.samples != image.samples:
        raise InputError("both images must have the same number of samples")
    given, patch = levels_of(donor, frame=0), Patch(rows=rows, columns=columns)
    return forge(
        image,
        rng,
        lambda levels, rng: edits.splice(levels, rng, donor=given, patch=patch),
        frame=frame,
    )


def remove(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    radius: float,
    fill: removal.Fill = "Telea",
    frame: int = 0,
) -> Forged:
    """Erase a disc by filling it in, as `removal.remove` does."""
    side = 2 * int(radius) + 1
    patch = Patch(rows=side, columns=side, shape="ellipse")
    return forge(
        image,
        rng,
        lambda levels, rng: removal.remove(levels, rng, patch=patch, fill=fill),
        frame=frame,
    )


def insert_lesion(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    radius: float,
    contrast: float = 0.25,
    frame: int = 0,
) -> Forged:
    """Lay a round lesion with a soft edge over a place, `contrast` of the range at its centre."""
    lesion = lesions.Lesion(radius=radius, contrast=contrast)
    return forge(
        image,
        rng,
        lambda levels, rng: lesions.overlaid_lesion(levels, rng, lesion=lesion),
        frame=frame,
    )


def blend_lesion(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    radius: float,
    contrast: float = 0.25,
    donor: MedicalImage | None = None,
    frame: int = 0,
) -> Forged:
    """Blend in a lesion with tissue from elsewhere, or from a donor's first frame (Poisson)."""
    lesion = lesions.Lesion(radius=radius, contrast=contrast)
    given = None if donor is None else levels_of(donor, frame=0)
    return forge(
        image,
        rng,
        lambda levels, rng: lesions.blended_lesion(levels, rng, lesion=lesion, donor=given),
        frame=frame,
    )


def erase_detail(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    side: int,
    size: int = 3,
    method: texture.Filter = "box",
    frame: int = 0,
) -> Forged:
    """Erase detail of `size` pixels in a square patch, as `texture.erase_detail` does."""
    patch = Patch(rows=side, columns=side)
    return forge(
        image,
        rng,
        lambda levels, rng: texture.erase_detail(
            levels, rng, patch=patch, size=size, method=method
        ),
        frame=frame,
    )


def add_texture(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    side: int,
    amplitude: float,
    pattern: texture.Pattern = "checkerboard",
    frame: int = 0,
) -> Forged:
    """Add a pattern of mean zero and `amplitude` levels, of period 2, to a square patch."""
    patch = Patch(rows=side, columns=side)
    return forge(
        image,
        rng,
        lambda levels, rng: texture.add_texture(
            levels, rng, patch=patch, amplitude=amplitude, pattern=pattern
        ),
        frame=frame,
    )


def change_block(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    size: int,
    steps: int,
    frame: int = 0,
) -> Forged:
    """Add `steps` stored values to a square block; size 1 and one step is the smallest edit."""

    def draw() -> StoredValues:
        top, left = _corner(image, size, size, rng)
        result: StoredValues = image.stored_values[frame].copy()
        block = np.s_[top : top + size, left : left + size]
        result[block] = _stored(image, result[block].astype(np.float64) + steps)
        return result

    return _attempt(image, frame, draw)


def paint_block(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    size: int,
    contrast: float,
    frame: int = 0,
) -> Forged:
    """Change a square block by a share of the range, as `blocks.change_block` does."""
    patch = Patch(rows=size, columns=size)
    return forge(
        image,
        rng,
        lambda levels, rng: blocks.change_block(levels, rng, patch=patch, contrast=contrast),
        frame=frame,
    )


def burn_text(
    image: MedicalImage, text: str, rng: np.random.Generator, *, height: int = 12, frame: int = 0
) -> Forged:
    """Write a line of text in white into the stored values."""
    mask = blocks.text_mask(text, height=height)
    return forge(
        image, rng, lambda levels, rng: blocks.burn_text(levels, rng, mask=mask), frame=frame
    )
