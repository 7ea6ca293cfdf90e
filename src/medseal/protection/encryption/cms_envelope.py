"""The CMS envelope around encrypted attributes: EnvelopedData in DER, for certificates.

RFC 5652 with AES-256-CBC (RFC 3565) and RSA key transport (PKCS #1 v1.5), as DICOM prescribes.
That envelope is confidential and **not authenticated**: a changed byte may pass unnoticed. A sealed
package (`medseal.protection.encryption.seal`) is authenticated. No security claim rests on a
learned method.
"""

from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7EnvelopeBuilder,
    PKCS7Options,
    pkcs7_decrypt_der,
)
from cryptography.x509 import Certificate

from medseal.errors import EncryptedAttributesError, InputError

__all__ = [
    "MAX_CONTENT_BYTES",
    "MAX_RECIPIENTS",
    "MIN_RSA_BITS",
    "checked_recipients",
    "damaged",
    "envelope",
    "is_for",
    "opened",
]

MAX_CONTENT_BYTES = 16 * 1024**2
"""Bytes of one Encrypted Content: half of what a DICOM data set may hold before its pixel data."""

MAX_RECIPIENTS = 64
"""Certificates of one envelope."""

MIN_RSA_BITS = 3072
"""Smallest key that anything is encrypted for: 128 bits of security (NIST SP 800-57 part 1)."""

_DER_SEQUENCE, _DER_INTEGER = 0x30, 0x02
_LONG_LENGTH = 0x80


def checked_recipients(recipients: Sequence[Certificate]) -> list[Certificate]:
    """Return the certificates, each once.

    Raises
    ------
    InputError
        None, more than 64, or one without an RSA key of at least 3072 bits.
    """
    unique = list(dict.fromkeys(recipients))
    if not 1 <= len(unique) <= MAX_RECIPIENTS:
        raise InputError(
            f"attributes are encrypted for 1 to {MAX_RECIPIENTS} certificates, not {len(unique)}"
        )
    for certificate in unique:
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey) or key.key_size < MIN_RSA_BITS:
            raise InputError(
                "encrypted attributes need certificates with RSA keys of at least "
                f"{MIN_RSA_BITS} bits; ask the recipient for another one"
            )
    return unique


def envelope(plain: bytes, certificates: Sequence[Certificate]) -> bytes:
    """Return an EnvelopedData around some bytes, of an even length.

    Parameters
    ----------
    plain
        What to encrypt.
    certificates
        From `checked_recipients`.

    Raises
    ------
    InputError
        More than 16 MiB.
    """
    builder = PKCS7EnvelopeBuilder().set_data(plain).set_content_encryption_algorithm(AES256)
    for certificate in certificates:
        builder = builder.add_recipient(certificate)
    # Without Binary, line ends inside the values would be rewritten.
    content = builder.encrypt(Encoding.DER, [PKCS7Options.Binary])
    if len(content) > MAX_CONTENT_BYTES:
        raise InputError(
            f"{len(content)} bytes of encrypted attributes, the limit is {MAX_CONTENT_BYTES}; "
            "encrypt fewer attributes"
        )
    # A value has an even length (PS3.5, 7.1.1); DER says itself where it ends.
    return content + b"\0" * (len(content) % 2)


def opened(data: bytes, certificate: Certificate, key: RSAPrivateKey) -> bytes:
    """Return what an envelope holds that names the certificate.

    Raises
    ------
    EncryptedAttributesError
        It is damaged, too large, or made by other means.
    """
    try:
        plain: bytes = pkcs7_decrypt_der(_der_of(data), certificate, key, [])
    except UnsupportedAlgorithm:
        raise EncryptedAttributesError(
            "the attributes are encrypted by other means than AES-CBC and RSA PKCS #1 v1.5; "
            "decrypt them with 'openssl cms -decrypt'"
        ) from None
    except ValueError:
        raise damaged() from None
    return plain


def damaged() -> EncryptedAttributesError:
    """Return the one error for every cause: more would tell a stranger about the content."""
    return EncryptedAttributesError("the encrypted attributes are damaged; fetch the file again")


def is_for(certificate: Certificate, data: bytes) -> bool:
    """Return whether an envelope names this certificate (RFC 5652, 10.2.4).

    Raises
    ------
    EncryptedAttributesError
        The envelope is too large, cut off, or not DER.
    """
    serial = certificate.serial_number
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    name = _der(_DER_SEQUENCE, certificate.issuer.public_bytes() + _der(_DER_INTEGER, number))
    return name in _der_of(data)


def _der_of(data: bytes) -> bytes:
    """Return an envelope without the byte that makes its length even."""
    if len(data) > MAX_CONTENT_BYTES:
        raise EncryptedAttributesError(
            f"{len(data)} bytes of encrypted attributes, the limit is {MAX_CONTENT_BYTES}"
        )
    end = _der_end(data)
    if end is None or data[end:] not in {b"", b"\0"}:
        raise EncryptedAttributesError(
            "the encrypted attributes are cut off, or not encoded in DER; fetch the file again"
        )
    return data[:end]


def _der_end(data: bytes) -> int | None:
    """Return where a DER sequence ends, or None where these bytes are none or too few."""
    if data[:1] != bytes((_DER_SEQUENCE,)) or data[1:2] in {b"", bytes((_LONG_LENGTH,))}:
        return None  # the last of them is BER: a length that is not stated
    start, length = 2, data[1]
    if length > _LONG_LENGTH:
        start += length - _LONG_LENGTH
        length = int.from_bytes(data[2:start], "big")
    return start + length if start + length <= len(data) else None


def _der(tag: int, body: bytes) -> bytes:
    """Return one DER element."""
    if len(body) < _LONG_LENGTH:
        return bytes((tag, len(body))) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes((tag, _LONG_LENGTH | size)) + len(body).to_bytes(size, "big") + body
