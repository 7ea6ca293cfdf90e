"""Keyed MACs over the tiles of an image: exact, and they locate a change."""

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from medseal.imaging.image import StoredValues

__all__ = [
    "MAX_TILES",
    "TILE_MAC_BYTES",
    "TileGrid",
    "macs_of_sums",
    "textured_tiles",
    "tile_macs",
    "tile_pads",
    "tile_sums",
]

# Tiles a side of one frame; halved for many frames until the limit holds.
_TILES_A_SIDE = 32
MAX_TILES = 16_384
"""Tiles of one image, all frames together; as many as frames are allowed."""

TILE_MAC_BYTES = 2
_DROPPED_BITS = np.uint64(48)
_SHORT_BYTES = 2
# The nonce of ChaCha20 in `cryptography`: a 32-bit counter, then 96 bits.
_COUNTER_BYTES = 4
_NONCE_BYTES = 12
_FACTORS, _PADS = 0, 1
# Characters that are held widened to 64 bits at a time.
_CHARACTERS_AT_A_TIME = 2**21

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileGrid:
    """How an image of a given geometry is cut into tiles.

    Attributes
    ----------
    frames, rows, columns
        Of the image.
    tile_rows, tile_columns
        Size of a tile; the last ones in a row or column may be cut.
    """

    frames: int
    rows: int
    columns: int
    tile_rows: int
    tile_columns: int

    @classmethod
    def of(cls, frames: int, rows: int, columns: int) -> "TileGrid":
        """Return the grid of a geometry: 32 x 32 tiles a frame, coarser beyond 16 frames."""
        side = _TILES_A_SIDE
        while side > 1 and frames * side * side > MAX_TILES:
            side //= 2
        return cls(
            frames=frames,
            rows=rows,
            columns=columns,
            tile_rows=-(-rows // side),
            tile_columns=-(-columns // side),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, and tiles down and across."""
        return self.frames, -(-self.rows // self.tile_rows), -(-self.columns // self.tile_columns)

    @property
    def tiles(self) -> int:
        """Number of tiles in all frames."""
        frames, down, across = self.shape
        return frames * down * across

    def cut(self, frame: StoredValues) -> StoredValues:
        """Return the tiles of a frame, filled up with zeros: (down, rows, across, columns, ...)."""
        _, down, across = self.shape
        rows, columns = down * self.tile_rows, across * self.tile_columns
        if frame.shape[:2] != (rows, columns):
            whole = np.zeros((rows, columns, *frame.shape[2:]), frame.dtype)
            whole[: self.rows, : self.columns] = frame
            frame = whole
        return frame.reshape(down, self.tile_rows, across, self.tile_columns, *frame.shape[2:])

    def any_in_tile(self, places: Flags) -> Flags:
        """Return which tiles hold a marked place: (rows, columns) to (down, across)."""
        # First along the rows of a tile, which lie apart in memory and so reduce fast.
        return np.asarray(np.any(np.any(self.cut(places), axis=1), axis=2), np.bool_)

    def spread(self, tiles: Flags) -> Flags:
        """Return the places inside the marked tiles: (down, across) to (rows, columns)."""
        places = np.repeat(np.repeat(tiles, self.tile_rows, axis=0), self.tile_columns, axis=1)
        return np.ascontiguousarray(places[: self.rows, : self.columns])


def _characters(tiles: StoredValues) -> NDArray[np.uint64]:
    """Return the values of tiles as 16- or 32-bit characters, one line a tile.

    Parameters
    ----------
    tiles
        Some of `TileGrid.cut`: (down, rows, across, columns, samples).
    """
    down, _, across = tiles.shape[:3]
    if tiles.dtype.itemsize == 1:
        # Two's complement keeps -1 and 255 apart.
        tiles = tiles.astype("<i2")
    ordered = np.ascontiguousarray(tiles.swapaxes(1, 2), tiles.dtype.newbyteorder("<"))
    width = "<u2" if ordered.dtype.itemsize == _SHORT_BYTES else "<u4"
    return ordered.reshape(down * across, -1).view(width).astype(np.uint64)


def _key_stream(key: bytes, purpose: int, count: int) -> NDArray[np.uint64]:
    """Return `count` uniform 64-bit numbers: ChaCha20 under the key, one nonce for each purpose."""
    nonce = bytes(_COUNTER_BYTES) + purpose.to_bytes(_NONCE_BYTES, "big")
    stream = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(8 * count))
    return np.frombuffer(stream, "<u8")


def tile_macs(values: StoredValues, grid: TileGrid, key: bytes) -> NDArray[np.uint16]:
    """Return the keyed MACs of all tiles: (frames, down, across).

    With the characters s of a tile, secret 64-bit numbers m that all tiles share and a secret
    64-bit number p for this tile alone, the MAC is the top 16 bits of p + m1 s1 + m2 s2 + ...
    modulo 2^64. This hash is strongly universal in its top 32 bits for characters below 2^32, and
    p hides it: whoever lacks the key alters a tile unseen with a chance of 2^-16, whatever he
    has seen and however much he computes.

    Parameters
    ----------
    values
        (frames, rows, columns, samples).
    grid
        Of this geometry.
    key
        32 bytes, used for this image only.

    References
    ----------
    Wegman and Carter 1981, doi:10.1016/0022-0000(81)90033-7; Lemire and Kaser 2014,
    doi:10.1093/comjnl/bxt070 (MULTILINEAR); ChaCha20: RFC 8439.
    """
    sums, pads = tile_sums(values, grid, key), tile_pads(grid, key)
    return macs_of_sums(sums, pads).reshape(grid.shape)


def tile_sums(values: StoredValues, grid: TileGrid, key: bytes) -> NDArray[np.uint64]:
    """Return m1 s1 + m2 s2 + ... modulo 2^64 of all tiles: (frames, tiles of a frame).

    They do not depend on the place of a tile or frame, so that a frame can be compared with every
    frame of a record.

    Parameters
    ----------
    values
        (frames, rows, columns, samples); any number of frames.
    grid
        Of this size of a frame.
    key
        32 bytes, used for this image only.
    """
    _, down, across = grid.shape
    factors: NDArray[np.uint64] | None = None
    result = np.empty((len(values), down * across), np.uint64)
    for index, frame in enumerate(values):
        tiles = grid.cut(frame)
        step = max(1, _CHARACTERS_AT_A_TIME * down // max(1, frame.size))
        for start in range(0, down, step):
            characters = _characters(tiles[start : start + step])
            if factors is None:
                factors = _key_stream(key, _FACTORS, characters.shape[1])
            lines = slice(start * across, start * across + len(characters))
            result[index, lines] = characters @ factors
    return result


def tile_pads(grid: TileGrid, key: bytes) -> NDArray[np.uint64]:
    """Return the secret number p of each tile: (frames, tiles of a frame)."""
    return _key_stream(key, _PADS, grid.tiles).reshape(grid.frames, -1)


def macs_of_sums(sums: NDArray[np.uint64], pads: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return the MACs of tiles with these sums at the places with these pads."""
    return ((sums + pads) >> _DROPPED_BITS).astype(np.uint16)


def textured_tiles(values: StoredValues, grid: TileGrid) -> Flags:
    """Return which tiles are not constant: (frames, down, across).

    A tile also counts as textured where it differs from the value right of or below it, so that
    a tile of one single value is judged by its neighbours. Values that are not numbers differ
    from everything.
    """
    result = np.empty(grid.shape, np.bool_)
    for index, frame in enumerate(values):
        places = np.zeros(frame.shape[:2], np.bool_)
        if frame.shape[2] == 1:
            plane = frame[:, :, 0]
            np.not_equal(plane[:, 1:], plane[:, :-1], out=places[:, :-1])
            places[:-1] |= plane[1:] != plane[:-1]
        else:
            places[:, :-1] |= (frame[:, 1:] != frame[:, :-1]).any(axis=2)
            places[:-1] |= (frame[1:] != frame[:-1]).any(axis=2)
        result[index] = grid.any_in_tile(places)
    return result
