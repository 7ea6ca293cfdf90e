"""Fingerprint of an image: digest, keyed tile MACs and a robust part in one signed record."""

import hmac
import re
import secrets
import struct
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medseal.digest import DIGEST_BYTES, Digest
from medseal.errors import FingerprintError
from medseal.imaging import MedicalImage, values_digest
from medseal.imaging.image import StoredValues
from medseal.imaging.limits import MAX_FRAMES, MAX_PIXELS_PER_FRAME
from medseal.protection.tamper.keys import (
    SIGNATURE_BYTES,
    SIGNER_BYTES,
    TAG_BYTES,
    check_key,
    image_key,
    record_tag,
    sign,
    signer_of,
    sub_key,
    verify_signature,
)
from medseal.protection.tamper.reference.record import PURPOSE, enrol
from medseal.protection.tamper.tiles import (
    MAX_TILES,
    TILE_MAC_BYTES,
    TileGrid,
    textured_tiles,
    tile_macs,
    tile_pads,
    tile_sums,
)

__all__ = ["MAX_FINGERPRINT_BYTES", "MAX_ROBUST_BYTES", "Fingerprint", "fingerprint"]

MAX_ROBUST_BYTES = 49_152
"""Bytes of the longest robust part, all frames together."""

_MAGIC = b"MFP\x02"
_SALT_BYTES = 16
_BITS_A_BYTE = 8
# Frames, rows, columns, samples, bits stored, kind of number, bytes a value, length of the name.
_GEOMETRY = struct.Struct(">IIIBBBBB")
_KINDS = "uif"
_CELL_BYTES = (1, 2, 4, 8)
_MAX_SAMPLES = 4
_MAX_NAME_BYTES = 32
_NAME = re.compile(r"[A-Z][A-Z0-9_ ]{0,31}")
_LENGTH = struct.Struct(">H")
_HEAD_BYTES = len(_MAGIC) + _SALT_BYTES + DIGEST_BYTES + _GEOMETRY.size
_FOOT_BYTES = _LENGTH.size + SIGNER_BYTES + TAG_BYTES + SIGNATURE_BYTES
_FIXED_BYTES = _HEAD_BYTES + _FOOT_BYTES
MAX_FINGERPRINT_BYTES = (
    _FIXED_BYTES
    + _MAX_NAME_BYTES
    + MAX_TILES * TILE_MAC_BYTES
    + MAX_TILES // _BITS_A_BYTE
    + MAX_ROBUST_BYTES
)
"""Bytes of the longest fingerprint there can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What is kept of an image to recognise it and to find a change; patient data.

    `docs/spec/tamper-fingerprint.md` defines each byte.

    Attributes
    ----------
    salt
        16 random bytes; with the key they give a key for this image only.
    values
        Digest of the decoded stored values.
    frames, rows, columns, samples, bits_stored
        Of the image.
    kind, cell_bytes
        Kind of number (``u``, ``i`` or ``f``) and width of a value in the MACs.
    photometric_interpretation
        Of the image.
    macs
        2 bytes for each tile.
    textured
        One bit for each tile, packed: 1 if the tile is not constant.
    robust
        What is kept to compare a processed copy; only the robust comparison reads it. May be empty.
    signer
        Ed25519 public key of whoever made the record, 32 bytes.
    tag
        16 bytes: MAC over all of the above.
    signature
        64 bytes: Ed25519 over all of the above, for those who lack the key.

    Raises
    ------
    FingerprintError
        The fields do not fit each other.
    """

    salt: bytes
    values: Digest
    frames: int
    rows: int
    columns: int
    samples: int
    bits_stored: int
    kind: str
    cell_bytes: int
    photometric_interpretation: str
    macs: bytes
    textured: bytes
    robust: bytes
    signer: bytes
    tag: bytes
    signature: bytes

    def __post_init__(self) -> None:
        self._check_geometry()
        tiles = self.grid.tiles
        lengths = (len(self.salt), len(self.macs), len(self.textured))
        wanted = (_SALT_BYTES, TILE_MAC_BYTES * tiles, -(-tiles // _BITS_A_BYTE))
        ends = (len(self.signer), len(self.tag), len(self.signature))
        if (
            lengths != wanted
            or ends != (SIGNER_BYTES, TAG_BYTES, SIGNATURE_BYTES)
            or len(self.robust) > MAX_ROBUST_BYTES
        ):
            raise FingerprintError("a field of the fingerprint has the wrong length")
        unused_bits = -tiles % _BITS_A_BYTE
        if self.textured[-1] & ((1 << unused_bits) - 1):
            raise FingerprintError("unused bits of the fingerprint are not zero")

    def _check_geometry(self) -> None:
        fits = (
            1 <= self.frames <= MAX_FRAMES
            and self.rows >= 1
            and self.columns >= 1
            and self.rows * self.columns <= MAX_PIXELS_PER_FRAME
            and 1 <= self.samples <= _MAX_SAMPLES
        )
        if not fits:
            raise FingerprintError("the geometry in the fingerprint is out of range")
        numbers = self.cell_bytes in _CELL_BYTES and self.kind in _KINDS and len(self.kind) == 1
        if not numbers or not 1 <= self.bits_stored <= self.cell_bytes * _BITS_A_BYTE:
            raise FingerprintError("the kind of number in the fingerprint does not exist")
        if not _NAME.fullmatch(self.photometric_interpretation):
            raise FingerprintError("the fingerprint names no photometric interpretation")

    @property
    def grid(self) -> TileGrid:
        """How the image is cut into tiles."""
        return TileGrid.of(self.frames, self.rows, self.columns)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values under the MACs."""
        return np.dtype(f"{self.kind}{self.cell_bytes}")

    @property
    def textured_tiles(self) -> NDArray[np.bool_]:
        """Which tiles of the original are not constant: (frames, down, across)."""
        bits = np.unpackbits(np.frombuffer(self.textured, np.uint8), count=self.grid.tiles)
        return bits.astype(np.bool_).reshape(self.grid.shape)

    @property
    def tile_macs(self) -> NDArray[np.uint16]:
        """MACs of the tiles as numbers: (frames, down, across)."""
        return np.frombuffer(self.macs, ">u2").astype(np.uint16).reshape(self.grid.shape)

    def _body(self) -> bytes:
        name = self.photometric_interpretation.encode()
        geometry = _GEOMETRY.pack(
            self.frames,
            self.rows,
            self.columns,
            self.samples,
            self.bits_stored,
            _KINDS.index(self.kind),
            self.cell_bytes,
            len(name),
        )
        robust = _LENGTH.pack(len(self.robust)) + self.robust
        parts = (self.salt, self.values.value, geometry, name, self.macs, self.textured, robust)
        return _MAGIC + b"".join(parts) + self.signer

    def to_bytes(self) -> bytes:
        """Return the record."""
        return self._body() + self.tag + self.signature

    @classmethod
    def from_bytes(cls, data: bytes) -> "Fingerprint":
        """Return the fingerprint in a record; `authenticate` it before use.

        Raises
        ------
        FingerprintError
            Not a record of this version, cut, too long, or with impossible fields.
        """
        if data[: len(_MAGIC)] != _MAGIC:
            raise FingerprintError("not a fingerprint of version 2; seal the image again")
        if not _FIXED_BYTES < len(data) <= MAX_FINGERPRINT_BYTES:
            raise FingerprintError("the fingerprint is cut or too long")
        place = len(_MAGIC)

        def take(size: int) -> bytes:
            nonlocal place
            place += size
            return data[place - size : place]

        salt, digest = take(_SALT_BYTES), take(DIGEST_BYTES)
        *numbers, kind, cell_bytes, name_bytes = _GEOMETRY.unpack(take(_GEOMETRY.size))
        frames, rows, columns, samples, bits_stored = numbers
        if kind >= len(_KINDS) or not 1 <= frames <= MAX_FRAMES or not (rows and columns):
            raise FingerprintError("the geometry in the fingerprint is out of range")
        name = take(name_bytes)
        tiles = TileGrid.of(frames, rows, columns).tiles
        macs, textured = take(TILE_MAC_BYTES * tiles), take(-(-tiles // _BITS_A_BYTE))
        (robust_bytes,) = _LENGTH.unpack(take(_LENGTH.size).rjust(_LENGTH.size, b"\0"))
        robust, signer = take(robust_bytes), take(SIGNER_BYTES)
        tag, signature = take(TAG_BYTES), take(SIGNATURE_BYTES)
        if place != len(data):
            raise FingerprintError("the fingerprint is cut or too long")
        return cls(
            salt=salt,
            values=Digest(digest),
            frames=frames,
            rows=rows,
            columns=columns,
            samples=samples,
            bits_stored=bits_stored,
            kind=_KINDS[kind],
            cell_bytes=cell_bytes,
            photometric_interpretation=name.decode("latin-1"),
            macs=macs,
            textured=textured,
            robust=robust,
            signer=signer,
            tag=tag,
            signature=signature,
        )

    def sub_key(self, key: bytes, purpose: bytes) -> bytes:
        """Return a key for one purpose and this image only: 32 bytes.

        Parameters
        ----------
        key
            The fingerprint key.
        purpose
            Name of the purpose.

        Raises
        ------
        FingerprintError
            The key has not 32 bytes.
        """
        return sub_key(image_key(key, self.salt), purpose)

    def _completed(self, key: bytes) -> "Fingerprint":
        """Return the record with signer, tag and signature."""
        named = replace(self, signer=signer_of(key))
        body = named._body()
        tag = record_tag(body, image_key(key, self.salt))
        return replace(named, tag=tag, signature=sign(body + tag, key))

    def authenticate(self, key: bytes) -> None:
        """Refuse a record that was changed or made with another key.

        Raises
        ------
        FingerprintError
            The tag or the signature does not fit.
        """
        if not hmac.compare_digest(self.tag, record_tag(self._body(), image_key(key, self.salt))):
            raise FingerprintError("the fingerprint is damaged or was made with another key")
        self.verify_signature()

    def verify_signature(self, signer: bytes | None = None) -> None:
        """Refuse a record that was changed since it was signed; this needs no secret.

        Parameters
        ----------
        signer
            Public key that is trusted, see `signer_of`. With None the one in the record counts:
            anybody can sign a record of his own, so that proves no origin.

        Raises
        ------
        FingerprintError
            The signature does not fit, or another key made it.
        """
        if signer is not None and not hmac.compare_digest(self.signer, signer):
            raise FingerprintError("the fingerprint was signed by another key than the given one")
        verify_signature(self._body() + self.tag, self.signature, self.signer)

    def macs_of(self, values: StoredValues, key: bytes) -> NDArray[np.uint16]:
        """Return the MACs of other values of the same geometry and type under this record's key."""
        return tile_macs(values, self.grid, image_key(key, self.salt))

    def tile_sums(
        self, values: StoredValues, key: bytes, *, grid: TileGrid | None = None
    ) -> NDArray[np.uint64]:
        """Return the sums under the MACs of values of this type: (frames, tiles of a frame).

        Parameters
        ----------
        values
            Of any number of frames.
        key
            The fingerprint key.
        grid
            Where only a part of the frames is given; that of the record when None.
        """
        return tile_sums(values, grid or self.grid, image_key(key, self.salt))

    def tile_pads(self, key: bytes) -> NDArray[np.uint64]:
        """Return what was added to the sums: (frames, tiles of a frame)."""
        return tile_pads(self.grid, image_key(key, self.salt))


def fingerprint(image: MedicalImage, key: bytes, *, values: Digest | None = None) -> Fingerprint:
    """Return the fingerprint of an image.

    Parameters
    ----------
    image
        Any image.
    key
        32 bytes.
    values
        Digest of the stored values if it is known already; it takes a sixth of the time.

    Raises
    ------
    FingerprintError
        The key has not 32 bytes.
    WeightsError
        The networks of the robust part are missing or damaged.
    """
    check_key(key)
    stored = image.stored_values
    grid = TileGrid.of(image.frames, image.rows, image.columns)
    salt = secrets.token_bytes(_SALT_BYTES)
    draft = Fingerprint(
        salt=salt,
        values=values if values is not None else values_digest(image),
        frames=image.frames,
        rows=image.rows,
        columns=image.columns,
        samples=image.samples,
        bits_stored=image.bits_stored,
        kind=stored.dtype.kind,
        cell_bytes=stored.dtype.itemsize,
        photometric_interpretation=image.photometric_interpretation,
        macs=bytes(TILE_MAC_BYTES * grid.tiles),
        textured=np.packbits(textured_tiles(stored, grid)).tobytes(),
        robust=enrol(image, sub_key(image_key(key, salt), PURPOSE)),
        signer=bytes(SIGNER_BYTES),
        tag=bytes(TAG_BYTES),
        signature=bytes(SIGNATURE_BYTES),
    )
    macs = draft.macs_of(stored, key).astype(">u2").tobytes()
    return replace(draft, macs=macs)._completed(key)
