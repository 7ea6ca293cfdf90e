"""RSA key transport; what it shares with the other authenticated rival: test_authenticated.py."""

import numpy as np

from medseal.protection.encryption.baselines.rsa_transport import RsaTransport
from tests.protection.encryption.baselines.images import KEY, NONCE, picture


def test_each_image_has_a_fresh_file_key() -> None:
    cipher, image = RsaTransport(), picture(24, 40)
    first, second = (cipher.encrypt(image, KEY, NONCE) for _ in range(2))
    assert np.mean(first == second) < 0.05
    assert first.size == image.size + 16 + 256
