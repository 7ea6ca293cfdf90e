"""Standardised images of a data set with their classes and sources, in memory for training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medseal.datasets import Dataset, Record
from medseal.datasets.volumes import slice_numbers
from medseal.errors import ImageMismatchError, InputError
from medseal.imaging import display_values
from medseal.imaging.preprocess import PreprocessConfig, standardise

__all__ = ["Examples", "check_classes", "read_examples"]

_GREY_NDIM, _COLOUR_NDIM, _SAMPLES = 3, 4, 3


def _no_sources() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Standardised images with their classes; a byte a sample.

    Attributes
    ----------
    images
        uint8, (n, rows, columns) or (n, rows, columns, 3), as
        `medseal.imaging.preprocess.standardise` gives them.
    labels
        int64, (n,), number of the class.
    sources
        int64, (n,), number of the source; all 0 where none is given.
    groups
        int64, (n,), number of the group (patient, lesion, near-duplicates); all different where
        none is given.

    Raises
    ------
    InputError
        Shapes or dtypes do not fit, or no image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    sources: NDArray[np.int64] = field(default_factory=_no_sources)
    groups: NDArray[np.int64] = field(default_factory=_no_sources)

    def __post_init__(self) -> None:
        shape = self.images.shape
        grey = len(shape) == _GREY_NDIM
        colour = len(shape) == _COLOUR_NDIM and shape[3] == _SAMPLES
        if self.images.dtype != np.uint8 or not (grey or colour):
            raise InputError("examples are 8-bit images of shape (n, rows, columns) or (..., 3)")
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.images),):
            raise InputError("examples need one int64 label an image")
        if len(self.labels) == 0:
            raise InputError("a part of the split holds no image: more groups are needed")
        if len(self.sources) == 0:
            object.__setattr__(self, "sources", np.zeros(len(self.labels), dtype=np.int64))
        if len(self.groups) == 0:
            object.__setattr__(self, "groups", np.arange(len(self.labels), dtype=np.int64))
        _check_numbers("source", self.sources, count=len(self.labels))
        _check_numbers("group", self.groups, count=len(self.labels))
        for array in (self.images, self.labels, self.sources, self.groups):
            array.flags.writeable = False

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour images."""
        return 1 if self.images.ndim == _GREY_NDIM else _SAMPLES


def _check_numbers(name: str, numbers: NDArray[np.int64], *, count: int) -> None:
    if numbers.dtype != np.int64 or numbers.shape != (count,):
        raise InputError(f"examples need one int64 {name} an image")


def read_examples(
    dataset: Dataset, records: Sequence[Record], *, config: PreprocessConfig
) -> Examples:
    """Return the records standardised, of volumes `MAX_SLICES` slices each.

    The number of a source is its place among all sources and sub-collections of the data set.

    Raises
    ------
    MedsealError
        A file is missing, damaged, not the one in the manifest, or grey where colour is needed.
    """
    shape = (
        (config.rows, config.columns, _SAMPLES) if config.colour else (config.rows, config.columns)
    )
    owners: list[int] = []
    images: NDArray[np.uint8] = np.fromiter(
        _slices(dataset, records, config=config, owners=owners), dtype=np.dtype((np.uint8, shape))
    )
    owner = np.array(owners, dtype=np.int64)
    labels = np.array([dataset.label_index(record) for record in records], dtype=np.int64)
    names = sorted({_source(record) for record in dataset.records})
    sources = np.array([names.index(_source(record)) for record in records], dtype=np.int64)
    _, groups = np.unique([record.group for record in records], return_inverse=True)
    return Examples(
        images=images,
        labels=labels[owner],
        sources=sources[owner],
        groups=groups[owner].astype(np.int64),
    )


def _slices(
    dataset: Dataset, records: Sequence[Record], *, config: PreprocessConfig, owners: list[int]
) -> Iterator[NDArray[np.uint8]]:
    """Yield standardised slices, and note in `owners` the place of the record of each."""
    for place, record in enumerate(records):
        image = dataset.read(record)
        for frame in slice_numbers(image.frames):
            owners.append(place)
            try:
                yield standardise(display_values(image, frame=frame), config=config)
            except ImageMismatchError as error:
                raise ImageMismatchError(f"{record.path}: {error}") from error


def _source(record: Record) -> tuple[str, str]:
    return (record.source, record.collection)


def check_classes(examples: Examples, classes: Sequence[str], *, part: str) -> None:
    """Refuse a part of the split in which a class has no image.

    Raises
    ------
    InputError
        Names the classes.
    """
    present = set(examples.labels.tolist())
    empty = [name for number, name in enumerate(classes) if number not in present]
    if empty:
        raise InputError(
            f"no image of class {', '.join(empty)} in the {part} part: add images of it, or train "
            "on a data set without this class"
        )
