import numpy as np

from medseal.protection.encryption.baselines.fixed_permutation import FixedPermutation
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = FixedPermutation()
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


def test_the_histogram_stays() -> None:
    image = picture(*SHAPE)
    assert np.array_equal(np.sort(CIPHER.encrypt(image, KEY, NONCE)), np.sort(image.ravel()))
