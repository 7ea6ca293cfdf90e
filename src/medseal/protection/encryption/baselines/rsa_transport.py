"""RSA as it is meant: it wraps a file key, and AES-256-GCM encrypts the image. For measuring.

No security claim rests on a learned method.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.baselines.aes_gcm import AesGcm
from medseal.protection.encryption.baselines.method import Bytes, flat
from medseal.protection.encryption.baselines.rsa_keys import rsa_key

__all__ = ["RsaTransport"]

_KEY_BITS = 256
_OAEP = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaTransport:
    """A fresh file key for each image under RSA-OAEP (RFC 8017, 7.1), then AES-256-GCM.

    Attributes
    ----------
    bits
        Of the modulus.
    """

    name: str = "RSA key transport + AES-GCM"
    bits: int = 2048

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return the values, the tag and the wrapped file key; `key` stands for the key pair."""
        file_key = AESGCM.generate_key(_KEY_BITS)
        wrapped = rsa_key(key, self.bits).public_key().encrypt(file_key, _OAEP)
        return flat(AesGcm().encrypt(values, file_key, nonce).tobytes() + wrapped)

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image, bit for bit.

        Raises
        ------
        CipherIntegrityError
            A bit changed, or the key or the nonce is another.
        """
        split = values.size - self.bits // 8
        try:
            file_key = rsa_key(key, self.bits).decrypt(values[max(split, 0) :].tobytes(), _OAEP)
        except ValueError as error:
            raise CipherIntegrityError("the wrapped key does not open with this key") from error
        return AesGcm().decrypt(values[:split], file_key, nonce, shape=shape)
