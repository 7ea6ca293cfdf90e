"""Levels of a digital cipher image, and what a receiver reads of them."""

import cv2
import numpy as np
import pytest

from medseal.protection.encryption.channel_levels import LEVEL_BITS, levels_of, read_levels

SIDE = 96
PLACES = np.arange(SIDE * SIDE)


def sent(bits: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Coded bits and the image that carries them."""
    coded = np.random.default_rng(seed).integers(0, 2, SIDE * SIDE * bits, dtype=np.uint8)
    return coded, levels_of(coded, bits).reshape(SIDE, SIDE)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))


def wrong_share(image: np.ndarray, coded: np.ndarray, bits: int) -> float:
    told = read_levels(image, PLACES, bits).log_likelihoods.reshape(-1)
    return float(np.mean((told < 0) != coded.astype(bool)))


@pytest.mark.parametrize("bits", LEVEL_BITS)
def test_levels_are_even_and_gray_coded(bits: int) -> None:
    count = 1 << bits
    words = np.arange(count)[:, None] >> np.arange(bits - 1, -1, -1) & 1
    greys = levels_of(words.reshape(-1).astype(np.uint8), bits)
    assert sorted(greys) == np.rint(np.linspace(0, 255, count)).tolist()
    ordered = words[np.argsort(greys)]
    assert (np.abs(np.diff(ordered, axis=0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize("bits", LEVEL_BITS)
def test_a_clean_image_reads_as_sent(bits: int) -> None:
    coded, image = sent(bits)
    assert wrong_share(image, coded, bits) == 0


@pytest.mark.parametrize(("bits", "quality", "most"), [(1, 40, 0), (2, 70, 2e-3), (3, 85, 0.02)])
def test_jpeg(bits: int, quality: int, most: float) -> None:
    coded, image = sent(bits)
    assert wrong_share(jpeg(image, quality), coded, bits) <= most


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 9.0), (1.0, -25.0), (0.7, 30.0), (1.2, -25.0)])
def test_brightness_and_contrast(slope: float, offset: float) -> None:
    coded, image = sent(2)
    changed = np.clip(np.rint(image * slope + offset), 0, 255).astype(np.uint8)
    assert wrong_share(changed, coded, 2) == 0


def test_noise_is_measured() -> None:
    _, image = sent(2)
    noisy = image + np.random.default_rng(4).normal(0, 12, image.shape)
    reading = read_levels(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), PLACES, 2)
    assert reading.noise == pytest.approx(12, rel=0.05)
    assert reading.levels == pytest.approx([0, 85, 170, 255], abs=2)
    assert reading.erased == 0


def test_salt_and_pepper_is_measured_and_doubted() -> None:
    _, image = sent(2)
    rng = np.random.default_rng(5)
    hit = rng.random(image.shape) < 0.05
    damaged = np.where(hit, rng.choice([0, 255], image.shape), image).astype(np.uint8)
    reading = read_levels(damaged, PLACES, 2)
    assert reading.outliers == pytest.approx(0.05, abs=0.02)
    sure = np.abs(reading.log_likelihoods).max(axis=1)
    ends = np.isin(damaged.reshape(-1), (0, 255))
    assert sure[ends].max() < sure[~ends].min()


@pytest.mark.parametrize("grey", [0, 127, 255])
@pytest.mark.parametrize("quality", [100, 70])
def test_a_painted_area_is_erased(grey: int, quality: int) -> None:
    coded, image = sent(2)
    painted = image.copy()
    painted[16:56, 24:72] = grey
    reading = read_levels(jpeg(painted, quality), PLACES, 2)
    area = reading.log_likelihoods.reshape(SIDE, SIDE, 2)[16:56, 24:72]
    assert (area == 0).mean() > 0.9
    assert reading.erased < 0.25
    outside = reading.log_likelihoods.reshape(SIDE, SIDE, 2)[60:]
    wrong = (outside < 0) != coded.reshape(SIDE, SIDE, 2)[60:].astype(bool)
    assert wrong[outside != 0].mean() < 2e-3
    assert (outside == 0).mean() < 0.02


def test_a_picture_instead_of_levels_is_all_but_erased() -> None:
    ramp = np.tile(np.linspace(0, 255, SIDE), (SIDE, 1)).astype(np.uint8)
    reading = read_levels(ramp, PLACES, 2)
    assert np.isfinite(reading.log_likelihoods).all()
