import numpy as np
import pytest

from medseal.protection.attacks import distortions
from medseal.protection.tamper.baselines import ErrorLevel, NoiseLevel
from tests.protection.pictures import grey, picture

METHODS = (ErrorLevel(threshold=4.0), NoiseLevel(threshold=4.0))


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_patch_with_other_noise_stands_out_and_is_located(method):
    noise = np.random.default_rng(1).normal(120, 4, (160, 160))
    image = distortions.jpeg(picture(np.clip(noise, 0, 255).astype(np.uint8)), quality=90)
    assert method.enrol(image) == b""
    values = image.stored_values.copy()
    values[0, 64:96, 64:96] = np.random.default_rng(2).integers(60, 180, (32, 32, 1))
    before = method.compare(image, b"")
    after = method.compare(image.with_stored_values(values), b"")
    assert after.score > 2 * before.score
    assert after.mask[64:96, 64:96].mean() == 1
    assert after.mask.mean() < 0.2


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("shape", [(5, 7), (40, 9), (33, 250)])
def test_the_mask_has_the_size_of_any_image(method, shape):
    reading = method.compare(grey(*shape), b"")
    assert reading.mask.shape == shape
    assert np.isfinite(reading.score)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_a_constant_image_has_nothing_unusual(method):
    assert method.compare(picture(np.full((64, 64), 9, np.uint8)), b"").score == 0
