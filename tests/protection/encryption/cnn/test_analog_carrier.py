import numpy as np

from medseal.protection.encryption.cnn.analog_carrier import (
    LEVELS,
    Carrier,
    bits_of,
    bytes_of,
    log_likelihoods,
    points_of,
)
from medseal.protection.encryption.cnn.analog_layout import layout_of

KEY, NONCE = bytes(range(32)), bytes(16)


def carrier(frame: int = 0, nonce: bytes = NONCE) -> Carrier:
    return Carrier.of(KEY, nonce, frame=frame, cells=6000)


def test_what_is_sent_is_received() -> None:
    content = np.random.default_rng(1).integers(-300, 300, 6000)
    received = carrier().received(carrier().sent(content))
    assert np.array_equal(received, content % LEVELS)


def test_each_frame_and_nonce_has_a_mask_and_places_of_its_own() -> None:
    first, second, third = carrier(), carrier(frame=1), carrier(nonce=bytes([1] * 16))
    for other in (second, third):
        assert np.mean(first.mask == other.mask) < 0.02
        assert np.mean(first.places == other.places) < 0.02


def test_neighbouring_points_differ_in_one_bit_and_are_heard_without_noise() -> None:
    part = layout_of(6000).detail
    assert part is not None
    coded = np.random.default_rng(2).integers(0, 2, part.code.coded_bits).astype(np.uint8)
    points = points_of(coded, part)
    assert set(np.unique(points)) == {0, 64, 128, 192}
    distance = (points.astype(int) - np.arange(0, 256, 64)[:, None] + 128) % 256 - 128
    densities = np.exp(-0.5 * (distance / 20.0) ** 2).astype(np.float32) + 1e-9
    assert np.array_equal(log_likelihoods(densities, part) < 0, coded == 1)
    moved = np.exp(-0.5 * ((distance + 64) / 20.0) ** 2).astype(np.float32) + 1e-9
    pairs = ((log_likelihoods(moved, part) < 0) != (coded == 1))[: coded.size // 2 * 2]
    # A point taken for its neighbour costs one bit of the two, where it does not turn the circle.
    assert pairs.reshape(-1, 2).sum(1).max() <= 1


def test_a_codeword_sent_twice_is_heard_twice() -> None:
    part = layout_of(6000).base
    assert part is not None
    assert part.times == 2
    coded = np.zeros(part.code.coded_bits, np.uint8)
    assert not points_of(coded, part).any()
    densities = np.ones((4, part.cells), np.float32)
    densities[0] = np.e
    single = np.log((np.e + 1) / 2)
    assert np.allclose(log_likelihoods(densities, part), 2 * single, atol=1e-5)


def test_bits_are_most_significant_first() -> None:
    assert bits_of(b"\x81").tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert bytes_of(bits_of(b"abc")) == b"abc"
