"""The rival to beat, without learning: a thumbnail, keyed tile MACs and registration."""

import hashlib
import secrets
import struct
from dataclasses import dataclass

import cv2
import numpy as np

from medseal.errors import FingerprintError
from medseal.imaging import MedicalImage, values_digest
from medseal.imaging.image import StoredValues
from medseal.protection.tamper.baselines.method import Flags, Plane, Reading, luma
from medseal.protection.tamper.baselines.registration import register
from medseal.protection.tamper.baselines.residual import deviations, mask_of
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.tiles import TileGrid, textured_tiles, tile_macs

__all__ = ["ThumbnailReference", "thumbnail_references"]

_KEY_BYTES = 32
_SALT_BYTES = 16
_DIGEST_BYTES = 32
_GEOMETRY = struct.Struct(">IIBcB")
_MAX_BITS = 8
_WHITE = 255.0
# Score of what exact means decide.
_SURE = 1000.0
# Share of the textured tiles that must be untouched: almost all, or half of them while the others
# stand in few places.
_ALMOST_ALL, _HALF, _FEW_PLACES = 0.97, 0.5, 16
_DAMAGED = "the thumbnail reference is cut or damaged"
# What is tried until the thumbnail fits its bytes, in this order.
_SIDES = (112, 104, 96, 88, 80, 72, 64, 56, 48, 40, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """The parts of a record: digest and MACs of the values, and the thumbnail in levels."""

    salt: bytes
    digest: bytes
    rows: int
    columns: int
    samples: int
    dtype: np.dtype[np.generic]
    macs: bytes
    textured: bytes
    picture: bytes

    @property
    def grid(self) -> TileGrid:
        return TileGrid.of(1, self.rows, self.columns)

    def to_bytes(self) -> bytes:
        kind, size = self.dtype.kind.encode(), self.dtype.itemsize
        geometry = _GEOMETRY.pack(self.rows, self.columns, self.samples, kind, size)
        head = self.salt + self.digest + geometry
        return head + self.macs + self.textured + self.picture

    @classmethod
    def from_bytes(cls, data: bytes) -> "_Record":
        try:
            start = _SALT_BYTES + _DIGEST_BYTES
            rows, columns, samples, kind, size = _GEOMETRY.unpack_from(data, start)
            tiles = TileGrid.of(1, rows, columns).tiles
            macs = start + _GEOMETRY.size
            textured = macs + 2 * tiles
            picture = textured + -(-tiles // 8)
            if picture >= len(data):
                raise FingerprintError(_DAMAGED)
            return cls(
                salt=data[:_SALT_BYTES],
                digest=data[_SALT_BYTES:start],
                rows=rows,
                columns=columns,
                samples=samples,
                dtype=np.dtype(f"{kind.decode()}{size}"),
                macs=data[macs:textured],
                textured=data[textured:picture],
                picture=data[picture:],
            )
        except (struct.error, TypeError, UnicodeDecodeError, ZeroDivisionError) as error:
            raise FingerprintError(_DAMAGED) from error


def _picture(plane: Plane, side: int, bits: int) -> bytes:
    """Return the plane as a PNG whose longer side is `side`, or that of the plane if shorter."""
    scale = min(side / max(plane.shape), 1.0)
    rows, columns = (max(round(length * scale), 1) for length in plane.shape)
    small = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
    steps = 2**bits - 1
    values = np.clip(np.rint(small * (steps / _WHITE)), 0, steps).astype(np.uint8)
    _, data = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return data.tobytes()


def _levels(picture: bytes, bits: int) -> Plane:
    values = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    if values is None:
        raise FingerprintError(_DAMAGED)
    return np.asarray(values * np.float32(_WHITE / (2**bits - 1)), np.float32)


def _is_local(differs: Flags, textured: Flags) -> bool:
    """Return whether the tiles that differ are an edit: all else kept every value."""
    basis = textured if textured.any() else np.ones_like(textured)
    untouched = np.count_nonzero(basis & ~differs) / np.count_nonzero(basis)
    places = cv2.connectedComponents(differs.astype(np.uint8), connectivity=8)[0] - 1
    return bool(untouched > _ALMOST_ALL or (untouched > _HALF and places <= _FEW_PLACES))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailReference:
    """Digest and tile MACs decide what they can; else the registered copy meets the thumbnail.

    Attributes
    ----------
    side, bits
        Longer side of the thumbnail, and bits of its levels.
    most_bytes
        If given, the longer side is the largest of some below 120 whose PNG fits these bytes.
    key
        32 bytes, for the MACs.
    """

    name: str
    threshold: float
    side: int = 192
    bits: int = 6
    most_bytes: int | None = None
    key: bytes = bytes(range(_KEY_BYTES))
    is_blind: bool = False

    def _macs(self, values: StoredValues, grid: TileGrid, salt: bytes) -> StoredValues:
        image_key = hashlib.blake2b(salt, key=self.key, digest_size=_KEY_BYTES).digest()
        return tile_macs(values, grid, image_key)

    def _thumbnail(self, plane: Plane) -> bytes:
        if self.most_bytes is None:
            return _picture(plane, self.side, self.bits)
        for side in _SIDES:
            picture = _picture(plane, side, self.bits)
            if len(picture) <= self.most_bytes:
                break
        return picture

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the record of the first frame."""
        values = image.stored_values[:1]
        grid = TileGrid.of(1, image.rows, image.columns)
        salt = secrets.token_bytes(_SALT_BYTES)
        record = _Record(
            salt=salt,
            digest=values_digest(image).value,
            rows=image.rows,
            columns=image.columns,
            samples=image.samples,
            dtype=values.dtype,
            macs=self._macs(values, grid, salt).astype(">u2").tobytes(),
            textured=np.packbits(textured_tiles(values, grid)).tobytes(),
            picture=self._thumbnail(luma(image)),
        )
        return record.to_bytes()

    def compare(self, image: MedicalImage, record: bytes) -> Reading:
        """Return 0 for equal values, `_SURE` for an exactly located edit, else the deviation.

        1. Digest. 2. Tile MACs in all orientations. 3. Registration, grey curve, residual.

        Raises
        ------
        FingerprintError
            The record is damaged.
        """
        parts = _Record.from_bytes(record)
        nothing = np.zeros((image.rows, image.columns), np.bool_)
        # 1.
        if values_digest(image).value == parts.digest:
            return Reading(score=0.0, mask=nothing)
        # 2.
        exact = self._exactly(image, parts)
        if exact is not None:
            return exact
        # 3.
        reference = _levels(parts.picture, self.bits)
        found = register(luma(image), reference)
        deviation = deviations(reference, found.plane, found.is_valid)
        mask = mask_of(deviation, threshold=self.threshold)
        return Reading(
            score=float(deviation.max()), mask=found.on_copy(mask, image.rows, image.columns)
        )

    def _exactly(self, image: MedicalImage, parts: _Record) -> Reading | None:
        values = image.stored_values[:1]
        if values.dtype != parts.dtype or image.samples != parts.samples:
            return None
        known = np.frombuffer(parts.macs, ">u2").reshape(parts.grid.shape[1:])
        best: tuple[Flags, Orientation] | None = None
        for orientation in ORIENTATIONS:
            sides = values.shape[1:3][::-1] if orientation.swaps_sides else values.shape[1:3]
            if sides != (parts.rows, parts.columns):
                continue
            differs = self._macs(orientation.undo(values), parts.grid, parts.salt)[0] != known
            if best is None or np.count_nonzero(differs) < np.count_nonzero(best[0]):
                best = differs, orientation
        if best is None:
            return None
        differs, orientation = best
        mask = orientation.apply(parts.grid.spread(differs))
        if not differs.any():
            return Reading(score=0.0, mask=mask)
        bits = np.unpackbits(np.frombuffer(parts.textured, np.uint8), count=differs.size)
        textured = bits.astype(np.bool_).reshape(differs.shape)
        return Reading(score=_SURE, mask=mask) if _is_local(differs, textured) else None


def thumbnail_references() -> tuple[ThumbnailReference, ...]:
    """Return the reference of about 12.7 KB and the one at the bytes of a learned fingerprint.

    Each threshold is what 2 % of harmless copies of training images exceed.
    """
    return (
        ThumbnailReference(name="thumbnail 192 + MACs", threshold=10.5),
        ThumbnailReference(name="thumbnail 2 KB + MACs", threshold=6.5, bits=5, most_bytes=2048),
    )
