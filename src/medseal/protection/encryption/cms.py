"""DICOM's own encrypted attributes: moved into a CMS envelope for certificates, and back.

PS3.15 Annex E and PS3.3 C.12.1.1.4: each item of Encrypted Attributes Sequence (0400,0500) holds
an EnvelopedData of RFC 5652 around a data set with Modified Attributes Sequence (0400,0550).
AES-256-CBC and RSA key transport, as the standard prescribes. That envelope is confidential and
**not authenticated**: whoever can write the file can replace it, and a changed byte may pass
unnoticed. A sealed package (`medseal.protection.encryption.seal`) is authenticated.
No security claim rests on a learned method.
"""

import copy
import uuid
from collections.abc import Iterable, Sequence
from io import BytesIO

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509 import Certificate
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from medseal.errors import (
    EncryptedAttributesError,
    EncryptedAttributesKeyError,
    EncryptedAttributesMissingError,
    InputError,
    UnreadableImageError,
)
from medseal.imaging.boundary import library_errors
from medseal.protection.encryption.cms_envelope import (
    checked_recipients,
    damaged,
    envelope,
    is_for,
    opened,
)

__all__ = [
    "MAX_ITEMS",
    "decrypted_attributes",
    "encrypt_attributes",
    "encrypted_item",
    "restore_attributes",
]

MAX_ITEMS = 64
"""Items of one Encrypted Attributes Sequence."""

