"""AES-256-GCM: what the sealed package is made of; refuses every changed bit.

Here it stands as a rival of the cipher images, without the package around it. No security claim
rests on a learned method.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.baselines.method import Bytes, as_image, checked, flat

__all__ = ["AesGcm"]

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AesGcm:
    """AES-256 in Galois/counter mode (NIST SP 800-38D); the first 12 bytes of the nonce count."""

    name: str = "AES-GCM"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return the values and a tag of 16 bytes."""
        return flat(AESGCM(key).encrypt(nonce[:_NONCE_BYTES], checked(values).tobytes(), None))

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image, bit for bit.

        Raises
        ------
        CipherIntegrityError
            A bit changed, or the key or the nonce is another.
        """
        try:
            plain = AESGCM(key).decrypt(nonce[:_NONCE_BYTES], values.tobytes(), None)
        except InvalidTag as error:
            raise CipherIntegrityError("the tag does not fit: values or key changed") from error
        return as_image(plain, shape)
