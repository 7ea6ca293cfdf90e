"""Least times of the integer form by size, depth and network: what an idle core takes."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from medseal.imaging import MedicalImage
from medseal.protection.encryption import cnn

__all__ = ["least_milliseconds", "times"]

_KEY = bytes(range(32))
_BACKBONES: tuple[Literal["unet", "resnet", "autoencoder"], ...] = (
    "unet",
    "resnet",
    "autoencoder",
)
# Side, and how often: the least of so many times.
_SIDES = ((512, 15), (2048, 4))
_QUICK = ((64, 2),)


def least_milliseconds(step: Callable[[], object], rounds: int) -> float:
    """Return the least time of a step, wall clock."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        found.append((time.perf_counter() - start) * 1000)
    return min(found)


def _image(side: int) -> MedicalImage:
    values = np.random.default_rng(0).integers(0, 4096, (1, side, side, 1), dtype=np.uint16)
    values.flags.writeable = False
    return MedicalImage(
        stored_values=values,
        bits_stored=12,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="benchmark",
    )


def times(*, quick: bool) -> dict[str, Any]:
    """Return least milliseconds for 16-bit images, key set-up and tags included.

    By the fastest backend that is installed.
    """
    found: dict[str, Any] = {}
    for side, rounds in _QUICK if quick else _SIDES:
        image = _image(side)
        for backbone in _BACKBONES:
            encrypt = partial(cnn.encrypt, image, _KEY, variant="integer", backbone=backbone)
            cipher = encrypt()
            decrypt = partial(cnn.decrypt, cipher, _KEY)
            restored = decrypt()
            found[f"{side}x{side}, {backbone}"] = {
                "encrypt_ms": round(least_milliseconds(encrypt, rounds), 2),
                "decrypt_ms": round(least_milliseconds(decrypt, rounds), 2),
                "is_exact": bool(np.array_equal(restored.stored_values, image.stored_values)),
            }
    return found
