"""Cipher images as files: encrypt an image in one of three forms, write, read and decrypt it.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from medseal.errors import CipherHeaderError, ConfigurationError, UnsupportedImageError
from medseal.imaging import MedicalImage, encode, format_of, read_bytes
from medseal.imaging.attachment import attachment_of
from medseal.imaging.files import read_file
from medseal.protection.encryption.cipher_header import BACKBONES, FORMS, MAX_HEADER_BYTES, NO_CLAIM
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage

__all__ = [
    "CIPHER_BACKBONES",
    "CIPHER_FORMS",
    "NO_CLAIM",
    "CipherForm",
    "Restored",
    "cipher_image_in",
    "decrypt_image",
    "encode_cipher_image",
    "encrypt_image",
    "read_header_file",
]

CipherForm = Literal["integer", "analog", "digital"]
CIPHER_FORMS = FORMS
CIPHER_BACKBONES = tuple(name for name in BACKBONES if name)
_DIGITAL, _ANALOG = "digital", "analog"
_ENCRYPTION = "medseal.protection.encryption"
# More than a header, so that a file that is none is named as such and not as too large.
_MAX_HEADER_FILE_BYTES = 16 * MAX_HEADER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a cipher image led back to.

    Attributes
    ----------
    image
        The image.
    is_exact
        Whether a tag has shown that every stored value is that of the original.
    layer
        Of the analog form: ``clean``, ``detail``, ``base`` or ``plain``, from all that was there
        to the least that it still gives; empty for the other forms.
    psnr_db
        Of the analog form, estimated from the cipher image alone; None where it is exact or
        nothing vouches for an estimate.
    """

    image: MedicalImage
    is_exact: bool
    layer: str = ""
    psnr_db: float | None = None


def _ciphers(form: str) -> Any:
    """Return the module of a form; loaded when it is used, since networks are heavy."""
    return import_module(f"{_ENCRYPTION}.{'channel' if form == _DIGITAL else 'cnn'}")


def encrypt_image(
    image: MedicalImage,
    key: bytes,
    *,
    form: str,
    backbone: str = "unet",
    quality: int = 70,
) -> CipherImage:
    """Return the cipher image of `image` under a fresh nonce.

    Parameters
    ----------
    image
        8 or 16 bits; its attributes do not travel.
    key
        32 bytes.
    form
        ``integer``: exact where every bit arrives. ``digital``: exact through JPEG down to
        `quality`. ``analog``: approximate, through damage of unknown strength.
    backbone
        ``unet``, ``resnet`` or ``autoencoder``; the digital form has none.
    quality
        Of the digital form: the lowest JPEG quality to survive.

    Raises
    ------
    ConfigurationError
        An unknown form or backbone.
    CipherKeyError, UnsupportedImageError, InexactArithmeticError
        As the form.
    """
    if form not in CIPHER_FORMS:
        raise ConfigurationError(f"form is one of {', '.join(CIPHER_FORMS)}; got {form!r}")
    if form == _DIGITAL:
        found: CipherImage = _ciphers(form).encode(image, key, quality=quality)
    else:
        found = _ciphers(form).encrypt(image, key, variant=form, backbone=backbone)
    return found


def decrypt_image(cipher_image: CipherImage, key: bytes) -> Restored:
    """Return the image in a cipher image of any form, and how much of it came back.

    Raises
    ------
    CipherError
        The key, the header or the pixels do not fit; no stored value is returned.
    """
    form = cipher_image.header.form
    if form != _ANALOG:
        module = _ciphers(form)
        opened = (module.decode if form == _DIGITAL else module.decrypt)(cipher_image, key)
        return Restored(image=opened, is_exact=True)
    analog = import_module(f"{_ENCRYPTION}.cnn.analog")
    image, report = analog.decrypt_with_report(cipher_image, key)
    return Restored(
        image=image,
        is_exact=report.layer == "clean",
        layer=report.layer,
        psnr_db=report.psnr_db if math.isfinite(report.psnr_db) else None,
    )


def encode_cipher_image(cipher_image: CipherImage, output: Path) -> bytes:
    """Return the bytes of a PNG or DICOM file, by the suffix of `output`; its header is inside.

    Raises
    ------
    UnsupportedImageError
        Another suffix, or a format that cannot hold the pixels.
    """
    wanted = format_of(output)
    try:
        if wanted == "dicom":
            # pydicom's writer is needed here alone.
            dicom = import_module(f"{_ENCRYPTION}.dicom_cipher")
            return bytes(dicom.encode_cipher_dicom(cipher_image))
        if wanted == "png":
            return encode(
                cipher_image.to_image(), wanted, attachment=cipher_image.header.to_bytes()
            )
    except UnsupportedImageError as error:
        step = "write a .dcm file" if wanted == "png" else "write a .png file"
        raise UnsupportedImageError(
            f"{output}: this cipher image does not fit the format ({error}); {step}"
        ) from error
    raise UnsupportedImageError(f"{output}: a cipher image is written as .png or .dcm")


def cipher_image_in(data: bytes, *, name: str, header: CipherHeader | None = None) -> CipherImage:
    """Return the cipher image in a file of any format that can be read.

    Parameters
    ----------
    data
        The whole file.
    name
        File name for messages.
    header
        For a copy that lost its header; it goes before the one inside.

    Raises
    ------
    CipherHeaderError
        No header is inside and none was given, or it is damaged.
    InputError
        The file is no image, or its pixels are not those of a cipher image.
    """
    image = read_bytes(data, name=name)
    if header is None and image.source_format == "dicom":
        dicom = import_module(f"{_ENCRYPTION}.dicom_cipher")
        header = dicom.header_in(image, name=name)
    elif header is None:
        inside = attachment_of(data, image.source_format, name=name)
        if inside is None:
            raise CipherHeaderError(
                f"{name}: no header of a cipher image inside; if it was lost on the way, give the "
                "header file"
            )
        header = _header(inside, name=name)
    return CipherImage.from_image(image, header)


def read_header_file(path: Path) -> CipherHeader:
    """Return the header that stands alone in a file.

    Raises
    ------
    CipherHeaderError
        It is damaged or no header.
    InputError
        The file cannot be read.
    """
    return _header(read_file(path, limit_bytes=_MAX_HEADER_FILE_BYTES), name=str(path))


def _header(data: bytes, *, name: str) -> CipherHeader:
    try:
        return CipherHeader.from_bytes(data)
    except CipherHeaderError as error:
        raise CipherHeaderError(f"{name}: {error}") from error
