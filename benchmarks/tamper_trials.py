"""Copies of a test image, benign and edited, put before every detector: one record a copy."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.tamper_handling import (
    BENIGN,
    BEYOND,
    BY_NAME,
    EXACT_GROUPS,
    IN_SEQUENCE,
    NAMED,
    NONE,
    group_of,
    processing_of,
)
from benchmarks.tamper_methods import answered, detectors
from medseal.datasets.material import Material
from medseal.errors import InputError, MedsealError, UnsupportedImageError
from medseal.imaging import MedicalImage, read
from medseal.imaging.image import frozen
from medseal.protection.attacks.edit_draws import MATERIAL_LEVELS, random_edit
from medseal.protection.attacks.forgeries import change_block
from medseal.protection.attacks.lesions import Lesion, overlaid_lesion
from medseal.protection.attacks.levels import Levels, change_levels, levels_of
from medseal.protection.attacks.places import Patch
from medseal.protection.attacks.texture import add_texture, erase_detail

__all__ = [
    "FAMILIES",
    "LESION",
    "SMALLEST",
    "TEXTURE_FAMILIES",
    "Sample",
    "Trial",
    "edited",
    "one_image",
    "part_of",
    "run_unit",
    "sample",
    "trials",
]

MOST_SIDE = 512
MIN_SIDE = 96
# Frames above this are left out, native size too.
MAX_PIXELS = 2**21
SMALLEST = "one value by one level"
LESION = "lesion of 5 px"
# With fixed settings, and what must be caught of them behind lossy steps.
TEXTURE_FAMILIES: Mapping[str, float] = {
    "erased detail of 40 px": 0.6,
    "texture of 32 px, 10 levels": 0.95,
    "erased detail": 0.6,
    "texture": 0.95,
}
DRAWN = (
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
FAMILIES = (*DRAWN, SMALLEST, LESION, *list(TEXTURE_FAMILIES)[:2])
_ATTEMPTS = 12
# Of the families of an image, those that are followed by handling beyond what is benign too.
_BEYOND_SHARE = 0.3
# Levels by which the middle changed place differs: erased detail where there is some.
_LEAST_CHANGE = 1.0
_CONTRAST_PERCENTILE = 95
_WHITE = 255.0
_COLOUR_DIMENSIONS = 3

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A test image.

    Attributes
    ----------
    name
        Path below the folder of the data, with ``native`` before it where nothing is cut.
    path, donor
        Where it lies, and an image of another patient.
    modality, folder, group
        As the manifest says.
    is_native
        Whether it is taken in its own size instead of its middle 512 x 512.
    """

    name: str
    path: Path
    donor: Path
    modality: str
    folder: str
    group: str
    is_native: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A copy to be made.

    Attributes
    ----------
    family
        Of the edit; empty for a benign copy.
    handling
        Name of what is done afterwards.
    number
        Tells draws of the same kind apart.
    """

    family: str
    handling: str
    number: int = 0

    @property
    def name(self) -> str:
        """Unique among the trials of an image."""
        return f"{self.family}/{self.handling}/{self.number}"


def one_image(path: Path, *, is_native: bool = False) -> MedicalImage:
    """Return the frame in the middle of a file, cut to its middle 512 x 512.

    Raises
    ------
    InputError
        It cannot be read, or is too small or too large.
    """
    image = read(path)
    if image.photometric_interpretation.startswith("PALETTE"):
        raise InputError("palette indices have no levels to edit")
    if min(image.rows, image.columns) < MIN_SIDE or image.rows * image.columns > MAX_PIXELS:
        raise InputError("too small or too large")
    frame = image.stored_values[image.frames // 2]
    if not is_native:
        top, left = (max(side - MOST_SIDE, 0) // 2 for side in frame.shape[:2])
        frame = frame[top : top + MOST_SIDE, left : left + MOST_SIDE]
    return image.with_stored_values(frozen(frame[None].copy()))


def _draw(text: str) -> bytes:
    return hashlib.sha256(f"tamper benchmark/{text}".encode()).digest()


def _generator(text: str) -> np.random.Generator:
    return np.random.default_rng(np.frombuffer(_draw(text)[:16], "<u4"))


def _readable(item: Material, *, is_native: bool) -> bool:
    try:
        image = one_image(item.path, is_native=is_native)
    except MedsealError:
        return False
    return not is_native or max(image.rows, image.columns) > MOST_SIDE


def sample(
    files: Sequence[Material], data: Path, *, images: int, is_native: bool = False
) -> list[Sample]:
    """Return images: of each folder at most so many, of each group one, in a fixed order.

    Parameters
    ----------
    files
        To draw from.
    data
        Their folder.
    images
        Most of each folder.
    is_native
        Only images that are larger than 512 pixels, whole.
    """
    by_folder: dict[str, list[Material]] = {}
    for item in files:
        by_folder.setdefault(item.path.relative_to(data).parts[0], []).append(item)
    result = []
    for folder in sorted(by_folder):
        taken: dict[str, Material] = {}
        for item in sorted(by_folder[folder], key=lambda item: _draw(item.path.name)):
            if len(taken) > images:
                break
            if item.group not in taken and _readable(item, is_native=is_native):
                taken[item.group] = item
        found = list(taken.values())
        for place, item in enumerate(found[:images]):
            name = item.path.relative_to(data).as_posix()
            result.append(
                Sample(
                    name=f"native {name}" if is_native else name,
                    path=item.path,
                    donor=found[(place + 1) % len(found)].path,
                    modality=item.modality,
                    folder=folder,
                    group=item.group,
                    is_native=is_native,
                )
            )
    return result


def trials(
    name: str, *, rounds: int, chains: int, families: Sequence[str] = FAMILIES
) -> list[Trial]:
    """Return what is done to an image: benign copies, edits, edits followed by lossy handling.

    Parameters
    ----------
    name
        Of the image; which handling follows which edit depends on it.
    rounds
        Draws of each benign handling.
    chains
        After each family of edits, of each of three kinds: one step of those that are named, two
        of them in sequence, and any other benign handling.
    families
        Of edits.
    """
    exact = [each.name for each in BENIGN if group_of(each.name) in EXACT_GROUPS - {NONE}]
    others = [each.name for each in BENIGN if group_of(each.name) not in EXACT_GROUPS]
    beyond = [each.name for each in BEYOND]
    result = []
    for each in (*BENIGN, *BEYOND):
        # What keeps every value is the same each time.
        count = rounds if each.name in others else 1
        result += [Trial(family="", handling=each.name, number=n) for n in range(count)]
    for family in families:
        rng = _generator(f"{name}/{family}/chains")
        after = [NONE, str(rng.choice(exact))]
        if family != SMALLEST:
            # No lossy step keeps a single level, and none should.
            for kind in (sorted(NAMED), sorted(IN_SEQUENCE), others):
                after += map(str, rng.choice(kind, min(chains, len(kind)), replace=False))
            after += [str(rng.choice(beyond))] * int(rng.random() < _BEYOND_SHARE)
        result += [Trial(family=family, handling=handling) for handling in after]
    return result


def part_of(name: str, plan: Sequence[Trial], *, share: float) -> list[Trial]:
    """Return a share of the trials of an image, in an order in which any part is a fair one."""
    drawn = _generator(f"{name}/part").permutation(len(plan))
    return [plan[place] for place in drawn[: round(share * len(plan))]]


def _changed_levels(image: MedicalImage, levels: Levels) -> tuple[MedicalImage, Flags]:
    """Return the image with new levels where these differ by half a one, all else kept."""
    change = np.abs(levels - levels_of(image, frame=0))
    there = (change if change.ndim < _COLOUR_DIMENSIONS else change.max(axis=2)) >= MATERIAL_LEVELS
    whole = change_levels(image, lambda _: levels).stored_values[0]
    values = np.where(there[:, :, None], whole, image.stored_values[0])
    mask = np.asarray((values != image.stored_values[0]).any(axis=2), np.bool_)
    return image.with_stored_values(frozen(values[None])), mask


def _fixed(family: str) -> Callable[[Levels, np.random.Generator], Levels]:
    """Return an edit with settings that are always the same; the place is drawn."""
    if family == LESION:
        lesion = Lesion(radius=5.0, contrast=0.25, profile="cosine", aspect=1.0)
        return lambda levels, rng: overlaid_lesion(levels, rng, lesion=lesion)
    if family.startswith("erased detail"):
        patch = Patch(rows=40, columns=40, shape="ellipse")
        return lambda levels, rng: erase_detail(
            levels, rng, patch=patch, size=4, method="box", amount=1.0
        )
    patch = Patch(rows=32, columns=32, shape="rectangle")
    return lambda levels, rng: add_texture(
        levels, rng, patch=patch, amplitude=10.0, period=2, pattern="checkerboard"
    )


def edited(
    image: MedicalImage, family: str, rng: np.random.Generator, donor: Levels
) -> tuple[MedicalImage, Flags]:
    """Return the image with an edit of a family, and where a value changed.

    Raises
    ------
    InputError
        The image is too flat for it.
    """
    if family == SMALLEST:
        return change_block(image, rng, size=1, steps=1)
    levels = levels_of(image, frame=0)
    if family in DRAWN:
        return _changed_levels(
            image, random_edit(rng, levels, donor=donor, families=[family]).levels
        )
    change = _fixed(family)
    for _ in range(_ATTEMPTS):
        forged = change(levels, rng)
        difference = np.abs(forged - levels)
        if difference.max() > 0 and np.median(difference[difference > 0]) >= _LEAST_CHANGE:
            return _changed_levels(image, forged)
    raise InputError("the image is too flat for this edit")


def _size(original: MedicalImage, copy: MedicalImage, mask: Flags) -> tuple[int, float]:
    """Return the longer side of an edit and its contrast, as a share of the range."""
    sides = [np.flatnonzero(mask.any(axis=axis)) for axis in (0, 1)]
    extent = max(int(places[-1] - places[0]) + 1 for places in sides)
    change = np.abs(levels_of(copy, frame=0) - levels_of(original, frame=0))[mask]
    return extent, float(np.percentile(change, _CONTRAST_PERCENTILE)) / _WHITE


@lru_cache(maxsize=1)
def _single_thread() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _row(
    item: Sample, trial: Trial, original: MedicalImage, donor: Levels
) -> tuple[dict[str, Any], MedicalImage, Flags]:
    """Return what is known of a trial, the copy, and where it was edited."""
    rng = _generator(f"{item.name}/{trial.name}")
    image, mask = original, np.zeros((original.rows, original.columns), np.bool_)
    about: dict[str, Any] = {"extent": 0, "contrast": 0.0}
    if trial.family:
        image, mask = edited(original, trial.family, rng, donor)
        extent, contrast = _size(original, image, mask)
        about = {"extent": extent, "contrast": round(contrast, 4)}
    act = BY_NAME[trial.handling].draw(rng)
    copy, truth = act.image(image), act.mask(mask)
    row = {
        "image": item.name,
        "trial": trial.name,
        "kind": "edit" if trial.family else "benign",
        "modality": item.modality,
        "folder": item.folder,
        "is_native": item.is_native,
        "family": trial.family,
        "handling": trial.handling,
        "group_of_handling": group_of(trial.handling),
        "processing": processing_of(trial.handling),
        "named": trial.handling in NAMED,
        "in_sequence": trial.handling in IN_SEQUENCE,
        **about,
    }
    return row, copy, truth


def run_unit(item: Sample, chosen: Sequence[Trial], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the records of some trials of one image, each put before all named detectors.

    An edit that the image is too flat for, or an encoding that cannot hold it, gives none.
    """
    _single_thread()
    original = one_image(item.path, is_native=item.is_native)
    donor = levels_of(one_image(item.donor, is_native=item.is_native), frame=0)
    judges = detectors(names)
    records = {judge.name: judge.enrol(original) for judge in judges}
    rows = []
    for trial in chosen:
        left_out = {"image": item.name, "trial": trial.name, "kind": "left out"}
        try:
            row, copy, truth = _row(item, trial, original, donor)
        except (InputError, UnsupportedImageError) as error:
            rows.append({**left_out, "reason": f"{type(error).__name__}: {error}"})
            continue
        if trial.family and not truth.any():
            # What is left is a benign copy of an image that nobody has sealed.
            rows.append({**left_out, "reason": "the edit was cropped away or lost in scaling"})
            continue
        row["methods"] = {
            judge.name: answered(judge, copy, records[judge.name], truth) for judge in judges
        }
        row["record_bytes"] = {name: len(record) for name, record in records.items()}
        rows.append(row)
    return rows
