"""Groups that must not cross a split: near-duplicates and the images of one patient, joined."""

from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.connected import connected
from medseal.datasets.duplicates import near_duplicate_groups
from medseal.datasets.loader import Record
from medseal.datasets.split import Part, part_of
from medseal.errors import InputError, UnreadableImageError
from medseal.imaging import display_values, read_bytes
from medseal.imaging.preprocess import to_grey

__all__ = ["clusters", "joined", "without_copies"]

# A copy stays in the part that comes first here: a test set that others use stays whole.
_KEPT_FIRST: tuple[Part, ...] = ("test", "train", "validation")


def joined(*keys: Sequence[Hashable | None]) -> list[int]:
    """Return for each item the place of the first item that it is connected with.

    Parameters
    ----------
    keys
        Sequences of one length; items with an equal key in one of them are connected, and None
        connects nothing.
    """
    pairs: list[tuple[int, int]] = []
    for sequence in keys:
        first: dict[Hashable, int] = {}
        pairs += [
            (first.setdefault(key, index), index)
            for index, key in enumerate(sequence)
            if key is not None
        ]
    return connected(len(keys[0]), pairs)


def clusters(
    paths: Sequence[Path], *, root: Path, patients: Sequence[Hashable | None]
) -> list[str]:
    """Return the group of each image: near-duplicates, and one patient's images, are joined.

    Parameters
    ----------
    paths
        Images of any size.
    root
        What messages name paths relative to.
    patients
        Of each image; None where unknown.

    Returns
    -------
    list
        ``cluster-N``, N being the place of the group's first image.

    Raises
    ------
    UnreadableImageError
        An image is missing or damaged.
    """
    near = near_duplicate_groups(_grey(path, root=root) for path in paths)
    return [f"cluster-{number}" for number in joined(near, patients)] if paths else []


def _grey(path: Path, *, root: Path) -> NDArray[np.uint8]:
    name = path.relative_to(root).as_posix()
    try:
        image = read_bytes(path.read_bytes(), name=path.name)
        # Of a volume the slice in the middle: the outer ones are often empty.
        return to_grey(display_values(image, frame=image.frames // 2))
    except (OSError, InputError) as error:
        raise UnreadableImageError(f"{name}: {error}; replace the file or move it away") from error


def without_copies(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return the records whose group stands in one part only, and what was left out.

    Parameters
    ----------
    records
        With the part that the data give; all without one are returned unchanged.

    Returns
    -------
    tuple
        Records, in order, and a line for each pair of parts. A group stays in the test part, or
        else in the training part.
    """
    if not all(record.part for record in records):
        return list(records), []
    home: dict[str, str] = {}
    for part in _KEPT_FIRST:
        for record in records:
            if part_of(record.part) == part:
                home.setdefault(record.group, part)
    left_out: dict[tuple[str, str], int] = {}
    kept = []
    for record in records:
        part_here, owner = part_of(record.part) or "", home.get(record.group, "")
        if part_here == owner:
            kept.append(record)
        else:
            left_out[part_here, owner] = left_out.get((part_here, owner), 0) + 1
    return kept, [
        f"{count} {part} images left out: they also stand in {owner}"
        for (part, owner), count in sorted(left_out.items())
    ]
