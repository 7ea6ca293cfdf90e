"""ChaCha20: a keystream for each nonce, no integrity; a baseline for measuring.

No security claim rests on a learned method.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20 as Algorithm

from medseal.protection.encryption.baselines.method import Bytes, as_image, checked, flat

__all__ = ["ChaCha20"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaCha20:
    """ChaCha20 (RFC 8439, 2.4) with counter and nonce in 16 bytes."""

    name: str = "ChaCha20"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return as many values as the image has."""
        encryptor = Cipher(Algorithm(key, nonce), mode=None).encryptor()
        return flat(encryptor.update(checked(values).tobytes()))

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image; a changed bit changes the same bit."""
        plain = Cipher(Algorithm(key, nonce), mode=None).decryptor().update(values.tobytes())
        return as_image(plain, shape)
