import hashlib
import hmac

import numpy as np
import pytest

from medseal.errors import CipherKeyError
from medseal.protection.encryption.keystream import Stream, subkey

KEY, NONCE = bytes(range(32)), bytes(range(16))


def test_a_sub_key_depends_on_everything_that_names_it() -> None:
    one_bit = bytes((1,)) + KEY[1:]
    keys = [
        subkey(KEY, NONCE, "integer", "weights"),
        subkey(KEY, NONCE, "integer", "whitening"),
        subkey(KEY, NONCE, "analog", "weights"),
        subkey(one_bit, NONCE, "integer", "weights"),
        subkey(KEY, one_bit[:16], "integer", "weights"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)


def test_the_sub_key_is_the_one_of_rfc_5869_extract_and_expand() -> None:

    extracted = hmac.digest(NONCE, KEY, hashlib.sha256)
    info = b"medseal/cipher/v1/integer/weights"
    assert subkey(KEY, NONCE, "integer", "weights") == hmac.digest(
        extracted, info + b"\x01", hashlib.sha256
    )


def test_the_stream_is_chacha20_from_block_zero() -> None:
    # RFC 8439, A.1, test vector 1: zero key, zero nonce, block 0.
    expected = bytes.fromhex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
    assert Stream(bytes(32)).bytes(32) == expected
    halves = Stream(bytes(32))
    assert halves.bytes(5) + halves.bytes(27) == expected
    assert Stream(bytes(32)).words(2).tolist() == [0xB876, 0xADE0]


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_a_permutation_holds_every_number_once(count: int) -> None:
    assert np.array_equal(np.sort(Stream(KEY).permutation(count)), np.arange(count))


def test_every_order_is_equally_likely() -> None:
    stream = Stream(KEY)
    counts = np.zeros((3, 3))
    for _ in range(3000):
        counts[np.arange(3), stream.permutation(3)] += 1
    # Five standard deviations of a binomial count of 3000 at 1/3.
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(3000 * 2 / 9)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "x" * 32])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    with pytest.raises(CipherKeyError, match="32 bytes"):
        subkey(key, NONCE, "integer", "weights")
    with pytest.raises(CipherKeyError, match="32 bytes"):
        Stream(key)


def test_a_nonce_of_another_length_is_refused() -> None:
    with pytest.raises(CipherKeyError, match="16 bytes"):
        subkey(KEY, bytes(15), "integer", "weights")
