"""Groups of near-duplicate images: shrunk, mirrored, shifted and re-encoded copies together."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.connected import connected
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
    copies = find_copies(np.stack(thumbnails), digests)
    roots = connected(len(digests), ((copy.first, copy.second) for copy in copies))
    return [f"cluster-{root}" for root in roots]
