import numpy as np
import pytest

from benchmarks.encryption_analog_rivals import REPAIRS, RIVALS, jpeg_of_plain
from medseal.metrics.image_quality import psnr
from tests.protection.pictures import texture

IMAGE = np.rint(texture(72, 64) * 255).astype(np.uint8)


def kept(picture: np.ndarray) -> np.ndarray:
    return picture


def quality(name: str, channel) -> float:
    return psnr(IMAGE, RIVALS[name](IMAGE, channel, 1), data_range=255.0)


@pytest.mark.parametrize("name", [name for name in RIVALS if name.startswith("mask")])
def test_a_mask_with_a_guard_is_nearly_exact_where_nothing_is_damaged(name: str) -> None:
    assert quality(name, kept) > (30 if name.endswith("variation") else 50)


def test_counter_mode_is_exact_and_falls_apart() -> None:
    assert np.array_equal(RIVALS["AES-CTR"](IMAGE, kept, 1), IMAGE)
    assert quality("AES-CTR", lambda picture: jpeg_of_plain(picture, 70)) < 20


def test_each_repair_is_better_than_none_at_what_it_is_for() -> None:
    rng = np.random.default_rng(1)
    hit = rng.random(IMAGE.shape) < 0.05

    def salted(picture: np.ndarray) -> np.ndarray:
        return np.where(hit, np.uint8(255), picture)

    def cropped(picture: np.ndarray) -> np.ndarray:
        result = picture.copy()
        result[:36, :32] = 0
        return result

    channels = {"salt": salted, "crop": cropped, "JPEG": lambda p: jpeg_of_plain(p, 80)}
    for name, purposes in REPAIRS.items():
        channel = next(channels[key] for key in channels if purposes[0].startswith(key))
        assert quality(name, channel) > quality("mask, raw", channel)


def test_jpeg_is_jpeg() -> None:
    assert psnr(IMAGE, jpeg_of_plain(IMAGE, 90), data_range=255.0) > psnr(
        IMAGE, jpeg_of_plain(IMAGE, 30), data_range=255.0
    )
