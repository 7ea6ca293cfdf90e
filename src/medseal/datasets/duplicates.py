"""Groups of near-duplicate images: shrunk, mirrored, shifted and re-encoded copies together."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.copies import find_copies, thumbnail

__all__ = ["near_duplicate_groups"]


def near_duplicate_groups(images: Iterable[NDArray[np.uint8]]) -> list[str]:
    """Return the name of the cluster of each image.

    Two images are joined when `medseal.datasets.copies.find_copies` calls one a copy of the other;
    clusters are the connected components.

    Parameters
    ----------
    images
        uint8, (rows, columns), any sizes; taken one at a time, so that a generator needs no memory.

    Returns
    -------
    list
        ``cluster-N``, N being the place of the cluster's first image.
    """
    thumbnails, digests = [], []
    for image in images:
        thumbnails.append(thumbnail(image))
        digests.append(hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest())
    if not thumbnails:
        return []
    parent = list(range(len(digests)))
    for copy in find_copies(np.stack(thumbnails), digests):
        first, second = _root(parent, copy.first), _root(parent, copy.second)
        # The smallest index names the component.
        parent[max(first, second)] = min(first, second)
    return [f"cluster-{_root(parent, index)}" for index in range(len(digests))]


def _root(parent: list[int], index: int) -> int:
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index
