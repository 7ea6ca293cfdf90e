"""What falls without any cleverness: a repeated nonce, a short key, a size that tells the content.

No security claim rests on a learned method.
"""

import hashlib
import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.encryption_attackers import gain_over_mean
from benchmarks.encryption_subjects import ProductCipher, Subject
from medseal.errors import CipherError
from medseal.metrics.tails import normal_tail
from medseal.protection.encryption.baselines import AesCtr, RsaTransport

__all__ = ["brute_force", "nonce_misuse", "size_leakage"]

_KEY_YEARS = 256
_SECONDS_A_YEAR = 365.25 * 24 * 3600


def nonce_misuse(
    subject: Subject, pictures: NDArray[np.uint8], *, generator: np.random.Generator
) -> dict[str, Any]:
    """Return what one known image opens of others under the same key and the same nonce.

    The difference of two cipher images, by XOR and modulo 256, is put onto the known image. Forms
    whose interface draws the nonce itself cannot be misused so.
    """
    if isinstance(subject.cipher, ProductCipher | RsaTransport):
        return {"possible": False, "p_value": 1.0}
    key, nonce = subject.key(generator), bytes(16)
    hidden = [subject.pixels(image, key, nonce).reshape(image.shape) for image in pictures]
    known, mask = pictures[0], hidden[0]
    by_xor = np.stack([each ^ mask ^ known for each in hidden[1:]])
    by_difference = np.stack([each - mask + known for each in hidden[1:]])
    mean = pictures.astype(np.float64).mean(0)
    found: dict[str, Any] = {"possible": True}
    for name, guessed in (("xor", by_xor), ("difference", by_difference)):
        row = gain_over_mean(pictures[1:], guessed.astype(np.float64), mean)
        row["exact_share"] = float(np.mean(guessed == pictures[1:]))
        found[name] = row
    found["p_value"] = min(found["xor"]["p_value"], found["difference"]["p_value"])
    return found


def _short_key(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


def brute_force(
    picture: NDArray[np.uint8], *, bits: int, generator: np.random.Generator
) -> dict[str, Any]:
    """Return the processor time to find a key of few bits by trying all, one known image at hand.

    AES-CTR stands for every cipher: only the number of keys protects, so 256 bits are computed from
    the time of one try.
    """
    secret = int(generator.integers(1 << bits))
    cipher, nonce = AesCtr(), generator.bytes(16)
    start_of_image = np.ascontiguousarray(picture[:1, :16])
    target = cipher.encrypt(start_of_image, _short_key(secret), nonce).tobytes()
    start = time.process_time()
    found = next(
        number
        for number in range(1 << bits)
        if cipher.encrypt(start_of_image, _short_key(number), nonce).tobytes() == target
    )
    seconds = time.process_time() - start
    tries = found + 1
    return {
        "bits": bits,
        "is_found": found == secret,
        "tries": tries,
        "seconds": seconds,
        "years_for_256_bits": seconds / tries * 2.0**_KEY_YEARS / _SECONDS_A_YEAR,
    }


def size_leakage(
    subject: Subject, pictures: NDArray[np.uint8], *, generator: np.random.Generator
) -> dict[str, Any]:
    """Return whether the size of cipher images of one image size follows the content.

    The content is measured by the bytes of a PNG. A correlation is tested after Fisher.
    """
    key = subject.key(generator)
    sizes, contents = [], []
    for image in pictures:
        try:
            hidden = subject.cipher.encrypt(image, key, subject.nonce(generator))
        except CipherError:
            continue
        sizes.append(hidden.size)
        contents.append(len(cv2.imencode(".png", image)[1]))
    found: dict[str, Any] = {
        "bytes_a_value": float(np.mean(sizes)) / pictures[0].size,
        "sizes": len(set(sizes)),
        "correlation": 0.0,
        "p_value": 1.0,
    }
    if len(set(sizes)) > 1:
        correlation = float(np.corrcoef(sizes, contents)[0, 1])
        bounded = min(max(correlation, -1 + 1e-12), 1 - 1e-12)
        z = float(np.arctanh(bounded)) * (len(sizes) - 3) ** 0.5
        found |= {"correlation": correlation, "p_value": normal_tail(z)}
    return found
