import numpy as np

from medseal.protection.encryption.baselines.aes_ctr import AesCtr
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = AesCtr()
SHAPE = (24, 40)


def test_what_was_encrypted_comes_back() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    assert hidden.ndim == 1
    assert hidden.dtype == np.uint8
    assert not np.array_equal(hidden[: image.size], image.ravel())
    assert np.array_equal(CIPHER.decrypt(hidden, KEY, NONCE, shape=SHAPE), image)


def test_another_key_gives_something_else() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    assert np.mean(CIPHER.decrypt(hidden, OTHER, NONCE, shape=SHAPE) == image) < 0.6


def test_a_repeated_nonce_shows_the_difference_of_the_images() -> None:
    first, second = picture(*SHAPE), picture(*SHAPE)[::-1].copy()
    hidden = [CIPHER.encrypt(image, KEY, NONCE) for image in (first, second)]
    assert np.array_equal(hidden[0] ^ hidden[1], (first ^ second).ravel())
    assert np.mean(CIPHER.encrypt(first, KEY, bytes(16)) == hidden[0]) < 0.05
