"""RSA on the pixels, chunk by chunk: never do this. A known-bad baseline for measuring.

Without padding equal chunks stay equal and black stays black; with padding it is a thousand times
slower than AES, larger, and chunks can still be exchanged unseen. No security claim rests on a
learned method.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.baselines.method import Bytes, as_image, checked, flat
from medseal.protection.encryption.baselines.rsa_keys import PUBLIC_EXPONENT, rsa_key

__all__ = ["RsaChunked"]

_OAEP = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)
_OAEP_OVERHEAD_BYTES = 2 * SHA256.digest_size + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaChunked:
    """Each chunk of pixels as one RSA message (never do this).

    Attributes
    ----------
    bits
        Of the modulus.
    is_padded
        OAEP, or textbook RSA without any padding.
    """

    bits: int = 2048
    is_padded: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"RSA on pixels, {'OAEP' if self.is_padded else 'textbook'} (never do this)"

    @property
    def _sizes(self) -> tuple[int, int]:
        """Return the bytes of a chunk before and after."""
        whole = self.bits // 8
        return (whole - _OAEP_OVERHEAD_BYTES if self.is_padded else whole - 1), whole

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  of the interface
        """Return a chunk of `bits` for each chunk of pixels; the nonce is not used."""
        public = rsa_key(key, self.bits).public_key()
        modulus = public.public_numbers().n
        data, (size, whole) = checked(values).tobytes(), self._sizes
        chunks = []
        for start in range(0, len(data), size):
            chunk = data[start : start + size]
            if self.is_padded:
                chunks.append(public.encrypt(chunk, _OAEP))
            else:
                number = int.from_bytes(chunk, "big")
                chunks.append(pow(number, PUBLIC_EXPONENT, modulus).to_bytes(whole, "big"))
        return flat(b"".join(chunks))

    def decrypt(
        self,
        values: Bytes,
        key: bytes,
        nonce: bytes,  # noqa: ARG002  of the interface
        *,
        shape: tuple[int, int],
    ) -> Bytes:
        """Return the image; without padding a changed value destroys its chunk.

        Raises
        ------
        CipherIntegrityError
            With padding: a chunk changed.
        """
        private = rsa_key(key, self.bits)
        numbers = private.private_numbers()
        modulus, (size, whole) = numbers.public_numbers.n, self._sizes
        left, parts = shape[0] * shape[1], []
        for start in range(0, values.size // whole * whole, whole):
            chunk = values[start : start + whole].tobytes()
            length = min(size, left)
            if self.is_padded:
                try:
                    parts.append(private.decrypt(chunk, _OAEP))
                except ValueError as error:
                    raise CipherIntegrityError("a chunk does not open with this key") from error
            else:
                number = pow(int.from_bytes(chunk, "big"), numbers.d, modulus)
                # A damaged chunk may be any number below the modulus: its low bytes count.
                parts.append((number % (1 << (8 * length))).to_bytes(length, "big"))
            left -= length
        return as_image(b"".join(parts), shape)
