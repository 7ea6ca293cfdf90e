from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medseal.errors import WeightsError
from medseal.protection.tamper.reference import losses
from medseal.protection.tamper.reference.alignment import Aligned, align
from medseal.protection.tamper.reference.fusion import CLUES, FUSION, Fusion, clues, image_logit
from medseal.protection.tamper.reference.picture import CoarsePicture

SHAPE = (12, 14)


def test_the_soft_maximum_is_that_of_the_training():
    rng = np.random.default_rng(2)
    tiles, outside = rng.normal(0, 3, (7, 9)), rng.choice([0.0, 1.0], (7, 9))
    given = (torch.from_numpy(one)[None, None] for one in (tiles, 1 - outside))
    wanted = float(losses.image_logit(*given)[0])
    found = image_logit(tiles.astype(np.float32), outside.astype(np.float32))
    assert found == pytest.approx(wanted, abs=1e-5)


def laid(*, clipped=0.0, moved=False):
    places = np.zeros((16, 16), np.bool_)
    places.ravel()[: round(clipped * places.size)] = True
    registration = SimpleNamespace(moved=moved)
    return SimpleNamespace(clipped=places, unknown=places, registration=registration)


def found_of(tiles, outside=None, **lies):
    energy = np.full(SHAPE, 0.2, np.float32)
    outside = np.zeros(SHAPE, np.float32) if outside is None else outside
    return clues(np.asarray(tiles, np.float32), energy, outside, laid(**lies))


def test_one_sure_tile_is_told_from_two_places_and_from_many():
    one = np.full(SHAPE, -5.0)
    one[3:5, 3:5] = 4
    two = one.copy()
    two[9, 10] = 3
    alone, second, many = (found_of(tiles) for tiles in (one, two, np.full(SHAPE, 3.9)))
    assert alone[0] > 4
    assert second[0] == pytest.approx(alone[0], abs=0.1)
    assert (alone[1], second[1]) == (-5, 3)
    assert alone[2] == -5
    assert many[2] == pytest.approx(3.9)


def test_tiles_outside_the_copy_count_for_nothing():
    tiles = np.full(SHAPE, -3.0)
    tiles[:, :4] = 9
    outside = np.zeros(SHAPE, np.float32)
    outside[:, :4] = 1
    found = found_of(tiles, outside)
    assert found[0] < 0
    assert found[1:8].max() == -3


def test_how_the_copy_lies_is_known():
    tiles = np.full(SHAPE, -3.0)
    rough = found_of(tiles, clipped=0.5, moved=True)
    assert rough.shape == (CLUES,)
    assert rough[-5:] == pytest.approx([0.2, 0.2, 0.5, 0.5, 1])


def test_an_alignment_has_what_the_clues_ask_for():
    rng = np.random.default_rng(0)
    plane = np.kron(rng.uniform(20, 200, (24, 24)), np.ones((8, 8))).astype(np.float32)
    kept = align(plane, CoarsePicture.of(plane), shape=plane.shape)
    assert isinstance(kept, Aligned)
    tiles = np.zeros([side // 16 for side in kept.copy.shape], np.float32)
    assert np.isfinite(clues(tiles, tiles, tiles, kept)).all()


def test_weights_and_constant_are_kept():
    numbers = np.arange(CLUES + 1, dtype=np.float32)
    fusion = Fusion.of({FUSION: numbers}, name="x")
    assert fusion.logit(np.ones(CLUES)) == numbers.sum()
    assert np.array_equal(fusion.tensor(), numbers)


def test_without_weights_the_surest_tile_decides():
    known = np.arange(7.0, 7.0 + CLUES)
    assert Fusion.of({}, name="x").logit(known) == 7


@pytest.mark.parametrize("numbers", [np.zeros(CLUES), np.full(CLUES + 1, np.nan)])
def test_another_fusion_is_refused(numbers):
    with pytest.raises(WeightsError, match="x: its fusion is not"):
        Fusion.of({FUSION: numbers}, name="x")
