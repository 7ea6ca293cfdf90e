"""Analog variant: a cipher image of 8 bits and the same size that survives lossy channels.

Each pixel carries two coded bits of a coarse picture (JPEG 2000 under error correction) as one of
four points on a circle, a small analog shift (what the coarse picture lacks), and a ChaCha20 mask
modulo 256. The receiver reads the coarse picture as long as the code holds, hears the shifts as
far as the channel lets them through, and a restoration network makes the image from both.

Values are coded on the scale 0 to 2**bits_stored - 1; signed ones are moved up by half of it. An
undisturbed cipher image of 8 bits gives the image back exactly unless it is nearly noise (a tag
tells), one of more bits to a few levels.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import secrets
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.errors import (
    CipherHeaderError,
    CipherIntegrityError,
    ConfigurationError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.encryption.cipher_header import PLAIN_TAG_BYTES
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage
from medseal.protection.encryption.cnn.analog_carrier import FORM
from medseal.protection.encryption.cnn.analog_features import Damaged, estimate, gate
from medseal.protection.encryption.cnn.analog_frame import (
    FrameKeys,
    Opened,
    open_frame,
    seal_frame,
)
from medseal.protection.encryption.cnn.analog_restoration import load, restore
from medseal.protection.encryption.cnn.analog_shape import Shape
from medseal.protection.encryption.keystream import NONCE_BYTES, check_key

__all__ = [
    "DECODERS",
    "AnalogReport",
    "DegradedImageWarning",
    "decrypt",
    "decrypt_with_report",
    "encrypt",
]

DECODERS = ("network", "linear")
# Version of the layout of the pixels; the backbone stands in the header's own field.
_PARAMETERS = b"\x01"
_BACKBONES = ("unet", "resnet", "autoencoder")
_ALLOCATED_BYTES = (1, 2)
_PALETTE = "PALETTE"
_BITS_A_BYTE = 8
# From worst to best.
_LAYERS = ("none", "base", "plain", "detail", "clean")


class DegradedImageWarning(UserWarning):
    """Only the base of the coarse picture was read: the image is blurred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogReport:
    """What is known of a decrypted image, from the cipher image alone; of the worst frame.

    Attributes
    ----------
    layer
        ``clean``: no value was disturbed, and a tag says so. ``detail``: the whole coarse picture
        was read and its tag fits. ``base``: only its base was, and its tag fits. ``plain``: a
        small image without a coarse picture; nothing vouches for it.
    noise
        Standard deviation of the channel's noise, in levels of the cipher image.
    lost_share
        Share of pixels that came back as something else.
    psnr_db
        Estimate of the linear decoder's, over the storable range; infinite where it is
        exact, NaN for ``plain``. The network's is higher in the mean.
    backbone
        Network that restored it; empty where none was needed.
    """

    layer: str
    noise: float
    lost_share: float
    psnr_db: float
    backbone: str


def _shape_of(header: CipherHeader) -> Shape:
    return Shape(
        rows=header.rows, columns=header.columns, samples=header.samples, bits=header.bits_stored
    )


def _zero(header: CipherHeader) -> int:
    """Return what is added to signed values."""
    return 1 << (header.bits_stored - 1) if header.is_signed else 0


def _levels(image: MedicalImage, header: CipherHeader) -> NDArray[np.int64]:
    """Return the stored values as levels of 0 to white."""
    levels = image.stored_values.astype(np.int64) + _zero(header)
    if levels.min() < 0 or levels.max() > _shape_of(header).white:
        raise UnsupportedImageError(
            f"stored values exceed the {image.bits_stored} bits stored; the analog variant cannot "
            "carry them, the integer variant can"
        )
    return levels


def encrypt(image: MedicalImage, key: bytes, *, backbone: str) -> CipherImage:
    """Return the cipher image: (frames, samples * rows, columns, 1) uint8.

    Parameters
    ----------
    image
        Whole numbers of up to 16 bits. The planes of a colour image travel below one another.
    key
        32 bytes; the nonce is drawn anew in each call.
    backbone
        ``unet``, ``resnet`` or ``autoencoder``: the network that is to restore it.

    Raises
    ------
    CipherKeyError
        The key has not 32 bytes.
    ConfigurationError
        The backbone is unknown.
    UnsupportedImageError
        Floating values, more than 16 bits, values beyond the bits stored, or a palette.
    """
    check_key(key)
    if backbone not in _BACKBONES:
        raise ConfigurationError(f"backbone is one of {', '.join(_BACKBONES)}; got {backbone!r}")
    values = image.stored_values
    if values.dtype.kind not in "iu" or values.dtype.itemsize not in _ALLOCATED_BYTES:
        raise UnsupportedImageError(
            f"the analog variant takes whole numbers of 8 or 16 bits, not {values.dtype}; "
            "seal the file instead"
        )
    if image.photometric_interpretation.startswith(_PALETTE):
        raise UnsupportedImageError(
            "numbers of a palette cannot be restored approximately; use the integer variant, or "
            "convert the image to RGB"
        )
    header = CipherHeader(
        form=FORM,
        backbone=backbone,
        nonce=secrets.token_bytes(NONCE_BYTES),
        frames=image.frames,
        rows=image.rows,
        columns=image.columns,
        samples=image.samples,
        bits_allocated=_BITS_A_BYTE * values.dtype.itemsize,
        bits_stored=image.bits_stored,
        is_signed=image.is_signed,
        photometric_interpretation=image.photometric_interpretation,
        parameters=_PARAMETERS,
        plain_tag=bytes(PLAIN_TAG_BYTES),
    ).with_tag(key)
    shape = _shape_of(header)
    frames = [
        seal_frame(shape.stack(levels), shape, _keys(header, key, index))
        for index, levels in enumerate(_levels(image, header))
    ]
    return CipherImage(stored_values=frozen(np.stack(frames)[..., None]), header=header)


