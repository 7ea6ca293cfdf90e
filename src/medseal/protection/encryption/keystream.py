"""Keys and random numbers of a cipher image: HKDF-SHA256 sub-keys and ChaCha20 streams.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import builtins

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from medseal.errors import CipherKeyError

__all__ = ["KEY_BYTES", "NONCE_BYTES", "Stream", "check_key", "subkey"]

KEY_BYTES = 32
NONCE_BYTES = 16
_WORD_BYTES = 2
_RANK_BYTES = 8
# A sub-key serves one stream and no other, so that the stream may start at block 0 of nonce 0.
_STREAM_START = bytes(16)


def check_key(key: bytes) -> None:
    """Refuse a key of the wrong type or length.

    Raises
    ------
    CipherKeyError
        Not 32 bytes.
    """
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise CipherKeyError(f"a cipher key is a bytes object of {KEY_BYTES} bytes")


def subkey(key: bytes, nonce: bytes, form: str, purpose: str) -> bytes:
    """Return the key for one purpose in one image.

    Parameters
    ----------
    key
        32 bytes.
    nonce
        16 bytes, random for each image.
    form
        Of the cipher image: integer, analog or digital.
    purpose
        One name a use; lower case letters and hyphens.

    Returns
    -------
    bytes
        32 bytes: HKDF-SHA256 (RFC 5869) with the nonce as salt and
        ``medseal/cipher/v1/<form>/<purpose>`` as info.

    Raises
    ------
    CipherKeyError
        The key has not 32 bytes, or the nonce not 16.
    """
    check_key(key)
    if len(nonce) != NONCE_BYTES:
        raise CipherKeyError(f"the nonce of a cipher image has {NONCE_BYTES} bytes")
    info = f"medseal/cipher/v1/{form}/{purpose}".encode("ascii")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=nonce, info=info).derive(key)


class Stream:
    """ChaCha20 under one sub-key, read from its start; each call continues where the last ended.

    Parameters
    ----------
    key
        32 bytes from `subkey`; one stream a sub-key.
    """

    def __init__(self, key: builtins.bytes) -> None:
        check_key(key)
        self._encryptor = Cipher(ChaCha20(key, _STREAM_START), mode=None).encryptor()

    def bytes(self, count: int) -> builtins.bytes:
        """Return the next `count` bytes of the stream."""
        return self._encryptor.update(builtins.bytes(count))

    def words(self, count: int) -> NDArray[np.uint16]:
        """Return the next `count` 16-bit numbers, little endian in the stream: (count,)."""
        data = np.frombuffer(self.bytes(_WORD_BYTES * count), "<u2")
        return data.astype(np.uint16, copy=False)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return a random order of 0 to `count` - 1: (count,), every order equally likely.

        Each place draws a 64-bit rank, little endian in the stream, and the places are sorted by
        it. Should two ranks be equal, all are drawn anew, so that no order is preferred and no
        sorting method can matter.
        """
        while True:
            ranks = np.frombuffer(self.bytes(_RANK_BYTES * count), "<u8").astype(np.uint64)
            order = np.argsort(ranks)
            ordered = ranks[order]
            if not np.any(ordered[1:] == ordered[:-1]):
                return order.astype(np.int64, copy=False)
