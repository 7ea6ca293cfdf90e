"""Classical ways to let an image through a lossy channel, beside the analog variant.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from collections.abc import Callable

import cv2
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from medseal.protection.encryption.keystream import Stream

__all__ = ["JPEG_RIVAL", "REPAIRS", "RIVALS", "jpeg_of_plain"]

Bytes = NDArray[np.uint8]
Channel = Callable[[Bytes], Bytes]

# The plain image as JPEG at the channel's quality inside AES-GCM: as small, but the channel must
# keep every bit.
JPEG_RIVAL = "JPEG of the plain image in AES-GCM"
_GUARD = 16
_MEDIAN_SIDE = 3
_OUTLIER = 40
_WINDOW = 9
_MEDIAN_OF_NORMAL = 0.6745
_LEAST_DEVIATION = 42.0


def jpeg_of_plain(image: Bytes, quality: int) -> Bytes:
    """Return the image after JPEG."""
    coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def _masked(image: Bytes, channel: Channel, seed: int) -> tuple[NDArray[np.float64], Bytes]:
    """Return the image after mask, keyed order and channel, and what came out of the channel.

    Both are in the order of the image. Levels are drawn together to leave a guard of 16 at either
    end of the circle.
    """
    key = np.random.default_rng(seed).bytes(64)
    order = Stream(key[:32]).permutation(image.size)
    mask = np.frombuffer(Stream(key[32:]).bytes(image.size), np.uint8)
    scaled = np.rint(_GUARD + image.reshape(-1) * ((255 - 2 * _GUARD) / 255)).astype(np.uint8)
    sent = np.empty(image.size, np.uint8)
    sent[order] = scaled + mask
    travelled = channel(sent.reshape(image.shape)).reshape(-1)
    opened = (travelled[order] - mask).astype(np.float64)
    values = (opened - _GUARD) * (255 / (255 - 2 * _GUARD))
    flat = _flat(travelled.reshape(image.shape)).reshape(-1)[order].astype(np.uint8)
    return values.reshape(image.shape), flat.reshape(image.shape)


def _flat(travelled: Bytes) -> NDArray[np.bool_]:
    values = travelled.astype(np.float32)
    mean = cv2.blur(values, (_WINDOW, _WINDOW))
    deviation = np.sqrt(np.maximum(cv2.blur(values * values, (_WINDOW, _WINDOW)) - mean**2, 0))
    flat = (deviation < _LEAST_DEVIATION).astype(np.uint8)
    # A window at the border of a blank area is not flat: the area is widened by half a window.
    return np.asarray(cv2.dilate(flat, np.ones((_WINDOW, _WINDOW), np.uint8)), np.bool_)


def _whole(values: NDArray[np.float64]) -> Bytes:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _raw(image: Bytes, channel: Channel, seed: int) -> Bytes:
    return _whole(_masked(image, channel, seed)[0])


def _inpainted(image: Bytes, channel: Channel, seed: int) -> Bytes:
    """Fill what lay under flat areas by linear interpolation between what did not."""
    values, flat = _masked(image, channel, seed)
    lost = flat == 1
    if not lost.any() or lost.mean() > 1 - 4 / lost.size:
        return _whole(values)
    known, sought = np.argwhere(~lost), np.argwhere(lost)
    found = LinearNDInterpolator(known, values[~lost])(sought)
    gaps = np.isnan(found)
    if gaps.any():
        found[gaps] = NearestNDInterpolator(known, values[~lost])(sought[gaps])
    filled = values.copy()
    filled[lost] = found
    return _whole(filled)


def _median(image: Bytes, channel: Channel, seed: int) -> Bytes:
    """Replace values far from the median of their neighbours by it."""
    values = _raw(image, channel, seed)
    middle = cv2.medianBlur(values, _MEDIAN_SIDE)
    far = np.abs(values.astype(int) - middle) > _OUTLIER
    return np.where(far, middle, values)


def _total_variation(image: Bytes, channel: Channel, seed: int) -> Bytes:
    from skimage.restoration import denoise_tv_chambolle  # noqa: PLC0415

    values = _median(image, channel, seed).astype(np.float64)
    # Mixed second differences of smooth parts are noise alone, of twice its deviation.
    mixed = np.diff(np.diff(values, axis=0), axis=1)
    sigma = float(np.median(np.abs(mixed))) / (2 * _MEDIAN_OF_NORMAL)
    return _whole(denoise_tv_chambolle(values, weight=max(sigma / 2, 0.1)))


def _counter_mode(image: Bytes, channel: Channel, seed: int) -> Bytes:
    key = np.random.default_rng(seed).bytes(48)

    def crypt(data: bytes) -> bytes:
        return Cipher(AES(key[:32]), CTR(key[32:])).encryptor().update(data)

    sent = np.frombuffer(crypt(image.tobytes()), np.uint8).reshape(image.shape)
    return np.frombuffer(crypt(channel(sent).tobytes()), np.uint8).reshape(image.shape)


# Take an image of 8 bits (rows, columns), the channel, and a seed of keys; return what is opened.
RIVALS: dict[str, Callable[[Bytes, Channel, int], Bytes]] = {
    "mask, raw": _raw,
    "mask, linear inpainting": _inpainted,
    "mask, conditional median": _median,
    "mask, total variation": _total_variation,
    "AES-CTR": _counter_mode,
}
# What each repair is for; the others are measured on every channel.
REPAIRS: dict[str, tuple[str, ...]] = {
    "mask, linear inpainting": ("crop 25 %, black",),
    "mask, conditional median": ("salt",),
    "mask, total variation": ("JPEG", "Gaussian"),
}