def _keys(header: CipherHeader, key: bytes, frame: int) -> FrameKeys:
    return FrameKeys.of(key, header.nonce, frame=frame, cells=_shape_of(header).cells)


def _check_fit(header: CipherHeader, values: NDArray[Any]) -> None:
    if header.form != FORM or header.parameters != _PARAMETERS:
        raise CipherHeaderError(
            "this cipher image is not of the analog form that this version reads; update medseal"
        )
    shape = _shape_of(header)
    if values.shape != (header.frames, *shape.stacked, 1) or values.dtype != np.uint8:
        raise CipherHeaderError(
            "the pixels do not have the shape and type that the header of the cipher image states"
        )


def _planes(opened: Opened, shape: Shape) -> list[Damaged]:
    """Return the planes of a frame, each to be restored by itself."""
    white = np.float32(shape.white)

    def split(stack: NDArray[np.float32]) -> NDArray[np.float32]:
        return stack.reshape(shape.samples, shape.rows, shape.columns)

    parts = zip(split(opened.picture), split(opened.residual), split(opened.weight), strict=True)
    return [
        Damaged(
            picture=picture / white,
            error=opened.error / float(white),
            residual=residual / white,
            weight=weight,
            noise=opened.noise / float(white),
        )
        for picture, residual, weight in parts
    ]


def _frame_levels(opened: Opened, shape: Shape, backbone: str) -> NDArray[np.int64]:
    """Return the levels of one frame, restored where there is something to restore."""
    if opened.layer in ("clean", "plain"):
        stack = opened.picture
    else:
        planes = _planes(opened, shape)
        if backbone:
            network = load(backbone)
            restored = [restore(plane, network) for plane in planes]
        else:
            restored = [estimate(plane) for plane in planes]
        stack = np.concatenate(restored) * np.float32(shape.white)
    levels = np.clip(np.rint(stack), 0, shape.white).astype(np.int64)
    return np.asarray(shape.unstacked(levels), np.int64)


def _psnr_db(opened: Opened, shape: Shape) -> float:
    if opened.layer == "clean":
        return float(20 * np.log10(shape.white / opened.error)) if opened.error else float("inf")
    if opened.layer == "plain":
        return float("nan")
    left = np.mean([gate(plane).mean() for plane in _planes(opened, shape)])
    # Rounding of the shifts and of the result is never better than a twelfth of a squared level.
    square = opened.error**2 * float(left) + 1 / 12
    return float(10 * np.log10(shape.white**2 / square))


def decrypt_with_report(
    cipher_image: CipherImage, key: bytes, *, decoder: str = "network"
) -> tuple[MedicalImage, AnalogReport]:
    """Return the restored image and what is known of it.

    Parameters
    ----------
    cipher_image
        As it came back from the channel.
    key
        32 bytes, those of `encrypt`.
    decoder
        ``network``, or ``linear`` for the best linear estimate of each value by itself.

    Raises
    ------
    CipherKeyError
        The key is another; nothing was computed.
    CipherHeaderError
        Another form, or pixels of another shape or type than the header states.
    CipherIntegrityError
        The pixels were changed more than even the base of the coarse picture endures.
    ConfigurationError
        The decoder is unknown.
    """
    if decoder not in DECODERS:
        raise ConfigurationError(f"decoder is one of {', '.join(DECODERS)}; got {decoder!r}")
    header = cipher_image.header
    header.check_tag(key)
    _check_fit(header, cipher_image.stored_values)
    shape = _shape_of(header)
    backbone = header.backbone if decoder == "network" else ""
    frames, reports = [], []
    for index, frame in enumerate(cipher_image.stored_values[..., 0]):
        opened = open_frame(frame, shape, _keys(header, key, index))
        if opened.layer == "none":
            raise CipherIntegrityError(
                f"frame {index} of the cipher image was changed more than the analog variant "
                f"endures (noise {opened.channel_noise:.0f} levels, {opened.lost_share:.0%} lost); "
                "fetch it again"
            )
        frames.append(_frame_levels(opened, shape, backbone))
        reports.append(_report(opened, shape, backbone))
    worst = min(reports, key=lambda report: _LAYERS.index(report.layer))
    image = MedicalImage(
        stored_values=frozen((np.stack(frames) - _zero(header)).astype(header.dtype)),
        bits_stored=header.bits_stored,
        is_signed=header.is_signed,
        photometric_interpretation=header.photometric_interpretation,
        source_format="png",
        decoder="medseal cipher image, analog",
    )
    return image, worst


def _report(opened: Opened, shape: Shape, backbone: str) -> AnalogReport:
    return AnalogReport(
        layer=opened.layer,
        noise=opened.channel_noise,
        lost_share=opened.lost_share,
        psnr_db=_psnr_db(opened, shape),
        backbone="" if opened.layer in ("clean", "plain") else backbone,
    )


def decrypt(cipher_image: CipherImage, key: bytes) -> MedicalImage:
    """Return the restored image.

    Where only the base of the coarse picture was read, a `DegradedImageWarning` is given: the image
    is the right one, but blurred. Parameters and errors are those of `decrypt_with_report`.
    """
    image, report = decrypt_with_report(cipher_image, key)
    if report.layer == "base":
        warnings.warn(
            f"the cipher image was damaged beyond its detail (noise {report.noise:.0f} levels, "
            f"{report.lost_share:.0%} lost): the image is blurred, about {report.psnr_db:.0f} dB; "
            "fetch the cipher image again for more",
            DegradedImageWarning,
            stacklevel=2,
        )
    return image
