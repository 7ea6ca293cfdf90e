"""One keystream for all images, without a nonce: a known-bad baseline for measuring.

So work DeepKeyGen and other learned keystreams under one key: one known image opens all others of
its size. No security claim rests on a learned method.
"""

from dataclasses import dataclass

import numpy as np

from medseal.protection.encryption.baselines.method import (
    Bytes,
    as_image,
    checked,
    generator_of,
)

__all__ = ["FixedKeystream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedKeystream:
    """XOR with values that follow from the key alone.

    References
    ----------
    Ding et al. 2020, DeepKeyGen, arXiv:2012.11097, the kind that is meant.
    """

    name: str = "fixed keystream"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  of the interface
        """Return as many values as the image has; the nonce is not used."""
        stream = generator_of(key, "keystream").integers(0, 256, values.size, dtype=np.uint8)
        return np.asarray(checked(values).ravel() ^ stream, np.uint8)

    def decrypt(self, values: Bytes, key: bytes, nonce: bytes, *, shape: tuple[int, int]) -> Bytes:
        """Return the image; a changed bit changes the same bit."""
        return as_image(self.encrypt(as_image(values, shape), key, nonce), shape)
