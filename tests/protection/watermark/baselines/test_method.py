import numpy as np

from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.watermark.baselines.method import add_within, as_bits, certain
from medseal.protection.watermark.levels import Levels
from tests.protection.pictures import grey


def test_both_limits_are_kept_by_the_rounded_values():
    image = grey(160, 200)
    change = np.random.default_rng(1).normal(size=(160, 200)).astype(np.float32)
    marked = add_within(image, Levels.of(image), change, psnr_db=40, least_ssim=0.99)
    pair = image.stored_values[0], marked.stored_values[0]
    assert ssim(*pair, data_range=255) >= 0.99
    assert psnr(*pair, data_range=255) > 40
    loose = add_within(image, Levels.of(image), change, psnr_db=40, least_ssim=0.0)
    assert 40 <= psnr(image.stored_values, loose.stored_values, data_range=255) < 40.1


def test_bits_and_readings_fit_each_other():
    reading = certain(as_bits(b"\xa5\x0f"))
    assert reading.payload == b"\xa5\x0f"
    assert reading.bit_probabilities.tolist() == as_bits(b"\xa5\x0f").tolist()
    assert reading.detected is None
