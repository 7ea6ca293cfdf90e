"""What was given does not prove what it claims: digests, packages, cipher images, records."""

from collections.abc import Mapping

from medseal.errors.base import MedsealError

__all__ = [
    "CipherChannelError",
    "CipherError",
    "CipherHeaderError",
    "CipherIntegrityError",
    "CipherKeyError",
    "DigestMismatchError",
    "EncryptedAttributesError",
    "EncryptedAttributesKeyError",
    "EncryptedAttributesMissingError",
    "ExportRefusedError",
    "FingerprintError",
    "HeaderAuthenticationError",
    "HeaderFormatError",
    "InexactArithmeticError",
    "KeystoreError",
    "NoMatchingIdentityError",
    "PackageError",
    "PayloadAuthenticationError",
    "SideInformationError",
    "TruncatedPackageError",
    "VerificationError",
    "WeightsError",
    "WrongPassphraseError",
]


class VerificationError(MedsealError):
    """A digest, signature, tag or proof does not fit."""


class DigestMismatchError(VerificationError):
    """Content differs from the digest that names it.

    Attributes
    ----------
    expected, actual
        Both digests in hexadecimal.
    """

    def __init__(self, message: str, *, expected: str, actual: str) -> None:
        super().__init__(message)
        self.expected = expected
        self.actual = actual


class PackageError(VerificationError):
    """A sealed package is refused; no plaintext byte was returned."""


class HeaderFormatError(PackageError):
    """The header of a sealed package does not follow the specification."""


class HeaderAuthenticationError(PackageError):
    """The MAC over the header of a sealed package does not fit."""


class PayloadAuthenticationError(PackageError):
    """A chunk of a sealed package fails authentication or stands in the wrong place."""


class TruncatedPackageError(PackageError):
    """A sealed package ends before its last chunk."""


class NoMatchingIdentityError(PackageError):
    """None of the wraps in the package was made for this identity."""


class WrongPassphraseError(PackageError):
    """The passphrase does not unlock the package or the keystore."""


class KeystoreError(PackageError):
    """The keystore is damaged or lacks a key."""


class CipherError(VerificationError):
    """A cipher image is refused; no stored value was returned."""


class CipherHeaderError(CipherError):
    """The header of a cipher image is damaged or does not fit its pixels."""


class CipherKeyError(CipherError):
    """The key has the wrong length or does not belong to the cipher image."""


class CipherIntegrityError(CipherError):
    """The pixels of a cipher image were changed, so that they do not lead back to the original."""


class CipherChannelError(CipherIntegrityError):
    """A channel damaged a cipher image more than its error correction can mend."""


class InexactArithmeticError(CipherError):
    """A backend does not compute exactly what the cipher needs, so it was not used."""


class EncryptedAttributesError(VerificationError):
    """The encrypted attributes of a data set cannot be decrypted or do not follow DICOM."""


class EncryptedAttributesKeyError(EncryptedAttributesError):
    """None of the encrypted attributes were made for this certificate."""


class EncryptedAttributesMissingError(EncryptedAttributesError):
    """The data set holds no encrypted attributes."""


class FingerprintError(VerificationError):
    """A fingerprint is malformed or was made with another key."""


class SideInformationError(VerificationError):
    """The side information of a marked copy is malformed or leads to another image."""


class WeightsError(VerificationError):
    """Weights differ from the digest on their card, or the card is malformed."""


class ExportRefusedError(VerificationError):
    """An exported model decides otherwise than the trained one, so it was not written.

    Attributes
    ----------
    evidence
        What the export gate found: number of images, changed decisions, figures before and after.
    """

    def __init__(self, message: str, *, evidence: Mapping[str, object]) -> None:
        super().__init__(message)
        self.evidence = evidence
