import numpy as np
import pytest

from medseal.protection.tamper.blind.scan import LEAST_SIDE, TILE_SIDE, Tile, scanned


def look(plane):
    """Return the plane itself as map: a tile's score is its highest level."""
    assert plane.shape[0] % 16 == plane.shape[1] % 16 == 0
    assert min(plane.shape) >= LEAST_SIDE
    assert max(plane.shape) <= TILE_SIDE
    return Tile(
        forged=plane,
        trusted=-plane,
        score=float(plane.max()),
        features=np.array([plane.mean(), 1], np.float32),
    )


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [((224, 224), 1), ((288, 288), 1), ((289, 100), 2), ((512, 512), 4), ((70, 1000), 4)],
)
def test_each_place_comes_back_where_it_was(shape, tiles):
    plane = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    scan = scanned(plane, look)
    assert scan.tiles == tiles
    assert np.allclose(scan.forged, plane)
    assert np.allclose(scan.trusted, -plane)
    assert scan.score == plane.max()
    assert scan.features[1] == 1


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (63, 64)])
def test_a_small_plane_is_mirrored_out(shape):
    plane = np.random.default_rng(1).uniform(0, 255, shape).astype(np.float32)
    assert np.allclose(scanned(plane, look).forged, plane)


def test_tiles_begin_where_blocks_of_jpeg_do():
    marked = np.zeros((288, 700), np.float32)
    starts = []

    def listen(plane):
        starts.append(int(plane[0].min()))
        return look(plane)

    marked[0] = np.arange(700)
    scanned(marked, listen)
    # Each tile is looked at twice.
    assert starts[::2] == starts[1::2]
    assert starts[0] == 0
    assert starts[-1] == 700 - TILE_SIDE
    assert all(start % 8 == 0 for start in starts[:-2])


def test_a_mirrored_image_gives_the_same_map_mirrored():
    def one_sided(plane):
        tile = look(plane)
        shifted = np.roll(tile.forged, 1, axis=1)
        return Tile(
            forged=shifted, trusted=shifted, score=float(plane[0, 0]), features=tile.features
        )

    plane = np.random.default_rng(1).uniform(0, 255, (64, 96)).astype(np.float32)
    seen, mirrored = scanned(plane, one_sided), scanned(plane[:, ::-1].copy(), one_sided)
    assert np.allclose(seen.forged, mirrored.forged[:, ::-1])
    assert seen.score == mirrored.score
