import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import WatermarkKeyError
from medseal.protection.watermark import payload as code

KEY = bytes(range(32))
PAYLOADS = st.binary(min_size=8, max_size=8)
KEYS = st.binary(min_size=32, max_size=32)


def as_signs(coded):
    return coded.astype(np.float32) * 2 - 1


@given(payload=PAYLOADS, key=KEYS)
@settings(max_examples=25, deadline=None)
def test_what_is_encoded_is_decoded(payload, key):
    (message,) = code.most_likely_messages(as_signs(code.encode(payload, key))[None])
    assert code.open_message(message, key) == payload


@given(payload=PAYLOADS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_noise_of_the_strength_of_the_signal_is_corrected(payload, seed):
    rng = np.random.default_rng(seed)
    received = as_signs(code.encode(payload, KEY)) + rng.normal(0, 0.9, code.CODED_BITS)
    (message,) = code.most_likely_messages(received[None])
    assert code.open_message(message, KEY) == payload


def test_every_tenth_bit_turned_and_every_tenth_erased():
    received = as_signs(code.encode(b"release1", KEY))
    received[::10] *= -1
    received[5::10] = 0
    (message,) = code.most_likely_messages(received[None])
    assert code.open_message(message, KEY) == b"release1"


def test_the_code_has_free_distance_22():
    # Dijkstra over the states from the first departure from zero to the return to it.
    weights = [bin(word).count("1") for word in range(8)]
    queue, seen = [(weights[code._WORDS[1]], 1)], set()
    while queue:
        distance, state = heapq.heappop(queue)
        if state == 0:
            break
        if state in seen:
            continue
        seen.add(state)
        for bit in (0, 1):
            register = state << 1 | bit
            step = weights[code._WORDS[register]]
            heapq.heappush(queue, (distance + step, register & (code._STATES - 1)))
    assert distance == 22


def test_noise_and_other_keys_are_never_taken_for_a_payload():
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(300, code.CODED_BITS))
    assert not any(code.open_message(m, KEY) for m in code.most_likely_messages(noise))
    (message,) = code.most_likely_messages(as_signs(code.encode(b"release1", KEY))[None])
    assert code.open_message(message, bytes(32)) is None


@given(position=st.integers(0, 95))
@settings(max_examples=30, deadline=None)
def test_one_turned_bit_of_payload_or_mac_is_refused(position):
    (message,) = code.most_likely_messages(as_signs(code.encode(b"release1", KEY))[None])
    changed = int.from_bytes(message, "big") ^ (1 << position)
    assert code.open_message(changed.to_bytes(12, "big"), KEY) is None


def test_bit_log_likelihoods_agree_with_exhaustive_reasoning():
    payload = b"release1"
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    clean = as_signs(code.encode(payload, KEY))
    certain = code.bit_log_likelihoods(clean * 4)
    assert np.array_equal(certain > 0, bits == 1)
    # The best other path differs in at least 22 coded bits, each of which costs 4.
    assert np.abs(certain).min() >= 22 * 4
    assert np.allclose(code.bit_log_likelihoods(clean * 8), certain * 2, rtol=1e-4)
    assert np.abs(code.bit_log_likelihoods(clean * 0)).max() == 0


def test_keys_derived_for_different_purposes_differ():
    assert code.derive(KEY, "mac", 32) != code.derive(KEY, "signs", 32)
    assert code.derive(KEY, "mac", 32) != code.derive(bytes(32), "mac", 32)
    assert code.derive(KEY, "mac", 32) == code.derive(KEY, "mac", 64)[:32]


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "k" * 32])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(WatermarkKeyError, match="a watermark key has 32 bytes"):
        code.encode(b"release1", key)


@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(9), "12345678"])
def test_a_payload_of_another_length_is_refused(payload):
    with pytest.raises(WatermarkKeyError, match="a watermark payload has 8 bytes"):
        code.encode(payload, KEY)
