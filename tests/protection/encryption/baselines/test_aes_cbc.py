import numpy as np

from medseal.protection.encryption.baselines.aes_cbc import AesCbc
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = AesCbc()
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


def test_a_changed_value_damages_two_blocks_at_most() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    hidden[100] ^= 1
    different = np.flatnonzero(
        CIPHER.decrypt(hidden, KEY, NONCE, shape=SHAPE).ravel() - image.ravel()
    )
    assert set(different // 16) <= {6, 7}
    assert 7 in different // 16
