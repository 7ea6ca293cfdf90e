"""AES-256-CBC: blocks chained, no integrity; a changed bit destroys its block and moves the next.

A baseline for measuring; no security claim rests on a learned method.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from medseal.protection.encryption.baselines.method import (
    BLOCK_BYTES,
    Bytes,
    as_image,
    flat,
    padded,
)

__all__ = ["AesCbc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AesCbc:
    """AES-256 in cipher block chaining mode (NIST SP 800-38A, 6.2); the nonce is the first block.

    A fresh nonce must be unpredictable. No padding oracle: the shape says where the image ends.
    """

    name: str = "AES-CBC"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return whole blocks."""
        encryptor = Cipher(AES(key), CBC(nonce)).encryptor()
        return flat(encryptor.update(padded(values)) + encryptor.finalize())

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image; a changed value damages its block and the next."""
        whole = values[: values.size // BLOCK_BYTES * BLOCK_BYTES]
        decryptor = Cipher(AES(key), CBC(nonce)).decryptor()
        return as_image(decryptor.update(whole.tobytes()) + decryptor.finalize(), shape)
