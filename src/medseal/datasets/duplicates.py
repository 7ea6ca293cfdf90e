"""Groups of near-duplicate images: shrunk, correlated, mirrored copies included."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.preprocess import PreprocessConfig, standardise

__all__ = ["DUPLICATE_CORRELATION", "near_duplicate_groups"]

# Normalised correlation of 32x32 thumbnails above which two images count as copies.
DUPLICATE_CORRELATION = 0.985
_SIDE = 32
_THUMBNAIL = PreprocessConfig(rows=_SIDE, columns=_SIDE, equalise_histogram=False)


def _normalised(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows (n, pixels) with mean 0 and length 1; flat images become zero."""
    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    result: NDArray[np.float32] = centred / np.maximum(length, 1e-6)
    return result


def near_duplicate_groups(images: Sequence[NDArray[np.uint8]]) -> list[str]:
    """Return the name of the cluster of each image.

    Two images are joined when their 32x32 thumbnails, or one mirrored left-right, top-bottom or
    both, correlate above `DUPLICATE_CORRELATION`; clusters are the connected components.

    Parameters
    ----------
    images
        uint8, (rows, columns), any sizes.

    Returns
    -------
    list
        ``cluster-N``, N being the place of the cluster's first image.
    """
    if not images:
        return []
    thumbnails = np.stack([standardise(image, config=_THUMBNAIL) for image in images])
    flat = _normalised(thumbnails.reshape(len(images), -1).astype(np.float32))
    variants = [
        _normalised(mirrored.reshape(len(images), -1).astype(np.float32))
        for mirrored in (
            thumbnails,
            thumbnails[:, :, ::-1],
            thumbnails[:, ::-1],
            thumbnails[:, ::-1, ::-1],
        )
    ]
    parent = np.arange(len(images))
    for index, image in enumerate(flat):
        close = np.zeros(len(images), dtype=bool)
        for variant in variants:
            close |= variant @ image > DUPLICATE_CORRELATION
        # Joining whole components keeps the smallest index as their name.
        joined = np.isin(parent, parent[np.append(np.flatnonzero(close), index)])
        parent[joined] = parent[joined].min()
    return [f"cluster-{number}" for number in parent]
