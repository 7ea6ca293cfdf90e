"""A cipher image as a valid DICOM object that archives store and return, and back.

Secondary Capture with new UIDs; the header stands in a private block. Nothing of the plain image
is in clear but its size and depth: its attributes are left out, or travel encrypted for
certificates (`medseal.protection.encryption.cms`, not authenticated). No security claim rests on
a learned method: confidentiality and integrity come from the sealed package around it.
"""

import secrets
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import Certificate
from pydicom.dataset import Dataset

from medseal.errors import CipherHeaderError, UnsupportedImageError
from medseal.imaging import MedicalImage, read_bytes
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom import dataset_of, image_from_dataset
from medseal.imaging.dicom_file import parse
from medseal.imaging.dicom_write import encode_dicom, secondary_capture
from medseal.protection.encryption.cipher_header import MAX_HEADER_BYTES, NO_CLAIM, CipherHeader
from medseal.protection.encryption.cipher_image import CipherImage
from medseal.protection.encryption.cms import decrypted_attributes, encrypted_item

__all__ = [
    "PRIVATE_CREATOR",
    "PRIVATE_GROUP",
    "decode_cipher_dicom",
    "encode_cipher_dicom",
    "header_in",
    "with_original_attributes",
]

PRIVATE_GROUP = 0x0099
PRIVATE_CREATOR = "MEDSEAL CIPHER"
_HEADER_ELEMENT = 0x01
# The length of the header, since a DICOM value is padded to an even one.
_LENGTH = struct.Struct(">H")
_DERIVATION = f"Cipher image: not for display, not for diagnosis. {NO_CLAIM}"
_METHOD = "all attributes left out"
_PSEUDONYM_BYTES = 8
_PIXEL_GROUPS = frozenset({0x0000, 0x0002, 0x7FE0})
# Written anew from the stored values, so they need not travel.
_DESCRIBED = frozenset(
    {
        "BitsAllocated",
        "BitsStored",
        "Columns",
        "HighBit",
        "NumberOfFrames",
        "PhotometricInterpretation",
        "PixelRepresentation",
        "PlanarConfiguration",
        "Rows",
        "SamplesPerPixel",
    }
)


def encode_cipher_dicom(
    cipher_image: CipherImage,
    *,
    original: MedicalImage | None = None,
    recipients: Sequence[Certificate] = (),
) -> bytes:
    """Return a DICOM file whose pixels are those of the cipher image.

    Parameters
    ----------
    cipher_image
        Of any form; one or three samples.
    original
        The plain image, read from DICOM, whose attributes are to travel encrypted.
    recipients
        Certificates that they are encrypted for; without any they stay out of the file.

    Raises
    ------
    UnsupportedImageError
        DICOM cannot hold the values: an alpha channel, or several frames of 16-bit colour; or the
        plain image has no data set.
    InputError
        A certificate is unsuitable.
    """
    image = cipher_image.to_image()
    dataset = _described(secondary_capture(image), cipher_image.header)
    if original is not None and recipients:
        dataset.EncryptedAttributesSequence = [encrypted_item(_attributes_of(original), recipients)]
    travelling = image_from_dataset(
        dataset,
        image.stored_values,
        bits_stored=image.bits_stored,
        photometric_interpretation=image.photometric_interpretation,
        decoder=image.decoder,
        name="cipher image",
    )
    return encode_dicom(travelling)


