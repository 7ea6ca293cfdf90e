"""What both authenticated rivals do: exact pictures, and nothing for another key or a change."""

import numpy as np
import pytest

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.baselines.aes_gcm import AesGcm
from medseal.protection.encryption.baselines.method import PixelCipher
from medseal.protection.encryption.baselines.rsa_transport import RsaTransport
from tests.protection.encryption.baselines.images import KEY, NONCE, OTHER, picture

SHAPE = (24, 40)


@pytest.fixture(params=[AesGcm, RsaTransport])
def cipher(request: pytest.FixtureRequest) -> PixelCipher:
    return request.param()


def test_what_was_encrypted_comes_back(cipher: PixelCipher) -> None:
    image = picture(*SHAPE)
    hidden = cipher.encrypt(image, KEY, NONCE)
    assert hidden.ndim == 1
    assert hidden.dtype == np.uint8
    assert not np.array_equal(hidden[: image.size], image.ravel())
    assert np.array_equal(cipher.decrypt(hidden, KEY, NONCE, shape=SHAPE), image)


def test_another_key_nonce_or_value_is_refused(cipher: PixelCipher) -> None:
    hidden = cipher.encrypt(picture(*SHAPE), KEY, NONCE)
    changed = hidden.copy()
    changed[17] ^= 1
    for values, key, nonce in (
        (hidden, OTHER, NONCE),
        (hidden, KEY, bytes(16)),
        (changed, KEY, NONCE),
        (hidden[:-1], KEY, NONCE),
    ):
        with pytest.raises(CipherIntegrityError, match="does not"):
            cipher.decrypt(values, key, nonce, shape=SHAPE)
