from dataclasses import replace

import numpy as np
import pytest

from medseal.protection.tamper.canonical import CanonicalGrid, resampled, tile_means
from medseal.protection.tamper.operations import operations_of
from medseal.protection.tamper.orientation import ORIENTATIONS
from medseal.protection.tamper.reference.codes import saturated
from medseal.protection.tamper.registration import register
from tests.protection.pictures import texture

# Of equal values, as quantisation leaves it.
QUIET = 0.13


def plane():
    return (255 * texture(160, 160)).astype(np.float32)


def registered(copy):
    """Return how a copy lies on the tile means of the plane."""
    means = tile_means(resampled(plane(), CanonicalGrid.of(1, 160, 160).shape))
    found = register(copy, means, reference_error=1.0, expected_shape=(160, 160))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def unmoved():
    return registered(plane())


def named(registration, *, copy=None, energy=QUIET):
    return operations_of(registration, plane() if copy is None else copy, energy)


def test_nothing_was_done_to_an_equal_copy(unmoved):
    assert named(unmoved) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"degrees": 0.1}, ()),
        ({"degrees": -3.04}, ("rotated by -3.0 degrees",)),
        ({"scales": (0.5, 0.5)}, ("scaled by 0.50",)),
        ({"scales": (1.001, 1.0)}, ()),
        ({"scales": (1.2, 1.0)}, ("scaled by 1.20 across and 1.00 down",)),
        ({"overlap": 0.8, "motion": "cropped"}, ("cut to 80 % of the area",)),
        ({"overlap": 0.995, "motion": "cropped"}, ()),
        ({"overlap": 0.8, "motion": "unmoved"}, ()),
        ({"orientation": ORIENTATIONS[2]}, (ORIENTATIONS[2].name,)),
    ],
)
def test_geometry_is_named(unmoved, change, words):
    assert named(replace(unmoved, **change)) == words


def test_values_that_are_others_are_named(unmoved):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 100_000)
    assert saturated(noise).mean() == pytest.approx(QUIET, abs=0.001)
    other = float(saturated(noise + 0.25).mean())
    assert named(unmoved, energy=other) == ("re-encoded with losses, filtered or noisy",)


def test_a_negative_is_named():
    copy = 255 - plane()
    assert named(registered(copy), copy=copy) == ("shown as a negative",)


def test_grey_values_that_moved_are_named():
    copy = (255 * (plane() / 255) ** 0.6).astype(np.float32)
    assert named(registered(copy), copy=copy) == ("grey values changed",)


def test_a_window_that_clips_is_named():
    copy = (255 * (plane() / 255) ** 0.6).astype(np.float32)
    found = registered(copy)
    cut = replace(found, curve=replace(found.curve, clipped_low=3.0))
    assert named(cut, copy=copy) == ("window or contrast changed, extremes clipped",)


def test_geometry_comes_first(unmoved):
    turned = replace(unmoved, orientation=ORIENTATIONS[1], degrees=2.0, scales=(2.0, 2.0))
    words = named(turned, energy=0.3)
    assert words[0] == ORIENTATIONS[1].name
    assert words[1:] == (
        "rotated by 2.0 degrees",
        "scaled by 2.00",
        "re-encoded with losses, filtered or noisy",
    )