def _described(dataset: Dataset, header: CipherHeader) -> Dataset:
    """Add what says to people and to this module that the object is a cipher image."""
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = _DERIVATION
    dataset.SeriesDescription = "Cipher image"
    dataset.Manufacturer = "medseal"
    # Many archives refuse an object without these two.
    dataset.PatientName = "Cipher^Image"
    dataset.PatientID = f"CIPHER-{secrets.token_hex(_PSEUDONYM_BYTES)}"
    dataset.StudyID = "1"
    dataset.Laterality = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = _METHOD
    dataset.BurnedInAnnotation = "NO"
    data = header.to_bytes()
    value = _LENGTH.pack(len(data)) + data
    block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(_HEADER_ELEMENT, "OB", value + b"\0" * (len(value) % 2))
    item = Dataset()
    item.PrivateGroupReference = PRIVATE_GROUP
    item.PrivateCreatorReference = PRIVATE_CREATOR
    item.BlockIdentifyingInformationStatus = "SAFE"
    dataset.PrivateDataElementCharacteristicsSequence = [item]
    return dataset


def _attributes_of(original: MedicalImage) -> Dataset:
    """Return the attributes of the plain image without what describes or holds its pixels."""
    attributes = dataset_of(original)
    with library_errors("data set", "read the attributes to encrypt"):
        attributes.decode()
        for tag in [tag for tag in attributes.keys() if tag.group in _PIXEL_GROUPS]:  # noqa: SIM118  a Dataset iterates over decoded elements
            del attributes[tag]
        for keyword in _DESCRIBED:
            if keyword in attributes:
                del attributes[keyword]
    return attributes


def decode_cipher_dicom(
    data: bytes, *, name: str, header: CipherHeader | None = None
) -> CipherImage:
    """Return the cipher image in a DICOM file of any transfer syntax that can be read.

    Parameters
    ----------
    data
        The whole file.
    name
        File name for messages.
    header
        Of the cipher image, for a copy that lost its private block; it goes before the one inside.

    Raises
    ------
    CipherHeaderError
        The file has no header, or a damaged one.
    InputError
        The file cannot be read, or is no DICOM image.
    """
    image = read_bytes(data, name=name)
    if image.source_format != "dicom":
        raise UnsupportedImageError(f"{name}: not a DICOM file; give a cipher image in DICOM")
    if header is None:
        header = header_in(image, name=name)
    return CipherImage.from_image(image, header)


def header_in(image: MedicalImage, *, name: str) -> CipherHeader:
    """Return the header in the private block of an image that was read from DICOM.

    Raises
    ------
    CipherHeaderError
        There is none, or it is damaged.
    """
    dataset = dataset_of(image)
    with library_errors(name, "look for the header of a cipher image"):
        try:
            block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)
            value = bytes(block[_HEADER_ELEMENT].value)
        except KeyError:
            value = b""
    if not value:
        raise CipherHeaderError(
            f"{name}: no header of a cipher image inside; if it was removed on the way, give the "
            "header file"
        )
    start = value[: _LENGTH.size].ljust(_LENGTH.size, b"\0")
    [length] = _LENGTH.unpack(start)
    padding = value[_LENGTH.size + length :]
    if length > MAX_HEADER_BYTES or padding not in {b"", b"\0"}:
        raise CipherHeaderError(f"{name}: the private block of the cipher image is damaged")
    try:
        return CipherHeader.from_bytes(value[_LENGTH.size : _LENGTH.size + length])
    except CipherHeaderError as error:
        raise CipherHeaderError(f"{name}: {error}") from error


def with_original_attributes(
    plain: MedicalImage, data: bytes, certificate: Certificate, private_key: RSAPrivateKey
) -> MedicalImage:
    """Return the decrypted image with the attributes that travelled encrypted in its file.

    Parameters
    ----------
    plain
        From the decryption of the cipher image.
    data
        The DICOM file.
    certificate, private_key
        Of one recipient.

    Raises
    ------
    EncryptedAttributesError, InputError
        As `medseal.protection.encryption.cms.restore_attributes`.
    """
    dataset = parse(data, name="cipher image").dataset
    return image_from_dataset(
        decrypted_attributes(dataset, certificate, private_key),
        plain.stored_values,
        bits_stored=plain.bits_stored,
        photometric_interpretation=plain.photometric_interpretation,
        decoder=plain.decoder,
        name="cipher image",
    )
