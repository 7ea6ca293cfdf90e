import struct

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.protection.tamper.tiles import MAX_TILES, TileGrid, textured_tiles, tile_macs

KEY = bytes(range(32))


@given(frames=st.integers(1, 16_384), rows=st.integers(1, 5000), columns=st.integers(1, 5000))
@settings(max_examples=200)
def test_a_grid_covers_the_image_and_stays_bounded(frames, rows, columns):
    grid = TileGrid.of(frames, rows, columns)
    _, down, across = grid.shape
    assert grid.tiles <= MAX_TILES
    assert down * grid.tile_rows >= rows > (down - 1) * grid.tile_rows
    assert across * grid.tile_columns >= columns > (across - 1) * grid.tile_columns
    assert down <= 32
    assert across <= 32


def key_stream(purpose, count):
    """Return numbers of ChaCha20 with the counter and nonce of RFC 8439, 2.3."""
    nonce = bytes(4) + purpose.to_bytes(12, "big")
    stream = Cipher(ChaCha20(KEY, nonce), mode=None).encryptor().update(bytes(8 * count))
    return struct.unpack(f"<{count}Q", stream)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8"])
def test_macs_are_the_multilinear_hash_of_the_specification(dtype):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 200, (2, 66, 40, 1)).astype(dtype)
    if dtype.startswith("i"):
        values -= 100
    grid = TileGrid.of(2, 66, 40)
    assert (grid.tile_rows, grid.tile_columns) == (3, 2)
    found = tile_macs(values, grid, KEY)
    pads = iter(key_stream(1, grid.tiles))
    expected = []
    for frame in range(2):
        for row in range(0, 66, 3):
            for column in range(0, 40, 2):
                tile = values[frame, row : row + 3, column : column + 2, 0].ravel()
                data = tile.astype("<i2" if dtype == "u1" else tile.dtype).tobytes()
                form = "H" if len(data) == 2 * tile.size else "I"
                characters = struct.unpack(f"<{len(data) // struct.calcsize(form)}{form}", data)
                factors = key_stream(0, len(characters))
                total = next(pads) + sum(m * s for m, s in zip(factors, characters, strict=True))
                expected.append(total % 2**64 >> 48)
    assert found.ravel().tolist() == expected
    assert found.shape == grid.shape


@pytest.mark.parametrize("order", [">u2", "<u2"])
def test_byte_order_in_memory_makes_no_difference(order):
    values = np.arange(600, dtype=np.uint16).reshape(1, 20, 30, 1)
    grid = TileGrid.of(1, 20, 30)
    assert np.array_equal(tile_macs(values.astype(order), grid, KEY), tile_macs(values, grid, KEY))


def test_large_frames_are_hashed_in_parts_to_the_same_end(monkeypatch):
    values = np.random.default_rng(2).integers(0, 4096, (2, 130, 97, 1)).astype(np.uint16)
    grid = TileGrid.of(2, 130, 97)
    whole = tile_macs(values, grid, KEY)
    monkeypatch.setattr("medseal.protection.tamper.tiles._CHARACTERS_AT_A_TIME", 1000)
    assert np.array_equal(tile_macs(values, grid, KEY), whole)


def test_a_changed_value_keeps_a_mac_no_more_often_than_chance():
    rng = np.random.default_rng(3)
    grid = TileGrid.of(1, 512, 512)
    values = rng.integers(0, 4096, (1, 512, 512, 1)).astype(np.uint16)
    kept = 0
    for _ in range(64):
        key = rng.bytes(32)
        # One value of every tile by one level: 1,024 trials with one computation.
        edited = values.copy()
        edited[0, rng.integers(0, 16) :: 16, rng.integers(0, 16) :: 16] ^= 1
        kept += int(np.sum(tile_macs(values, grid, key) == tile_macs(edited, grid, key)))
    # 65,536 trials at 2^-16: one is expected; eleven happen once in 10^8 runs.
    assert kept < 11


def test_tiles_with_a_difference_inside_or_to_a_neighbour_are_textured():
    values = np.zeros((1, 64, 64, 1), np.uint8)
    grid = TileGrid.of(1, 64, 64)
    assert not textured_tiles(values, grid).any()
    values[0, 20, 31] = 1
    marked = {tuple(place) for place in np.argwhere(textured_tiles(values, grid)[0])}
    assert marked == {(9, 15), (10, 15)}


def test_texture_of_tiles_of_one_value_is_that_of_the_neighbourhood():
    values = np.tile(np.arange(8, dtype=np.uint8)[:, None], (1, 8)).reshape(1, 8, 8, 1)
    found = textured_tiles(values, TileGrid.of(1, 8, 8))
    assert found[0, :7].all()
    assert not found[0, 7].any()


def test_a_mask_of_tiles_spreads_to_places():
    grid = TileGrid.of(1, 70, 33)
    tiles = np.zeros(grid.shape[1:], np.bool_)
    tiles[-1, -1] = True
    places = grid.spread(tiles)
    assert places.shape == (70, 33)
    assert np.array_equal(grid.any_in_tile(places), tiles)
