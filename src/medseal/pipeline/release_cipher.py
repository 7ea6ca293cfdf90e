"""A release as a cipher image: its key, its header and its data set in a sealed package beside it.

Confidentiality and integrity come from that package and, in the integer and digital forms, from
the tag in it over every stored value. No security claim rests on a learned method.
"""

import base64
import binascii
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from medseal.digest import JsonValue, canonical_json, parse_canonical_json
from medseal.errors import (
    CipherError,
    HeaderFormatError,
    InputError,
    PackageError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage, encode, format_of
from medseal.imaging.attachment import attachment_of
from medseal.imaging.boundary import library_errors
from medseal.imaging.derive import derived_copy
from medseal.imaging.dicom import dataset_of, with_dataset
from medseal.imaging.files import check_output, read_file, write_file
from medseal.pipeline.cipher import (
    Restored,
    cipher_image_in,
    decrypt_image,
    encode_cipher_image,
    encrypt_image,
)
from medseal.protection.encryption import Identity, Recipient, SealedPackage, seal
from medseal.protection.encryption import open as open_package
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage
from medseal.protection.encryption.keystream import KEY_BYTES

__all__ = [
    "MAX_PACKAGE_BYTES",
    "CipherCopy",
    "OpenedCopy",
    "check_cipher_output",
    "encrypt_release",
    "open_cipher_release",
    "package_beside",
]

MAX_PACKAGE_BYTES = 96 * 1024**2
"""Bytes of the package beside a cipher image: a data set and side information at their limits."""

_CONTEXT = b"medseal/cipher-release/v1"
_VERSION = 1
_DERIVATION = "restored approximately from a cipher image"


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherCopy:
    """What leaves in the place of a release's file.

    Attributes
    ----------
    content
        The cipher image, a PNG or DICOM file.
    package
        The sealed package to go beside it.
    """

    content: bytes
    package: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedCopy:
    """What `open_cipher_release` did.

    Attributes
    ----------
    file
        Where it was written.
    form
        Of the cipher image.
    restored
        The image and how much of it came back.
    size_bytes
        Of the file.
    """

    file: Path
    form: str
    restored: Restored
    size_bytes: int


def package_beside(output: Path) -> Path:
    """Return where the sealed package of a cipher image is written."""
    return output.with_name(f"{output.name}.key")


def check_cipher_output(output: Path) -> None:
    """Refuse an output that a cipher image or its package cannot be written to.

    Raises
    ------
    UnsupportedImageError
        The suffix is neither .png nor .dcm.
    StorageError
        As `medseal.imaging.files.check_output`.
    """
    if format_of(output) not in {"png", "dicom"}:
        raise UnsupportedImageError(f"{output}: a cipher image is written as .png or .dcm")
    check_output(package_beside(output))


def encrypt_release(
    image: MedicalImage, content: bytes, output: Path, *, form: str, recipients: Sequence[Recipient]
) -> CipherCopy:
    """Return a release's file as a cipher image under a key of its own, and its package.

    Parameters
    ----------
    image, content
        The release as its recipient would read it, and its file.
    output
        Where the cipher image goes; .png or .dcm.
    form
        ``integer``, ``analog`` or ``digital``.
    recipients
        Who may open it.

    Raises
    ------
    UnsupportedImageError
        The form or the format cannot hold the stored values.
    """
    key = secrets.token_bytes(KEY_BYTES)
    cipher = encrypt_image(image, key, form=form)
    attachment = attachment_of(content, image.source_format, name=str(output)) or b""
    inside: dict[str, JsonValue] = {
        "v": _VERSION,
        "key": key.hex(),
        "header": cipher.header.to_bytes().hex(),
        "dataset": _text(_encoded(dataset_of(image)) if image.source_format == "dicom" else b""),
        "attachment": _text(attachment),
    }
    package = seal(canonical_json(inside), recipients, associated_data=_CONTEXT)
    return CipherCopy(content=encode_cipher_image(cipher, output), package=package.to_bytes())


def open_cipher_release(
    file: Path, package_file: Path, identity: Identity, output: Path
) -> OpenedCopy:
    """Write the release behind a cipher image: watermarked, with its data set.

    1. The package authenticates. 2. Its header, not that of the file, says how to open the
    pixels. 3. In the integer and digital forms every stored value is that of the release.

    Parameters
    ----------
    file, package_file
        As they were received; the file may have lost its metadata.
    identity
        Of a recipient.
    output
        File to write; its suffix is the format.

    Raises
    ------
    PackageError
        Step 1 fails.
    CipherError
        The pixels do not lead back; nothing is written.
    InputError
        A file cannot be read, or the format of `output` cannot hold the image.
    """
    wanted = format_of(output)
    if wanted is None:
        raise InputError(f"{output}: a decrypted image needs a suffix such as .png or .dcm")
    check_output(output)
    # 1.
    inside = _inside(package_file, identity)
    # 2.
    cipher = cipher_image_in(read_file(file), name=str(file), header=inside.header)
    # 3.
    found = _decrypted(file, cipher, inside.key)
    restored = inside.described(found.image)
    if not found.is_exact:
        # Other stored values, hence another instance, which the side information does not fit.
        restored = derived_copy(restored, description=_DERIVATION)
    content = encode(restored, wanted, attachment=inside.attachment if found.is_exact else b"")
    write_file(content, output)
    return OpenedCopy(file=output, form=cipher.header.form, restored=found, size_bytes=len(content))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    """What the package holds."""

    key: bytes
    header: CipherHeader
    dataset: bytes
    attachment: bytes

    @classmethod
    def parse(cls, plain: bytes) -> "_Inside":
        value: Any = parse_canonical_json(plain)
        if not isinstance(value, dict) or value.get("v") != _VERSION:
            raise HeaderFormatError("the package has an unknown version; update medseal")
        return cls(
            key=bytes.fromhex(value["key"]),
            header=CipherHeader.from_bytes(bytes.fromhex(value["header"])),
            dataset=base64.b64decode(value["dataset"], validate=True),
            attachment=base64.b64decode(value["attachment"], validate=True),
        )

    def described(self, image: MedicalImage) -> MedicalImage:
        """Return the image with what the release said about it."""
        if not self.dataset:
            return image
        with library_errors("data set", "read the data set of the release"):
            dataset = read_dataset(
                BytesIO(self.dataset), is_implicit_VR=False, is_little_endian=True
            )
        return with_dataset(image, dataset)


def _inside(package_file: Path, identity: Identity) -> _Inside:
    data = read_file(package_file, limit_bytes=MAX_PACKAGE_BYTES)
    try:
        package = SealedPackage.from_bytes(data)
        plain = open_package(package, identity)
        if package.associated_data != _CONTEXT:
            raise HeaderFormatError("this package is not that of a cipher image")
    except PackageError as error:
        raise type(error)(f"{package_file}: {error}") from error
    try:
        return _Inside.parse(plain)
    except (InputError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise HeaderFormatError(f"{package_file}: its content is malformed") from error


def _decrypted(file: Path, cipher: CipherImage, key: bytes) -> Restored:
    try:
        return decrypt_image(cipher, key)
    except CipherError as error:
        raise type(error)(f"{file}: {error}") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _encoded(dataset: Dataset) -> bytes:
    """Return a data set without pixels, Explicit VR Little Endian."""
    with library_errors("data set", "encode the data set of the release"):
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        character_set = dataset.get("SpecificCharacterSet") or "ISO_IR 6"
        write_dataset(buffer, dataset, convert_encodings(character_set))
        encoded: bytes = buffer.getvalue()
        return encoded
