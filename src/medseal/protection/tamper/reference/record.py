"""The robust part of a fingerprint: of each frame a coarse picture and the bits of its features."""

import hashlib
from dataclasses import dataclass

from medseal.errors import FingerprintError
from medseal.imaging import MedicalImage
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import (
    CanonicalGrid,
    Plane,
    brightness,
    resampled,
)
from medseal.protection.tamper.reference.codes import (
    BITS,
    COARSE_BITS,
    COARSE_LEVELS,
    MIXTURES,
    Codes,
    Readout,
    to_bits,
)
from medseal.protection.tamper.reference.inference import MODEL_TAG_BYTES, Networks, load
from medseal.protection.tamper.reference.picture import (
    QUANTILES,
    CoarsePicture,
    numbers_of,
    picture_bytes,
)

__all__ = [
    "MAX_FRAME_BYTES",
    "PURPOSE",
    "FrameRecord",
    "enrol",
    "frame_records",
    "model_tag",
    "readout",
]

PURPOSE = b"robust"
"""Names the sub-key of a fingerprint that the readout is drawn from."""

_BYTE = 8
_MOST_TILES = 1024
MAX_FRAME_BYTES = COARSE_LEVELS + QUANTILES + _MOST_TILES * (COARSE_BITS + BITS * MIXTURES) // _BYTE
"""Bytes that the robust part keeps of a frame at most."""

# Deviation of levels below which a frame has nothing that could be compared.
_LEAST_DEVIATION = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameRecord:
    """What is kept of a frame.

    Attributes
    ----------
    picture
        Coarse: tile means and quantiles of levels.
    codes
        (tiles, MIXTURES), 0 to 3.
    """

    picture: CoarsePicture
    codes: Codes


def _bytes_of(count: int, bits: int) -> int:
    return -(-count * bits // _BYTE)


def _frame_bytes(grid: CanonicalGrid) -> int:
    return picture_bytes(grid) + _bytes_of(grid.tiles * MIXTURES, BITS)


def _frame_key(key: bytes, frame: int) -> bytes:
    return hashlib.blake2b(frame.to_bytes(4, "big"), key=key, digest_size=32).digest()


def readout(key: bytes, frame: int, *, grid: CanonicalGrid, networks: Networks) -> Readout:
    """Return what the key reads of a frame."""
    return Readout.of(_frame_key(key, frame), tiles=grid.tiles, features=networks.features)


def _enrolled(plane: Plane, grid: CanonicalGrid, networks: Networks, reads: Readout) -> bytes:
    canonical = resampled(plane, grid.shape)
    codes = reads.codes(networks.read(canonical).features)
    return bytes(CoarsePicture.of(canonical)) + to_bits(codes, BITS)


def enrol(image: MedicalImage, key: bytes, *, networks: Networks | None = None) -> bytes:
    """Return the robust part for an image; empty where there is nothing to compare later.

    Parameters
    ----------
    image
        Any image. One that is too small, too long, of palette indices, constant, or of more than
        250 frames has no robust part: exact evidence is all there will be.
    key
        32 bytes, the fingerprint's sub-key for `PURPOSE`.
    networks
        The installed ones when None.

    Raises
    ------
    WeightsError
        The networks are missing or damaged.
    """
    grid = CanonicalGrid.of(image.frames, image.rows, image.columns)
    if grid is None or image.photometric_interpretation.startswith("PALETTE"):
        return b""
    networks = networks or load()
    planes = [brightness(levels_of(image, frame=frame)) for frame in range(image.frames)]
    if max(float(plane.std()) for plane in planes) < _LEAST_DEVIATION:
        return b""
    parts = [
        _enrolled(plane, grid, networks, readout(key, frame, grid=grid, networks=networks))
        for frame, plane in enumerate(planes)
    ]
    return networks.tag + b"".join(parts)


def model_tag(robust: bytes) -> bytes:
    """Return which model wrote a robust part that is not empty."""
    return robust[:MODEL_TAG_BYTES]


def _frame_record(data: bytes, grid: CanonicalGrid) -> FrameRecord:
    end = picture_bytes(grid)
    codes = numbers_of(data[end:], BITS, grid.tiles * MIXTURES)
    return FrameRecord(
        picture=CoarsePicture.read(data[:end], grid), codes=codes.reshape(grid.tiles, MIXTURES)
    )


def frame_records(robust: bytes, *, frames: int, grid: CanonicalGrid) -> tuple[FrameRecord, ...]:
    """Return what a robust part keeps of each frame; it was authenticated before.

    Raises
    ------
    FingerprintError
        Its length does not fit the geometry, levels fall, or unused bits are not zero.
    """
    size = _frame_bytes(grid)
    if len(robust) != MODEL_TAG_BYTES + frames * size:
        raise FingerprintError("the robust part of the fingerprint has the wrong length")
    starts = range(MODEL_TAG_BYTES, len(robust), size)
    return tuple(_frame_record(robust[start : start + size], grid) for start in starts)
