"""AES-256-ECB: every block on its own, equal blocks stay equal; a known-bad baseline for measuring.

No security claim rests on a learned method, and this cipher is here to be seen broken.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from medseal.protection.encryption.baselines.method import (
    BLOCK_BYTES,
    Bytes,
    as_image,
    flat,
    padded,
)

__all__ = ["AesEcb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AesEcb:
    """AES-256 in electronic codebook mode (NIST SP 800-38A, 6.1)."""

    name: str = "AES-ECB"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  of the interface
        """Return whole blocks; the nonce is not used."""
        encryptor = Cipher(AES(key), ECB()).encryptor()  # noqa: S305  measured as a bad example
        return flat(encryptor.update(padded(values)) + encryptor.finalize())

    def decrypt(
        self,
        values: Bytes,
        key: bytes,
        nonce: bytes,  # noqa: ARG002  of the interface
        *,
        shape: tuple[int, int],
    ) -> Bytes:
        """Return the image; a changed value damages its block."""
        whole = values[: values.size // BLOCK_BYTES * BLOCK_BYTES]
        decryptor = Cipher(AES(key), ECB()).decryptor()  # noqa: S305  measured as a bad example
        return as_image(decryptor.update(whole.tobytes()) + decryptor.finalize(), shape)
