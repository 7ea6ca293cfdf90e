import numpy as np

from medseal.protection.encryption.baselines.fixed_keystream import FixedKeystream
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = FixedKeystream()
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


def test_one_known_image_opens_another() -> None:
    known, secret = picture(*SHAPE), picture(*SHAPE)[:, ::-1].copy()
    stream = CIPHER.encrypt(known, KEY, NONCE) ^ known.ravel()
    assert np.array_equal(CIPHER.encrypt(secret, KEY, bytes(16)) ^ stream, secret.ravel())
