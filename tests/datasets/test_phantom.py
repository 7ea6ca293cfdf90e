import numpy as np
import pytest

from medseal.datasets import ct_phantom, mr_phantom
from medseal.errors import ConfigurationError
from medseal.imaging import display_values, values_digest


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("make", [mr_phantom, ct_phantom])
def test_same_generator_same_image(make):
    first, second, other = (make(generator=rng(seed), rows=64, columns=96) for seed in (1, 1, 2))
    assert values_digest(first) == values_digest(second)
    assert values_digest(first) != values_digest(other)


@pytest.mark.parametrize("bits", [12, 16])
def test_mr_is_an_unsigned_stack_of_that_depth(bits):
    image = mr_phantom(generator=rng(), rows=64, columns=80, frames=3, bits_stored=bits)
    assert image.stored_values.shape == (3, 64, 80, 1)
    assert image.stored_values.dtype == np.uint16
    assert (image.bits_stored, image.is_signed, image.modality) == (bits, False, "MR")
    assert 2 ** (bits - 1) < image.stored_values.max() < 2**bits
    assert image.spacing_mm == (240 / 64, 240 / 80)
    assert len({values_digest(image.with_stored_values(f[None])) for f in image.stored_values}) == 3


def test_mr_shows_skull_brain_and_air():
    image = mr_phantom(generator=rng(), rows=128, columns=128)
    plane = image.stored_values[0, :, :, 0].astype(float)
    air = plane[:8, :8].mean()
    brain = plane[48:80, 36:50].mean()
    middle = plane[64]
    scalp = max(middle[:40].max(), middle[88:].max())
    ventricle = plane[60, 50:78].min()
    assert air < 0.05 * 4095
    assert ventricle < 0.5 * brain
    assert brain > 5 * air
    assert scalp > brain


def test_lesion_changes_only_part_of_the_brain():
    without, with_lesion = (
        mr_phantom(generator=rng(3), rows=128, columns=128, lesion=lesion).stored_values
        for lesion in (False, True)
    )
    changed = np.abs(without.astype(int) - with_lesion.astype(int)) > 500
    assert 0.003 < changed.mean() < 0.15


def test_ct_holds_hounsfield_units():
    image = ct_phantom(generator=rng(), rows=128, columns=128, lesion=True)
    plane = image.stored_values[0, :, :, 0]
    assert image.stored_values.dtype == np.int16
    assert (image.bits_stored, image.is_signed, image.modality) == (16, True, "CT")
    assert plane[:5, :5].mean() == pytest.approx(-1000, abs=15)
    assert np.median(plane[50:70, 30:45]) < -600  # lung
    assert plane.max() > 500  # bone
    assert plane.min() >= -1024


@pytest.mark.parametrize("make", [mr_phantom, ct_phantom])
def test_it_can_be_displayed(make):
    shown = display_values(make(generator=rng(), rows=96, columns=64))
    assert shown.shape == (96, 64)
    assert np.ptp(shown) > 200


@pytest.mark.parametrize("wrong", [{"rows": 32}, {"columns": 4096}, {"frames": 0}, {"frames": 65}])
@pytest.mark.parametrize("make", [mr_phantom, ct_phantom])
def test_impossible_sizes_are_refused(make, wrong):
    with pytest.raises(ConfigurationError, match="a phantom has"):
        make(generator=rng(), **wrong)
