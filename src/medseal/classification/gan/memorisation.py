"""Are generated images copies of training images: nearest neighbours beside those of real ones."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["Memorisation", "check_memorisation", "nearest_distances", "picture_vectors"]

_THUMBNAIL = 32
# A generated image is flagged when fewer held-out images than this come as near to training.
_FLAG_QUANTILE = 0.01
_AT_A_TIME = 256

Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorisation:
    """How near generated and held-out real images come to training images.

    Attributes
    ----------
    generated_median, held_out_median
        Median distance to the nearest training image.
    ratio
        The first divided by the second; well below 1 is a sign of copies.
    threshold
        Distance that 1 % of the held-out images fall below.
    flagged_share
        Part of the generated images below the threshold; 0.01 is what new real images give.
    copied_share
        Part of the training images that are the nearest of a flagged image.
    """

    generated_median: float
    held_out_median: float
    ratio: float
    threshold: float
    flagged_share: float
    copied_share: float


def picture_vectors(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return thumbnails of 32x32 with mean 0 and length 1, (n, numbers), to compare pictures.

    Parameters
    ----------
    images
        uint8, (n, rows, columns) or (n, rows, columns, 3).
    """
    size = (_THUMBNAIL, _THUMBNAIL)
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
    flat = np.stack(small).reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    return np.asarray(flat / np.maximum(length, 1e-6), dtype=np.float32)


def nearest_distances(
    vectors: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the Euclidean distance to the nearest target and its number, (n,) each."""
    lengths = (targets**2).sum(axis=1)
    distances, places = [], []
    for start in range(0, len(vectors), _AT_A_TIME):
        part = vectors[start : start + _AT_A_TIME]
        squared = (part**2).sum(axis=1)[:, None] + lengths[None] - 2 * part @ targets.T
        places.append(squared.argmin(axis=1))
        distances.append(np.sqrt(np.maximum(squared.min(axis=1), 0)))
    return np.concatenate(distances).astype(np.float32), np.concatenate(places)


def check_memorisation(
    generated: NDArray[np.uint8],
    *,
    training: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    features: Features = picture_vectors,
) -> Memorisation:
    """Compare the way to the nearest training image of generated and of held-out real images.

    Parameters
    ----------
    generated
        uint8, (n, rows, columns) or (n, rows, columns, 3), of one class.
    training, held_out
        Real images of the same class and size; the generator saw the first, not the second.
    features
        What images are compared by. The default compares pictures; the features of a trained
        classifier compare what is shown.

    Returns
    -------
    Memorisation
        Over both the training images and their mirror images.

    Raises
    ------
    InputError
        One of the three holds no image.
    """
    if min(len(generated), len(training), len(held_out)) == 0:
        raise InputError("the check against copies needs generated, training and held-out images")
    targets = np.concatenate(
        [features(training), features(np.ascontiguousarray(training[:, :, ::-1]))]
    )
    made, nearest = nearest_distances(features(generated), targets)
    real, _ = nearest_distances(features(held_out), targets)
    threshold = float(np.quantile(real, _FLAG_QUANTILE))
    flagged = made < threshold
    copied = np.unique(nearest[flagged] % len(training))
    return Memorisation(
        generated_median=float(np.median(made)),
        held_out_median=float(np.median(real)),
        ratio=float(np.median(made) / max(float(np.median(real)), 1e-12)),
        threshold=threshold,
        flagged_share=float(flagged.mean()),
        copied_share=len(copied) / len(training),
    )
