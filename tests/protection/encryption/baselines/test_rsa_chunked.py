import numpy as np
import pytest

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.baselines.rsa_chunked import RsaChunked
from tests.protection.encryption.baselines.images import KEY, NONCE, picture

CIPHER = RsaChunked()
SHAPE = (24, 40)


def test_what_was_encrypted_comes_back() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    assert hidden.ndim == 1
    assert hidden.dtype == np.uint8
    assert not np.array_equal(hidden[: image.size], image.ravel())
    assert np.array_equal(CIPHER.decrypt(hidden, KEY, NONCE, shape=SHAPE), image)


def test_without_padding_black_stays_black_and_equal_chunks_equal() -> None:
    image = np.zeros((30, 17), np.uint8)
    assert not CIPHER.encrypt(image, KEY, NONCE).any()
    image[:] = 9
    hidden = CIPHER.encrypt(image, KEY, NONCE).reshape(2, 256)
    assert np.array_equal(hidden[0], hidden[1])


def test_with_padding_it_differs_each_time_and_refuses_changes() -> None:
    cipher, image = RsaChunked(is_padded=True), picture(8, 40)
    first, second = (cipher.encrypt(image, KEY, NONCE) for _ in range(2))
    assert not np.array_equal(first, second)
    assert first.size == 2 * 256
    assert np.array_equal(cipher.decrypt(first, KEY, NONCE, shape=(8, 40)), image)
    first[5] ^= 1
    with pytest.raises(CipherIntegrityError, match="does not open"):
        cipher.decrypt(first, KEY, NONCE, shape=(8, 40))


def test_a_damaged_chunk_of_textbook_rsa_still_gives_an_image() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    hidden[3] ^= 1
    plain = CIPHER.decrypt(hidden, KEY, NONCE, shape=SHAPE).ravel()
    assert np.array_equal(plain[255:], image.ravel()[255:])
    assert not np.array_equal(plain[:255], image.ravel()[:255])
    assert CIPHER.name.endswith("(never do this)")
