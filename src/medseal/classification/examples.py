"""Standardised images of a data set with their classes, kept in memory for training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.datasets import Dataset, Record
from medseal.errors import InputError
from medseal.imaging import display_values
from medseal.imaging.preprocess import PreprocessConfig, standardise

__all__ = ["Examples", "read_examples"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Standardised images with their classes; a byte a pixel.

    Attributes
    ----------
    images
        uint8, (n, rows, columns), as `medseal.imaging.preprocess.standardise` gives them.
    labels
        int64, (n,), number of the class.

    Raises
    ------
    InputError
        Shapes or dtypes do not fit, or no image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 3:  # noqa: PLR2004  # (n, rows, columns)
            raise InputError("examples are 8-bit images of shape (n, rows, columns)")
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise InputError("examples need one int64 label an image")
        if len(self.labels) == 0:
            raise InputError("a part of the split holds no image: more groups are needed")
        self.images.flags.writeable = False
        self.labels.flags.writeable = False


def read_examples(
    dataset: Dataset, records: Sequence[Record], *, config: PreprocessConfig
) -> Examples:
    """Return the first frame of each record, standardised.

    Raises
    ------
    MedsealError
        A file is missing, damaged or not the one in the manifest.
    """
    images = np.empty((len(records), config.rows, config.columns), dtype=np.uint8)
    for index, record in enumerate(records):
        images[index] = standardise(display_values(dataset.read(record)), config=config)
    labels = np.array([dataset.label_index(record) for record in records], dtype=np.int64)
    return Examples(images=images, labels=labels)
