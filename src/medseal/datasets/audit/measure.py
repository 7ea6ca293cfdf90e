"""One pass over a collection: traces, thumbnails, digests and flaws of each image."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.datasets.audit import traces
from medseal.datasets.copies import SIDE, thumbnail
from medseal.datasets.loader import Dataset, Record
from medseal.errors import MedsealError
from medseal.imaging import display_values
from medseal.imaging.preprocess import to_grey
from medseal.imaging.quality import measure_quality

__all__ = ["FLAWS", "Measured", "measure"]

# What a flaw means, as the report says it.
FLAWS = {
    "blank": "one grey value almost everywhere",
    "low contrast": "grey values span less than 15 % of the range",
    "clipped": "over a quarter of the picture at the brightest value",
    "blocks": "block edges of strong JPEG compression",
    "few grey levels": "most grey levels do not occur",
    "tiny": "a side below 24 pixels",
}
_MIN_CONTRAST = 0.15
_MAX_SATURATION = 0.25
_MAX_BLOCK_EDGES = 0.8
_MAX_UNUSED = 0.6
_MIN_SIDE = 24
_STEPS = 10
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What was measured, row by row.

    Attributes
    ----------
    records
        Images that could be read.
    features
        Name of a trace to float32, (n, features).
    thumbnails
        uint8, (n, SIDE, SIDE).
    pictures
        uint8, (n, SIDE, SIDE, 3), for the report.
    digests
        Of the display values.
    flaws
        Of each image, keys of `FLAWS`.
    unreadable
        Path and reason.
    """

    records: tuple[Record, ...]
    features: dict[str, NDArray[np.float32]]
    thumbnails: NDArray[np.uint8]
    pictures: NDArray[np.uint8]
    digests: tuple[str, ...]
    flaws: tuple[tuple[str, ...], ...]
    unreadable: tuple[tuple[str, str], ...]


def measure(dataset: Dataset, *, progress: Progress) -> Measured:
    """Return the measures of all images; of volumes, of the slice in the middle.

    An image that cannot be read is listed and does not stop the rest.

    Parameters
    ----------
    dataset
        Images to read.
    progress
        Called with a line about every tenth of the way.
    """
    records, unreadable = [], []
    rows: dict[str, list[traces.Features]] = {name: [] for name in traces.TRACES}
    small, pictures, digests, flaws = [], [], [], []
    total = len(dataset.records)
    for index, record in enumerate(dataset.records):
        if index and index % max(1, total // _STEPS) == 0:
            progress(f"{index} of {total} images measured")
        try:
            image = dataset.read(record)
            display = display_values(image, frame=image.frames // 2)
            data = None if dataset.opener else (dataset.root / record.path).read_bytes()
        except (MedsealError, OSError) as error:
            unreadable.append((record.path, str(error)))
            continue
        grey = to_grey(display)
        records.append(record)
        rows["file header"].append(traces.file_header(data, grey.shape))
        rows["file size"].append(traces.file_size(data, display))
        rows["border"].append(traces.border(display))
        rows["texture"].append(traces.texture(display))
        rows["histogram"].append(traces.histogram(display))
        small.append(thumbnail(grey))
        picture = cv2.resize(display, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        pictures.append(np.broadcast_to(picture.reshape(SIDE, SIDE, -1), (SIDE, SIDE, 3)))
        digests.append(hashlib.sha256(repr(display.shape).encode() + display.tobytes()).hexdigest())
        flaws.append(_flaws(display, grey))
    return Measured(
        records=tuple(records),
        features={
            name: np.stack(values) if values else np.empty((0, 0), np.float32)
            for name, values in rows.items()
        },
        thumbnails=np.stack(small) if small else np.empty((0, SIDE, SIDE), np.uint8),
        pictures=np.stack(pictures) if pictures else np.empty((0, SIDE, SIDE, 3), np.uint8),
        digests=tuple(digests),
        flaws=tuple(flaws),
        unreadable=tuple(unreadable),
    )


def _flaws(display: NDArray[np.uint8], grey: NDArray[np.uint8]) -> tuple[str, ...]:
    quality = measure_quality(display)
    if quality.is_blank:
        return ("blank",)
    tests = {
        "low contrast": quality.contrast < _MIN_CONTRAST,
        "clipped": quality.saturation > _MAX_SATURATION,
        "blocks": max(traces.block_edges(grey)) > _MAX_BLOCK_EDGES,
        "few grey levels": traces.unused_levels(grey) > _MAX_UNUSED,
        "tiny": min(grey.shape) < _MIN_SIDE,
    }
    return tuple(name for name, is_so in tests.items() if is_so)
