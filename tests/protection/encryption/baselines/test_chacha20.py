import numpy as np

from medseal.protection.encryption.baselines.chacha20 import ChaCha20
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = ChaCha20()
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


def test_the_keystream_is_that_of_rfc_8439() -> None:
    # 2.4.2: counter 1, nonce 00:00:00:00:00:00:00:4a:00:00:00:00.
    nonce = bytes.fromhex("01000000000000000000004a00000000")
    stream = CIPHER.encrypt(np.zeros((1, 8), np.uint8), KEY, nonce)
    assert stream.tobytes().hex() == "224f51f3401bd9e1"
