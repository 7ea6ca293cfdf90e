import numpy as np
import pytest

from medseal.protection.attacks import distortions
from medseal.protection.tamper.baselines import perceptual_hashes
from medseal.protection.tamper.baselines.perceptual import dct_hash, difference_hash, pdq_hash
from tests.protection.pictures import grey, picture

HASHES = {method.name: method for method in perceptual_hashes()}


def pattern():
    """Return waves on a chequered ground, without any random draw: (200, 260)."""
    y, x = np.mgrid[:200, :260]
    waves = 110 + 60 * np.sin(x / 17 + y / 29) + 40 * np.cos(y / 11 - x / 53)
    return np.rint(waves + 20 * ((x // 40 + y // 30) % 2) + x * y % 7).clip(0, 255)


def test_pdq_has_the_bits_of_the_published_implementation():
    # pdqhash 0.2.8, its bits from the last to the first.
    known = "8fff5aaab00003f48000c3f0741ffc1f74bffc1573e0ec1573e0fc0f63e0c554"
    bits = pdq_hash(pattern().astype(np.float32))
    assert np.packbits(bits).tobytes().hex() == known


def test_phash_and_dhash_have_the_bits_of_the_published_implementation():
    plane = pattern().astype(np.float32)
    # ImageHash 4.3.2; of dHash one bit of 256 hangs on the filter that shrinks.
    assert np.packbits(dct_hash(plane, side=8)).tobytes().hex() == "adc7add891c1613a"
    known = "870e8f1c1e1c1e381c783878787078e178e1f1e3e1c7e387c387c787878e871e"
    here = np.packbits(difference_hash(plane, side=16))
    differing = np.bitwise_count(here ^ np.frombuffer(bytes.fromhex(known), np.uint8)).sum()
    assert differing <= 1


@pytest.mark.parametrize("name", list(HASHES))
def test_jpeg_stays_below_the_threshold_and_another_image_does_not(name):
    method, image = HASHES[name], picture(pattern().astype(np.uint8))
    record = method.enrol(image)
    assert len(record) in (8, 32)
    assert method.compare(image, record).score == 0
    if method.threshold > 0:
        assert method.compare(distortions.jpeg(image, quality=70), record).score <= method.threshold
    assert method.compare(grey(200, 260), record).score > method.threshold


def test_a_turned_copy_is_known_in_all_orientations_only():
    image = picture(pattern().astype(np.uint8))
    plain, oriented = HASHES["PDQ"], HASHES["PDQ, 8 orientations"]
    for copy in (distortions.quarter_turn(image, turns=1), distortions.flip(image, axis="columns")):
        assert plain.compare(copy, plain.enrol(image)).score > plain.threshold
        assert oriented.compare(copy, oriented.enrol(image)).score <= oriented.threshold
