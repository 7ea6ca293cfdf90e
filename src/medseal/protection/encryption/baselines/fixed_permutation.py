"""Pixels in one keyed order for all images: a known-bad baseline for measuring.

The histogram stays, and a few known images give the order. No security claim rests on a learned
method.
"""

from dataclasses import dataclass

import numpy as np

from medseal.protection.encryption.baselines.method import (
    Bytes,
    as_image,
    checked,
    generator_of,
)

__all__ = ["FixedPermutation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPermutation:
    """Values in an order that follows from the key alone."""

    name: str = "fixed permutation"

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  of the interface
        """Return as many values as the image has; the nonce is not used."""
        order = generator_of(key, "permutation").permutation(values.size)
        return checked(values).ravel()[order]

    def decrypt(
        self,
        values: Bytes,
        key: bytes,
        nonce: bytes,  # noqa: ARG002  of the interface
        *,
        shape: tuple[int, int],
    ) -> Bytes:
        """Return the image; a changed value changes one value."""
        order = generator_of(key, "permutation").permutation(shape[0] * shape[1])
        plain = np.empty(order.size, np.uint8)
        plain[order] = values[: order.size]
        return as_image(plain, shape)
