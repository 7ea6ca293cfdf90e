"""Grey images of 8 bits for the encryption benchmark: small for attackers, larger for channels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.datasets.material import Material, test_files, training_files
from medseal.errors import InputError, MedsealError
from medseal.imaging import display_values, read

__all__ = ["attack_images", "grey_images", "resized", "spread", "trained_images"]

_COLOUR_AXES = 3
# Larger files are volumes and whole slides, which cost minutes and add one small picture.
MAX_FILE_BYTES = 2 * 2**20


def spread(files: Iterable[Material], count: int, *, seed: int = 1) -> list[Material]:
    """Return `count` files by turns from all modalities, one of each group at most.

    Files above 2 MiB are passed over.
    """
    by_modality: dict[str, dict[str, Material]] = defaultdict(dict)
    for item in files:
        by_modality[item.modality].setdefault(item.group, item)
    rng = np.random.default_rng(seed)
    lists = []
    for modality in sorted(by_modality):
        items = sorted(by_modality[modality].values())
        lists.append([items[number] for number in rng.permutation(len(items))])
    turns = (
        items[number]
        for number in range(max(map(len, lists), default=0))
        for items in lists
        if number < len(items) and items[number].path.stat().st_size <= MAX_FILE_BYTES
    )
    return [item for item, _ in zip(turns, range(count), strict=False)]


def _grey(path: Path, side: int) -> NDArray[np.uint8]:
    shown = display_values(read(path))
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY) if shown.ndim == _COLOUR_AXES else shown
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def grey_images(files: Sequence[Material], side: int) -> NDArray[np.uint8]:
    """Return what a viewer shows of files, grey and resized: (n, side, side).

    Files that cannot be read are left out.

    Raises
    ------
    InputError
        None can be read.
    """
    found = []
    for item in files:
        try:
            found.append(_grey(item.path, side))
        except MedsealError:
            continue
    if not found:
        raise InputError("none of the images can be read")
    return np.stack(found)


def resized(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return (n, side, side) from larger square images."""
    smaller = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    return np.asarray(np.stack(smaller), np.uint8)


def _kept(
    files: Sequence[Material], count: int, side: int, folder: Path | None, name: str
) -> NDArray[np.uint8]:
    """Return images, from a file in `folder` where an earlier run has put them."""
    path = None if folder is None else folder / f"{name}-{count}-{side}.npy"
    if path is not None and path.is_file():
        return np.asarray(np.load(path, allow_pickle=False), np.uint8)
    images = grey_images(spread(files, count), side)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, images)
    return images


def trained_images(
    data: Path, count: int, side: int, *, folder: Path | None = None
) -> NDArray[np.uint8]:
    """Return images of training groups: (n, side, side), uint8."""
    return _kept(training_files(data), count, side, folder, "training")


def attack_images(
    data: Path, count: int, side: int, *, folder: Path | None = None
) -> NDArray[np.uint8]:
    """Return images of test groups: (n, side, side), uint8."""
    return _kept(test_files(data), count, side, folder, "test")