_SYNTAXES = {  # transfer syntax: implicit VR, little endian
    "1.2.840.10008.1.2": (True, True),
    "1.2.840.10008.1.2.1": (False, True),
    "1.2.840.10008.1.2.2": (False, False),
}
_NEW_UID = frozenset(
    map(Tag, ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"))
)
# What a reader needs before it can decrypt anything, and what describes or holds the pixels.
_STAYS_CLEAR = frozenset(map(Tag, ("SOPClassUID", "SpecificCharacterSet")))
_FILE_GROUPS = frozenset({0x0000, 0x0002})
_CLEAR_GROUPS = _FILE_GROUPS | {0x0028, 0x7FE0}
_ENCRYPTED, _MODIFIED = Tag("EncryptedAttributesSequence"), Tag("ModifiedAttributesSequence")
_CHARACTER_SET, _UTF_8 = Tag("SpecificCharacterSet"), "ISO_IR 192"


# --- Encrypt ----------------------------------------------------------------------------------


def encrypt_attributes(
    dataset: Dataset, tags: Iterable[int | str], recipients: Sequence[Certificate]
) -> Dataset:
    """Return a copy of a data set in which the named attributes stand encrypted only.

    A named attribute keeps its place without a value, so that a required but empty one stays
    valid; SOP, study, series and frame of reference UIDs, which may not be empty, are new ones.
    Only the named attributes are hidden: whether what remains identifies somebody is for
    `medseal.imaging.deidentify`. Whether a certificate is to be trusted is for the caller.

    Parameters
    ----------
    dataset
        Its top level is looked at; an earlier encrypted item stays.
    tags
        Tags or keywords; those that are absent or empty are left out.
    recipients
        1 to 64 certificates with RSA keys of at least 3072 bits; each can restore alone.

    Raises
    ------
    InputError
        No tag has a value, a tag must stay readable, a key is unsuitable, or a limit is exceeded.

    References
    ----------
    DICOM PS3.15 E.1.1; PS3.3 C.12.1.1.4; RFC 5652, 6; RFC 3565.
    """
    chosen = {_checked_tag(tag) for tag in tags}
    with library_errors("data set", "read the attributes to encrypt"):
        result = copy.deepcopy(dataset)
        result.decode()
        present = [tag for tag in sorted(chosen) if tag in result and not result[tag].is_empty]
        items = list(result[_ENCRYPTED].value or ()) if _ENCRYPTED in result else []
    if not present:
        raise InputError("none of the attributes to encrypt has a value in this data set")
    if len(items) >= MAX_ITEMS:
        raise InputError(f"the data set has {MAX_ITEMS} encrypted items already, the limit")
    attributes = Dataset()
    for tag in ([_CHARACTER_SET] if _CHARACTER_SET in result else []) + present:
        attributes[tag] = result[tag]
    result.EncryptedAttributesSequence = [*items, encrypted_item(attributes, recipients)]
    for tag in present:
        _take_value_out(result, tag)
    _name_in_file_meta(result)
    return result


def _checked_tag(tag: int | str) -> BaseTag:
    try:
        found = Tag(tag)
    except (ValueError, OverflowError, TypeError):
        raise InputError(
            f"{str(tag)[:64]!r} is no DICOM attribute; give a keyword or tag"
        ) from None
    is_reserved = found in _STAYS_CLEAR or found.group in _CLEAR_GROUPS
    if is_reserved or found.is_private or found in {_ENCRYPTED, _MODIFIED}:
        raise InputError(
            f"attribute {found} must stay readable or is private; it cannot be encrypted alone"
        )
    return found


def encrypted_item(attributes: Dataset, recipients: Sequence[Certificate]) -> Dataset:
    """Return an item for Encrypted Attributes Sequence that hides these attributes.

    Parameters
    ----------
    attributes
        Becomes the item of Modified Attributes Sequence, its character set included.
    recipients
        As for `encrypt_attributes`.

    Raises
    ------
    InputError
        A key is unsuitable, or a limit is exceeded.
    UnreadableImageError
        A value cannot be encoded.
    """
    certificates = checked_recipients(recipients)
    with library_errors("data set", "encode the attributes to encrypt"):
        plain = _encoded(attributes)
    content = envelope(plain, certificates)
    item = Dataset()
    item.EncryptedContentTransferSyntaxUID = ExplicitVRLittleEndian
    item.EncryptedContent = content
    return item


def _encoded(attributes: Dataset) -> bytes:
    """Return the Encrypted Attributes Data Set (PS3.3 table C.12-7), Explicit VR Little Endian."""
    outer = Dataset()
    outer.ModifiedAttributesSequence = [attributes]
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    character_set = attributes.get("SpecificCharacterSet") or "ISO_IR 6"
    write_dataset(buffer, outer, convert_encodings(character_set))
    plain: bytes = buffer.getvalue()
    return plain


def _take_value_out(dataset: Dataset, tag: BaseTag) -> None:
    element = dataset[tag]
    value = UID(f"2.25.{uuid.uuid4().int}") if tag in _NEW_UID else element.empty_value
    dataset[tag] = DataElement(tag, element.VR, value)


def _name_in_file_meta(dataset: Dataset) -> None:
    """Keep group 0002, where there is one, in step with the SOP Instance UID."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and "MediaStorageSOPInstanceUID" in meta and "SOPInstanceUID" in dataset:
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


# --- Restore ----------------------------------------------------------------------------------


def restore_attributes(
    dataset: Dataset, certificate: Certificate, private_key: RSAPrivateKey
) -> Dataset:
    """Return a copy of a data set with the attributes that this certificate can decrypt.

    1. The key belongs to the certificate. 2. There are encrypted attributes. 3. Each item made
    for the certificate decrypts. 4. It is the one data set that the standard describes. 5. Its
    attributes take their places, those of the item added last first; the item is taken out.

    The result is as trustworthy as the file: nothing here is authenticated. Do not answer
    strangers who send files for decryption, since what fails tells them about the content
    (CBC padding).

    Parameters
    ----------
    dataset
        As received.
    certificate, private_key
        Of one recipient.

    Raises
    ------
    InputError
        The key is not that of the certificate.
    EncryptedAttributesMissingError
        There are no encrypted attributes.
    EncryptedAttributesKeyError
        None were made for this certificate.
    EncryptedAttributesError
        One is damaged, too large or of a form that is not supported; nothing is returned.
    """
    with library_errors("data set", "read the encrypted attributes"):
        result = copy.deepcopy(dataset)
        result.decode()
    own = _own_items(result, certificate, private_key)
    # 3. to 5. Whoever encrypted last took the others' values for the original ones.
    for item in reversed(own):
        _put_back(result, _decrypted(item, certificate, private_key))
    rest = [item for item in result[_ENCRYPTED].value if not any(item is opened for opened in own)]
    if rest:
        result.EncryptedAttributesSequence = rest
    else:
        del result[_ENCRYPTED]
    _name_in_file_meta(result)
    return result


def decrypted_attributes(
    dataset: Dataset, certificate: Certificate, private_key: RSAPrivateKey
) -> Dataset:
    """Return the attributes alone of the first item that this certificate can decrypt.

    Parameters
    ----------
    dataset, certificate, private_key
        As for `restore_attributes`.

    Raises
    ------
    InputError, EncryptedAttributesError
        As `restore_attributes`.
    """
    own = _own_items(dataset, certificate, private_key)
    return _decrypted(own[0], certificate, private_key)


def _own_items(
    dataset: Dataset, certificate: Certificate, private_key: RSAPrivateKey
) -> list[Dataset]:
    """Return the items made for a certificate, one at least."""
    # 1.
    if private_key.public_key() != certificate.public_key():
        raise InputError("the private key is not that of the certificate; give both of one person")
    # 2.
    with library_errors("data set", "read the encrypted attributes"):
        items = list(dataset[_ENCRYPTED].value or ()) if _ENCRYPTED in dataset else []
    if not items:
        raise EncryptedAttributesMissingError(
            "the data set holds no encrypted attributes; they may have been removed on the way"
        )
    if len(items) > MAX_ITEMS:
        raise EncryptedAttributesError(f"{len(items)} encrypted items, the limit is {MAX_ITEMS}")
    own = [item for item in items if is_for(certificate, _content_of(item))]
    if not own:
        raise EncryptedAttributesKeyError(
            "the encrypted attributes were made for other certificates; use that of a recipient"
        )
    return own


def _content_of(item: Dataset) -> bytes:
    return bytes(item.get("EncryptedContent") or b"")


def _decrypted(item: Dataset, certificate: Certificate, key: RSAPrivateKey) -> Dataset:
    """Return the attributes in an item that names the certificate."""
    # 3.
    plain = opened(_content_of(item), certificate, key)
    # 4.
    syntax = str(item.get("EncryptedContentTransferSyntaxUID") or "")
    if syntax not in _SYNTAXES:
        raise EncryptedAttributesError(
            f"encrypted attributes in transfer syntax {syntax[:64]!r} are not supported"
        )
    is_implicit, is_little = _SYNTAXES[syntax]
    try:
        with library_errors("data set", "parse the decrypted attributes"):
            stream = BytesIO(plain)
            outer = read_dataset(stream, is_implicit_VR=is_implicit, is_little_endian=is_little)
            outer.decode()
            if stream.tell() != len(plain) or list(outer.keys()) != [_MODIFIED]:
                raise damaged()
            [attributes] = outer[_MODIFIED].value
    except UnreadableImageError:
        raise damaged() from None
    return attributes


def _put_back(dataset: Dataset, attributes: Dataset) -> None:
    # Whatever another writer hid comes back, but what belongs to the file or to this module.
    tags = [tag for tag in attributes.keys() if tag != _CHARACTER_SET]  # noqa: SIM118  a Dataset iterates over decoded elements
    for tag in tags:
        if tag.group in _FILE_GROUPS or tag in {_ENCRYPTED, _MODIFIED}:
            raise EncryptedAttributesError(
                f"the encrypted attributes hold {tag}, which is not restored"
            )
        dataset[tag] = attributes[tag]
    inner, outer = attributes.get_item(_CHARACTER_SET), dataset.get_item(_CHARACTER_SET)
    if inner is not None and (outer is None or inner.value != outer.value):
        # Text of both is decoded by now, and this one encodes all of it.
        dataset.SpecificCharacterSet = _UTF_8
