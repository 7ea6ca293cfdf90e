import numpy as np
import pytest

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.baselines.aes_gcm import AesGcm
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

CIPHER = AesGcm()
SHAPE = (24, 40)


def test_what_was_encrypted_comes_back() -> None:
    image = picture(*SHAPE)
    hidden = CIPHER.encrypt(image, KEY, NONCE)
    assert hidden.ndim == 1
    assert hidden.dtype == np.uint8
    assert not np.array_equal(hidden[: image.size], image.ravel())
    assert np.array_equal(CIPHER.decrypt(hidden, KEY, NONCE, shape=SHAPE), image)


def test_another_key_nonce_or_value_is_refused() -> None:
    hidden = CIPHER.encrypt(picture(*SHAPE), KEY, NONCE)
    changed = hidden.copy()
    changed[17] ^= 1
    for values, key, nonce in (
        (hidden, OTHER, NONCE),
        (hidden, KEY, bytes(16)),
        (changed, KEY, NONCE),
        (hidden[:-1], KEY, NONCE),
    ):
        with pytest.raises(CipherIntegrityError, match="does not"):
            CIPHER.decrypt(values, key, nonce, shape=SHAPE)


def test_the_tag_is_all_that_is_added() -> None:
    assert CIPHER.encrypt(picture(*SHAPE), KEY, NONCE).size == 24 * 40 + 16
