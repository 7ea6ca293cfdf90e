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
    received = as_signs(code.encode(payload, KEY)) + rng.normal(0, 1.1, code.CODED_BITS)
    (message,) = code.most_likely_messages(received[None])
    assert code.open_message(message, KEY) == payload


@given(payload=PAYLOADS, key=KEYS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_free_bits_bend_the_codeword_to_the_host_and_not_the_payload(payload, key, seed):
    heard = np.random.default_rng(seed).normal(0, 2, code.CODED_BITS)
    plain, bent = code.encode(payload, key), code.encode(payload, key, heard)
    assert not np.array_equal(plain, bent)
    # 96 free choices gain about 0.3 of a deviation on each of 808 bits.
    assert as_signs(bent) @ heard > as_signs(plain) @ heard
    assert as_signs(bent) @ heard > 0.15 * np.abs(heard).sum()
    (message,) = code.most_likely_messages(as_signs(bent)[None])
    assert code.open_message(message, key) == payload


@given(payload=PAYLOADS, key=KEYS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_a_plain_codeword_is_half_as_long_and_corrects_as_much(payload, key, seed):
    coded = code.encode_plain(payload, key)
    assert coded.shape == (code.PLAIN_BITS,) == (424,)
    received = as_signs(coded) + np.random.default_rng(seed).normal(0, 1.1, code.PLAIN_BITS)
    (message,) = code.most_likely_messages(received[None])
    assert code.open_message(message, key) == payload


def test_a_plain_codeword_is_that_of_the_message_alone():
    plain = code.encode_plain(b"release1", KEY)
    register, words = 0, []
    for bit in [*np.unpackbits(np.frombuffer(b"release1" + code._mac(b"release1", KEY), "u1"))] + (
        [0] * 10
    ):
        register = (register << 1 | int(bit)) & 0x7FF
        words += [bin(register & generator).count("1") % 2 for generator in code._GENERATORS]
    assert plain.tolist() == words


def test_a_batch_of_plain_codewords_is_decoded_row_by_row():
    payloads = [b"release1", b"release2", bytes(8)]
    received = np.stack([as_signs(code.encode_plain(payload, KEY)) for payload in payloads])
    messages = code.most_likely_messages(received * 0.3)
    assert [code.open_message(message, KEY) for message in messages] == payloads


def test_bit_log_likelihoods_of_a_plain_codeword():
    bits = np.unpackbits(np.frombuffer(b"release1", np.uint8))
    clean = as_signs(code.encode_plain(b"release1", KEY))
    certain = code.bit_log_likelihoods(clean * 4)
    assert np.array_equal(certain > 0, bits == 1)
    assert np.abs(certain).min() >= 29 * 4
    # The message alone decides: with a bit of noise all of them still agree.
    noisy = clean + np.random.default_rng(4).normal(0, 0.8, code.PLAIN_BITS).astype(np.float32)
    assert np.array_equal(code.bit_log_likelihoods(noisy) > 0, bits == 1)


def test_the_bent_codeword_is_the_best_of_all_with_this_payload():
    heard = np.random.default_rng(6).normal(size=code.CODED_BITS)
    best = as_signs(code.encode(b"release1", KEY, heard)) @ heard
    rng = np.random.default_rng(7)
    for _ in range(30):
        other = code.encode(b"release1", KEY, heard + rng.normal(0, 1, code.CODED_BITS))
        assert as_signs(other) @ heard <= best + 1e-3


def test_a_codeword_that_was_heard_is_made_again():
    heard = as_signs(code.encode(b"release1", KEY, np.random.default_rng(8).normal(size=808)))
    assert np.array_equal(as_signs(code.encode(b"release1", KEY, heard)), heard)
    # A louder host outvotes noise: bent to it, the mark is read where a plain one is lost.
    host = np.random.default_rng(9).normal(0, 2.5, code.CODED_BITS)
    read = []
    for known in (None, host):
        received = as_signs(code.encode(b"release1", KEY, known)) + host
        (message,) = code.most_likely_messages(received[None])
        read.append(code.open_message(message, KEY))
    assert read == [None, b"release1"]


def test_a_batch_is_decoded_row_by_row():
    payloads = [b"release1", b"release2", bytes(8)]
    received = np.stack([as_signs(code.encode(payload, KEY)) for payload in payloads])
    messages = code.most_likely_messages(received)
    assert [code.open_message(message, KEY) for message in messages] == payloads


def test_every_eighth_bit_turned_and_every_eighth_erased():
    received = as_signs(code.encode(b"release1", KEY))
    received[::8] *= -1
    received[4::8] = 0
    (message,) = code.most_likely_messages(received[None])
    assert code.open_message(message, KEY) == b"release1"


def test_the_code_has_free_distance_29():
    # Dijkstra over the states from the first departure from zero to the return to it.
    weights = [bin(word).count("1") for word in range(16)]
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
    assert distance == 29


def test_noise_and_other_keys_are_never_taken_for_a_payload():
    rng = np.random.default_rng(5)
    for size in (code.CODED_BITS, code.PLAIN_BITS):
        noise = rng.normal(size=(300, size))
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
    # The best other path differs in at least 29 coded bits, each of which costs 4.
    assert np.abs(certain).min() >= 29 * 4
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
    with pytest.raises(WatermarkKeyError, match="a watermark key has 32 bytes"):
        code.encode_plain(b"release1", key)


@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(9), "12345678"])
def test_a_payload_of_another_length_is_refused(payload):
    with pytest.raises(WatermarkKeyError, match="a watermark payload has 8 bytes"):
        code.encode(payload, KEY)
    with pytest.raises(WatermarkKeyError, match="a watermark payload has 8 bytes"):
        code.encode_plain(payload, KEY)
