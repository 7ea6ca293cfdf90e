import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.edit_draws import LEAST_SIDE, MATERIAL_LEVELS, random_edit
from medseal.protection.attacks.families import FAMILIES
from tests.protection.pictures import texture


def levels(rows=96, columns=80, *, seed=1, colour=False):
    planes = [texture(rows, columns, seed=seed + k) * 255 for k in range(3 if colour else 1)]
    return np.stack(planes, axis=2).astype(np.float32) if colour else planes[0].astype(np.float32)


def edit(seed=0, plane=None, **options):
    given = levels() if plane is None else plane
    donor = levels(70, 130, seed=7)
    options = {"donor": donor, "generated": donor, **options}
    return given, random_edit(np.random.default_rng(seed), given, **options)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_mask_is_where_levels_changed(family, colour):
    for seed in range(6):
        plane = levels(colour=colour)
        before = plane.copy()
        given, edited = edit(seed, plane, families=[family])
        change = np.abs(edited.levels - given).reshape(*given.shape[:2], -1).max(axis=2)
        assert np.array_equal(edited.mask, change >= MATERIAL_LEVELS)
        assert edited.mask.any()
        assert edited.levels.dtype == np.float32
        assert edited.levels.shape == given.shape
        assert edited.levels.min() >= 0
        assert edited.levels.max() <= 255
        assert np.array_equal(plane, before)
        assert set(edited.family.split(" + ")) == {family}
        assert 1 <= edited.extent_pixels <= 96
        assert 0 < edited.contrast <= 1


def test_the_same_generator_gives_the_same_edit():
    for seed in range(10):
        one, two = edit(seed)[1], edit(seed)[1]
        assert one.family == two.family
        assert np.array_equal(one.levels, two.levels)


def test_every_family_is_drawn_and_some_images_have_several():
    names = [edit(seed)[1].family for seed in range(150)]
    assert {name for joined in names for name in joined.split(" + ")} == set(FAMILIES)
    assert 5 <= sum(" + " in name for name in names) <= 30


def test_without_a_donor_nothing_is_spliced():
    names = {edit(seed, donor=None, generated=None)[1].family for seed in range(60)}
    drawn = {name for joined in names for name in joined.split(" + ")}
    assert drawn == set(FAMILIES) - {"splice", "generated"}
    with pytest.raises(InputError, match="need a donor"):
        edit(donor=None, families=["splice"])


def test_low_strength_leaves_small_and_faint_edits_out():
    extents = [edit(s, families=["block"], strength=0.0)[1].extent_pixels for s in range(20)]
    assert min(extents) >= 3
    contrasts = [edit(s, families=["block"], strength=0.0)[1].contrast for s in range(20)]
    assert min(contrasts) > 0.2
    faint = [edit(s, families=["block"], strength=1.0)[1].contrast for s in range(20)]
    assert min(faint) < 0.15


def test_the_smallest_levels_fit_every_family():
    for family in FAMILIES:
        small = levels(LEAST_SIDE, LEAST_SIDE)
        for seed in range(8):
            given, edited = edit(seed, small, donor=small, generated=small, families=[family])
            assert edited.mask.any()
            assert edited.levels.shape == given.shape


def test_flat_levels_can_be_painted_but_not_copied():
    flat = np.full((64, 64), 100, np.float32)
    assert edit(1, flat, families=["block"])[1].mask.any()
    assert "copy-move" not in edit(1, flat, families=["copy-move", "text"])[1].family
    with pytest.raises(InputError, match="too flat for this forgery"):
        edit(1, flat, families=["copy-move"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"families": ["spice"]}, "families of forgeries are"),
        ({"strength": 1.5}, "a strength of 0 to 1"),
        ({"donor": np.zeros((9, 90), np.float32)}, "levels of 24 pixels a side"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        edit(**options)
