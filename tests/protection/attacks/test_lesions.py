import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.lesions import (
    PROFILES,
    Lesion,
    blended_lesion,
    overlaid_lesion,
)
from tests.protection.attacks.planes import changed, coloured, plane, sides


@pytest.mark.parametrize("contrast", [0.3, -0.3])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_lesion_has_the_height_asked_for(profile, contrast):
    levels = np.full((80, 80), 128, np.float32)
    lesion = Lesion(radius=5, contrast=contrast, profile=profile)
    result = overlaid_lesion(levels, np.random.default_rng(1), lesion=lesion)
    change = result - levels
    assert np.isclose(np.abs(change).max(), 0.3 * 255, rtol=0.05)
    assert np.sign(change.sum()) == np.sign(contrast)
    assert max(sides(change != 0)) <= lesion.side - 2


def test_an_aspect_stretches_one_axis():
    levels = np.full((120, 120), 128, np.float32)
    long = Lesion(radius=9, contrast=0.3, aspect=2)
    change = overlaid_lesion(levels, np.random.default_rng(1), lesion=long) != levels
    spread = np.linalg.eigvalsh(np.cov(np.stack(np.nonzero(change))))
    assert 10 < spread[1] / spread[0] < 25


def test_a_place_without_room_takes_the_other_sign():
    white = np.full((40, 40), 250, np.float32)
    lesion = Lesion(radius=4, contrast=0.4)
    assert overlaid_lesion(white, np.random.default_rng(1), lesion=lesion).min() < 160


@pytest.mark.parametrize("levels", [plane(), coloured()])
@pytest.mark.parametrize("radius", [2, 3, 12])
def test_a_blended_lesion_shows_no_border(levels, radius):
    # Masks of a radius of 3 and less must not vanish, as they do with other blends.
    lesion = Lesion(radius=radius, contrast=0.4)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        result = blended_lesion(levels, rng, lesion=lesion, texture=0.0)
        mask = changed(levels, result)
        assert mask.any()
        assert max(sides(mask)) <= lesion.side - 2
        assert np.abs(result - levels).max() > 25


def test_a_donor_gives_the_lesion_its_texture():
    levels = np.full((90, 90), 100, np.float32)
    noise = np.random.default_rng(2).normal(120, 12, (90, 90)).astype(np.float32)
    lesion = Lesion(radius=14, contrast=0.1)

    def roughness(**options):
        result = blended_lesion(levels, np.random.default_rng(4), lesion=lesion, **options)
        return np.abs(np.diff(result, axis=0)).max()

    assert roughness(donor=noise, texture=1.0) > 4 * roughness(donor=noise, texture=0.0)


@pytest.mark.parametrize("bad", [{"radius": 0.0}, {"aspect": -1.0}])
def test_a_lesion_without_size_is_refused(bad):
    with pytest.raises(InputError, match="a radius and an aspect of more than 0"):
        Lesion(**{"radius": 3.0, "contrast": 0.2, **bad})


def test_a_lesion_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        overlaid_lesion(plane(), np.random.default_rng(1), lesion=Lesion(radius=60, contrast=0.2))
