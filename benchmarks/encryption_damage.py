"""What a damaged cipher image still opens to: JPEG, noise, salt and pepper, a crop; and the costs.

An authenticated cipher refuses, which is the right answer where a changed image must not pass for
the original. No security claim rests on a learned method.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.encryption_subjects import ProductCipher, Subject
from medseal.errors import CipherError
from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.encryption.baselines import AesGcm, Bytes

__all__ = ["CHANNELS", "costs", "damage"]

Channel = Callable[[Bytes, np.random.Generator], Bytes]
_EXACT_DB = 100.0
_ROUNDS, _SIDE = 5, 512


def _jpeg(quality: int) -> Channel:
    def apply(picture: Bytes, _: np.random.Generator) -> Bytes:
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)

    return apply


def _gaussian(picture: Bytes, generator: np.random.Generator) -> Bytes:
    noisy = picture + generator.normal(0, 2.55, picture.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)


def _salt_and_pepper(share: float) -> Channel:
    def apply(picture: Bytes, generator: np.random.Generator) -> Bytes:
        hit = generator.random(picture.shape) < share
        values = generator.integers(0, 2, picture.shape, dtype=np.uint8) * np.uint8(255)
        return np.where(hit, values, picture)

    return apply


def _crop(picture: Bytes, _: np.random.Generator) -> Bytes:
    """Return the picture with a quarter of its places, its lower right, black."""
    rows, columns = picture.shape
    cropped = picture.copy()
    cropped[rows // 2 :, columns // 2 :] = 0
    return cropped


CHANNELS: dict[str, Channel | None] = {
    "none": None,
    "JPEG 95": _jpeg(95),
    "JPEG 90": _jpeg(90),
    "JPEG 80": _jpeg(80),
    "JPEG 70": _jpeg(70),
    "JPEG 50": _jpeg(50),
    "Gaussian 1 %": _gaussian,
    "salt and pepper 0.01 %": _salt_and_pepper(0.0001),
    "salt and pepper 1 %": _salt_and_pepper(0.01),
    "crop 25 %": _crop,
}


def _through(subject: Subject, hidden: Bytes, image: Bytes, channel: Channel, seed: int) -> Bytes:
    """Return cipher values whose travelling pixels went through the channel; the rest as it was."""
    cipher = subject.cipher
    if isinstance(cipher, ProductCipher):
        picture = cipher.picture(hidden)
    else:
        picture = hidden[: image.size].reshape(image.shape)
    damaged = channel(np.ascontiguousarray(picture), np.random.default_rng(seed))
    return np.concatenate([damaged.ravel(), hidden[picture.size :]])


def damage(
    subject: Subject, pictures: NDArray[np.uint8], *, generator: np.random.Generator
) -> dict[str, Any]:
    """Return for each channel how many images are refused, and PSNR and SSIM of the others.

    Exact images count 100 dB in the mean.
    """
    found: dict[str, Any] = {}
    for name, channel in CHANNELS.items():
        refused, decibels, likeness = 0, [], []
        for number, image in enumerate(pictures):
            key, nonce = subject.key(generator), subject.nonce(generator)
            hidden = subject.cipher.encrypt(image, key, nonce)
            if channel is not None:
                hidden = _through(subject, hidden, image, channel, number)
            try:
                plain = subject.cipher.decrypt(
                    hidden, key, nonce, shape=(image.shape[0], image.shape[1])
                )
            except CipherError:
                refused += 1
                continue
            value = psnr(image, plain, data_range=255)
            decibels.append(_EXACT_DB if math.isinf(value) else value)
            likeness.append(ssim(image, plain, data_range=255))
        found[name] = {"images": len(pictures), "refused": refused} | (
            {
                "psnr_db": float(np.mean(decibels)),
                "least_psnr_db": float(np.min(decibels)),
                "ssim": float(np.mean(likeness)),
                "exact_share": float(np.mean(np.array(decibels) == _EXACT_DB)),
            }
            if decibels
            else {}
        )
    return found


def _times(steps: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median milliseconds of steps that take turns; the first round is left out."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(_ROUNDS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: median(values) for name, values in times.items()}


def _cost(subject: Subject, image: Bytes, generator: np.random.Generator) -> dict[str, float]:
    gcm, gcm_key = AesGcm(), bytes(32)
    key, nonce = subject.key(generator), subject.nonce(generator)
    hidden = subject.cipher.encrypt(image, key, nonce)
    sealed = gcm.encrypt(image, gcm_key, nonce)
    shape = (image.shape[0], image.shape[1])
    row = _times(
        {
            "encrypt_ms": lambda: subject.cipher.encrypt(image, key, nonce),
            "decrypt_ms": lambda: subject.cipher.decrypt(hidden, key, nonce, shape=shape),
            "aes_gcm_encrypt_ms": lambda: gcm.encrypt(image, gcm_key, nonce),
            "aes_gcm_decrypt_ms": lambda: gcm.decrypt(sealed, gcm_key, nonce, shape=shape),
        }
    )
    row["encrypt_times_aes_gcm"] = row["encrypt_ms"] / row["aes_gcm_encrypt_ms"]
    row["decrypt_times_aes_gcm"] = row["decrypt_ms"] / row["aes_gcm_decrypt_ms"]
    row["values"] = hidden.size / image.size
    return row


def costs(subjects: Sequence[Subject], *, side: int = _SIDE) -> dict[str, Any]:
    """Return milliseconds for an image of 8 bits, by turns with AES-GCM, and the ratio to it."""
    generator = np.random.default_rng(1)
    down, across = np.mgrid[:side, :side]
    # Smooth with some noise, as images are: what compresses first is not judged on pure noise.
    shown = 120 + 80 * np.sin(down / 40) * np.cos(across / 30)
    image = np.clip(shown + generator.normal(0, 3, shown.shape), 0, 255).astype(np.uint8)
    return {subject.name: _cost(subject, image, generator) for subject in subjects}
