from itertools import pairwise

import numpy as np
import pytest

from medseal.errors import WeightsError
from medseal.protection.tamper.narrowing import (
    FEATURES,
    HIDDEN,
    TENSORS,
    Narrowing,
    Seen,
    _expected_share,
    _threshold,
    features_of,
    with_every_group,
)
from tests.protection.pictures import texture

TILES = np.s_[32:64, 48:80]
CHANGED = np.s_[40:56, 56:72]


def seen(*, tiles=TILES, changed=CHANGED):
    """Return what a comparison would see that is sure of what changed."""
    proven = np.zeros((128, 128), np.bool_)
    proven[tiles] = True
    places = np.full((128, 128), -4, np.float32)
    places[changed] = 4
    plain = np.zeros((8, 8), np.float32)
    plane = (255 * texture(128, 128)).astype(np.float32)
    return Seen(
        plane=plane,
        places=places[::2, ::2],
        tiles=plain,
        energy=plain,
        proven=proven,
        tile=(16.0, 16.0),
    )


def tensors(*, gain=1.0, offset=0.0):
    """Return a network whose logit is that of the comparison, times a gain."""
    sizes = (FEATURES, *HIDDEN, 1)
    made = {}
    for number, size in enumerate(pairwise(sizes)):
        weight = np.zeros(size, np.float32)
        # Both signs pass through the layers, each by a value of its own.
        weight[0, 0] = 1
        if size[1] > 1:
            weight[min(1, number), 1] = -1 if number == 0 else 1
        else:
            weight[1, 0] = -1
        made[f"{TENSORS}{number}.weight"] = weight
        made[f"{TENSORS}{number}.bias"] = np.zeros(size[1], np.float32)
    made[f"{TENSORS}2.weight"] *= gain
    made[f"{TENSORS}2.bias"] += offset
    return made


def test_each_proven_place_is_told_of_once():
    given = seen()
    features, where = features_of(given)
    assert features.shape == (32 * 32, FEATURES)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.array_equal(np.sort(where), np.flatnonzero(given.proven))


def test_features_belong_to_their_places():
    given = seen()
    features, where = features_of(given)
    shown = np.zeros(given.plane.size, np.float32)
    shown[where] = features[:, 0]
    shown = shown.reshape(given.plane.shape)
    assert shown[48, 64] > 3.5
    assert shown[34, 50] < -3.5


def test_what_is_far_from_a_group_says_nothing_of_it():
    given = seen()
    features, _ = features_of(given)
    given.plane[120:] = 0
    assert np.array_equal(features_of(given)[0], features)


def test_the_mask_is_where_the_network_is_sure():
    given = seen()
    mask = Narrowing.of(tensors()).places(given)
    wanted = np.zeros_like(mask)
    wanted[CHANGED] = True
    assert 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum()) > 0.85
    assert not (mask & ~given.proven).any()


def test_places_are_taken_for_the_largest_expected_overlap():
    chances = np.array([0.9, 0.8, 0.1, 0.05], np.float32)
    assert _threshold(chances) == pytest.approx(0.8)
    # All are as likely: to take all of them gives the most, however unlikely they are.
    assert _threshold(np.full(6, 0.2, np.float32)) == pytest.approx(0.2)


def test_a_group_without_a_place_stays_whole():
    proven = np.zeros((40, 40), np.bool_)
    proven[0:8, 0:8] = proven[20:28, 20:28] = True
    places = np.zeros_like(proven)
    places[2:4, 2:4] = True
    found = with_every_group(places, proven)
    assert np.array_equal(found[:10, :10], places[:10, :10])
    assert np.array_equal(found[20:28, 20:28], proven[20:28, 20:28])
    assert found.sum() == 4 + 64


def test_more_tiles_mean_a_larger_share_of_them():
    shares = [_expected_share(256 * count, (16.0, 16.0)) for count in (1, 4, 9, 16)]
    assert shares == sorted(shares)
    assert 0.1 < shares[0] < 0.2
    # Tiles of one place are changed as a whole.
    assert _expected_share(7, (1.0, 1.0)) == 1


def test_a_comparison_may_have_none():
    assert Narrowing.of({"trunk.weight": np.zeros(3, np.float32)}) is None


@pytest.mark.parametrize("name", ["0.weight", "1.bias", "2.weight"])
def test_tensors_of_another_form_are_refused(name):
    lacking = tensors()
    del lacking[TENSORS + name]
    with pytest.raises(WeightsError, match="not the tensors of a narrowing"):
        Narrowing.of(lacking)
    with pytest.raises(WeightsError, match="not the tensors of a narrowing"):
        Narrowing.of(tensors() | {TENSORS + name: np.zeros((2, 2), np.float32)})
