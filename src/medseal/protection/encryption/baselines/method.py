"""What every cipher that is measured beside the product offers: encrypt, decrypt.

Baselines are for measuring alone and protect nothing. No security claim rests on a learned method:
confidentiality and integrity come from the sealed package.
"""

from typing import Protocol

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = [
    "BLOCK_BYTES",
    "Bytes",
    "PixelCipher",
    "as_image",
    "checked",
    "flat",
    "generator_of",
    "padded",
]

BLOCK_BYTES = 16
_SEED_BYTES = 32
_AXES = 2

Bytes = NDArray[np.uint8]


class PixelCipher(Protocol):
    """A cipher for one grey image of 8 bits."""

    @property
    def name(self) -> str:
        """Name in tables."""

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:
        """Return the cipher values, flat.

        Parameters
        ----------
        values
            (rows, columns), uint8.
        key
            32 bytes.
        nonce
            16 bytes; ciphers without a nonce ignore it.

        Returns
        -------
        ndarray
            uint8. The first rows * columns, in order, travel as the pixels of a cipher image;
            padding, tags and wrapped keys follow. Ciphers that enlarge each chunk state it.

        Raises
        ------
        InputError
            The values are not such an image.
        """

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image of `shape` from cipher values, damaged or not.

        Raises
        ------
        CipherIntegrityError
            An authenticated cipher was given changed values.
        """


def checked(values: Bytes) -> Bytes:
    """Return `values` if they are (rows, columns) of uint8, not empty.

    Raises
    ------
    InputError
        They are not.
    """
    if values.ndim != _AXES or values.dtype != np.uint8 or values.size == 0:
        raise InputError(
            f"a baseline takes (rows, columns) of uint8, not {values.shape} {values.dtype}"
        )
    return values


def flat(data: bytes) -> Bytes:
    """Return bytes as flat values."""
    return np.frombuffer(data, np.uint8).copy()


def as_image(data: bytes | Bytes, shape: tuple[int, int]) -> Bytes:
    """Return the first values as an image of `shape`.

    Raises
    ------
    InputError
        Too few values.
    """
    values = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.ravel()
    if values.size < shape[0] * shape[1]:
        raise InputError(f"{values.size} cipher values are too few for {shape}")
    return values[: shape[0] * shape[1]].reshape(shape).copy()


def padded(values: Bytes) -> bytes:
    """Return the bytes of an image with zeros up to a whole block; the shape says where it ends."""
    data = checked(values).tobytes()
    return data + bytes(-len(data) % BLOCK_BYTES)


def generator_of(key: bytes, purpose: str) -> np.random.Generator:
    """Return a generator of random numbers that follows from the key: for fixed, keyed orders."""
    info = f"medseal/baseline/{purpose}".encode("ascii")
    seed = HKDF(algorithm=SHA256(), length=_SEED_BYTES, salt=None, info=info).derive(key)
    return np.random.default_rng(np.frombuffer(seed, np.uint32).tolist())
