"""Compression of levels: JPEG, JPEG 2000, and the rounding to 8 bits that comes before both."""

import io

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medseal.protection.attacks.levels import WHITE_LEVEL, Levels

__all__ = ["jpeg", "jpeg2000", "to_8_bits"]

_COLOUR_DIMENSIONS = 3


def _bytes(levels: Levels) -> NDArray[np.uint8]:
    return np.clip(np.rint(levels), 0, WHITE_LEVEL).astype(np.uint8)


def to_8_bits(levels: Levels) -> Levels:
    """Return the levels rounded and clipped to 0 to 255: what a file of 8 bits holds.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    """
    return np.clip(np.rint(levels), np.float32(0), np.float32(WHITE_LEVEL))


def jpeg(levels: Levels, *, quality: int) -> Levels:
    """Return the levels after JPEG at a quality of 1 to 100.

    Tables and scaling are those of the IJG library; the chroma of colour is halved in both
    directions (4:2:0), as nearly every program does.
    """
    colour = levels.ndim == _COLOUR_DIMENSIONS
    data = imagecodecs.jpeg8_encode(
        _bytes(levels), level=quality, subsampling="420" if colour else None
    )
    return np.asarray(imagecodecs.jpeg8_decode(data), np.float32)


def jpeg2000(levels: Levels, *, ratio: float) -> Levels:
    """Return the levels after JPEG 2000 with the wavelet 9/7, in 8 bits a sample.

    Parameters
    ----------
    levels
        As in `to_8_bits`.
    ratio
        Bytes before to bytes after; 10 to 15 is what radiology allows for CT and radiographs.
    """
    buffer = io.BytesIO()
    Image.fromarray(_bytes(levels)).save(
        buffer, "JPEG2000", quality_mode="rates", quality_layers=[ratio], irreversible=True
    )
    with Image.open(buffer) as decoded:
        return np.asarray(decoded, np.float32)
