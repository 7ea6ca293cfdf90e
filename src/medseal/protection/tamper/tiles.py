"""Keyed MACs over the tiles of an image: exact, and they locate a change."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import StoredValues

__all__ = ["MAX_TILES", "TILE_MAC_BYTES", "TileGrid", "TileMacs", "textured_tiles", "tile_macs"]

# Tiles a side of one frame; halved for many frames until the limit holds.
_TILES_A_SIDE = 32
MAX_TILES = 16_384
"""Tiles of one image, all frames together; as many as frames are allowed."""

TILE_MAC_BYTES = 2
_FULL_MAC_BYTES = 16
_ROOT_BYTES = 32
_TILE_PERSON = b"medseal-tile-v1"
_ROOT_PERSON = b"medseal-root-v1"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TileMacs:
    """MACs of all tiles.

    Attributes
    ----------
    truncated
        2 bytes a tile, frame by frame, in reading order.
    root
        32 bytes: one MAC over all untruncated tile MACs. Equal roots prove equal values.
    """

    truncated: bytes
    root: bytes


def _frame_bytes(frame: StoredValues, grid: TileGrid) -> NDArray[np.uint8]:
    """Return one line of bytes a tile, in reading order: its values, little endian."""
    tiles = grid.cut(frame)
    ordered = np.ascontiguousarray(tiles.swapaxes(1, 2), tiles.dtype.newbyteorder("<"))
    return ordered.reshape(tiles.shape[0] * tiles.shape[2], -1).view(np.uint8)


def tile_macs(values: StoredValues, grid: TileGrid, key: bytes) -> TileMacs:
    """Return the keyed MACs of all tiles.

    A tile's MAC stands at the tile's place, so that two tiles that change places are found; equal
    tiles of one image have equal MACs.

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
    BLAKE2, RFC 7693.
    """
    # The key block is absorbed once; each tile goes on from a copy of that state.
    keyed = hashlib.blake2b(key=key, digest_size=_FULL_MAC_BYTES, person=_TILE_PERSON)
    root = hashlib.blake2b(key=key, digest_size=_ROOT_BYTES, person=_ROOT_PERSON)
    truncated = []
    copy = keyed.copy
    for frame in values:
        lines = _frame_bytes(frame, grid)
        size = lines.shape[1]
        data = lines.reshape(-1).data
        full = []
        for start in range(0, lines.size, size):
            state = copy()
            state.update(data[start : start + size])
            full.append(state.digest())
        root.update(b"".join(full))
        truncated.append(b"".join([mac[:TILE_MAC_BYTES] for mac in full]))
    return TileMacs(truncated=b"".join(truncated), root=root.digest())


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
