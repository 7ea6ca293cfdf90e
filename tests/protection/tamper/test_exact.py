import numpy as np
import pytest

from medseal.protection.attacks import distortions
from medseal.protection.tamper.exact import find
from medseal.protection.tamper.fingerprint import fingerprint
from medseal.protection.tamper.orientation import ORIENTATIONS
from tests.protection.pictures import KEY, grey, picture, texture


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda one: one.name or "as it was")
def test_equal_values_are_found_in_every_orientation(orientation):
    image = grey(150, 110)
    values = image.stored_values[0, :, :, 0]
    turned = np.rot90(values, orientation.quarter_turns)
    turned = turned[:, ::-1] if orientation.mirrored else turned
    found = find(picture(turned.copy()), fingerprint(image, KEY), KEY)
    assert found is not None
    assert found.orientation == orientation
    assert found.equal
    assert found.untouched_share == 1.0


def test_an_edit_behind_inversion_and_a_turn_is_located():
    image = grey(150, 150)
    record = fingerprint(image, KEY)
    values = image.stored_values.copy()
    values[0, 20:23, 100:104] ^= 1
    copy = distortions.quarter_turn(picture(255 - values[0, :, :, 0]), turns=3)
    found = find(copy, record, KEY)
    assert found is not None
    assert found.reading == "grey values inverted"
    assert not found.equal
    grid = record.grid
    assert found.differs[0, 20 // grid.tile_rows, 100 // grid.tile_columns]
    assert found.differs.sum() <= 4


def test_an_edit_of_all_sampled_tiles_is_still_found():
    image = grey(320, 320)
    record = fingerprint(image, KEY)
    values = image.stored_values.copy()
    values[0, :200] ^= 1
    found = find(image.with_stored_values(values), record, KEY)
    assert found is not None
    assert 0.2 < found.untouched_share < 0.5


def test_another_image_shares_hardly_a_tile():
    record = fingerprint(grey(200, 200, seed=2), KEY)
    # Air beside the body counts as textured and is equal in both.
    found = find(grey(200, 200, seed=1), record, KEY)
    assert found is None or found.untouched_share < 0.05


def test_another_geometry_is_not_compared():
    record = fingerprint(grey(200, 200), KEY)
    assert find(grey(201, 200), record, KEY) is None
    # More frames than any honest copy could have gained.
    many = picture(np.zeros((80, 200, 200, 1), np.uint8))
    assert find(many, record, KEY) is None


def test_an_empty_series_is_compared_like_any_other():
    values = np.zeros((4, 30, 30, 1), np.uint8)
    record = fingerprint(picture(values), KEY)
    values[2, 3, 3] = 1
    found = find(picture(values), record, KEY)
    assert found is not None
    assert found.differs[2].sum() == 1
    assert found.alignment.operations == ()


def test_frames_are_found_behind_a_turn():
    values = np.stack([texture(80, 64, seed=s) * 255 for s in range(5)]).astype(np.uint8)
    record = fingerprint(picture(values[..., None]), KEY)
    copy = distortions.quarter_turn(picture(values[[0, 1, 3, 4]][..., None]), turns=1)
    found = find(copy, record, KEY)
    assert found is not None
    assert found.alignment.operations == ("frame 2 dropped",)
    assert found.orientation.quarter_turns == 1
    assert not found.differs.any()
