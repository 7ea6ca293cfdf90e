"""AES-256-CTR: a keystream for each nonce, no integrity; the control of the statistical tests.

A baseline for measuring; no security claim rests on a learned method.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from medseal.protection.encryption.baselines.method import Bytes, as_image, checked, flat

__all__ = ["AesCtr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AesCtr:
    """AES-256 in counter mode (NIST SP 800-38A, 6.5); the nonce is the first counter block."""

    name: str = "AES-CTR"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return as many values as the image has."""
        return flat(Cipher(AES(key), CTR(nonce)).encryptor().update(checked(values).tobytes()))

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image; a changed bit changes the same bit."""
        plain = Cipher(AES(key), CTR(nonce)).decryptor().update(values.tobytes())
        return as_image(plain, shape)
