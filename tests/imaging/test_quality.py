import numpy as np
import pytest

from medseal.errors import ImageMismatchError
from medseal.imaging.quality import measure_quality


def test_constant_image_is_blank():
    quality = measure_quality(np.full((20, 30), 255, np.uint8))
    assert (quality.contrast, quality.flatness, quality.saturation) == (0, 1, 1)
    assert quality.is_blank


def test_full_ramp_has_full_contrast():
    quality = measure_quality(np.tile(np.arange(256, dtype=np.uint8), (4, 1)))
    assert quality.contrast > 0.97
    assert quality.flatness == pytest.approx(1 / 256)
    assert quality.saturation == pytest.approx(1 / 256)
    assert not quality.is_blank


def test_other_dtype_is_refused():
    with pytest.raises(ImageMismatchError, match="8-bit"):
        measure_quality(np.zeros((4, 4)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 33), (4200, 4200)])
def test_contrast_is_that_of_the_percentiles(shape):
    """Also above 2**24 places, where a count in float32 would no longer be exact."""
    grey = np.random.default_rng(1).integers(20, 200, shape, dtype=np.uint8)
    low, high = np.percentile(grey, [1, 99])
    quality = measure_quality(grey)
    assert quality.contrast == pytest.approx((high - low) / 255, abs=1e-12)
    assert quality.flatness == np.bincount(grey.ravel()).max() / grey.size
