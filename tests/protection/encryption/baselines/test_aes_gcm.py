"""AES-GCM as a rival; what it shares with the other authenticated one: test_authenticated.py."""

from medseal.protection.encryption.baselines.aes_gcm import AesGcm
from tests.protection.encryption.baselines.images import KEY, NONCE, picture


def test_the_tag_is_all_that_is_added() -> None:
    assert AesGcm().encrypt(picture(24, 40), KEY, NONCE).size == 24 * 40 + 16
