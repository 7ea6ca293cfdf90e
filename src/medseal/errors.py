"""One tree of exceptions: bad input, failed verification, refused access, unreachable party.

Each class carries the exit code of the command line. A message is one line, says what happened
and what to do next, and never holds stored values, keys, passphrases or a person's name.
"""

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "AccessError",
    "AccessRefusedError",
    "AlreadyAnchoredError",
    "AnchorError",
    "CatalogueError",
    "ChainMismatchError",
    "CheckpointError",
    "CipherChannelError",
    "CipherError",
    "CipherHeaderError",
    "CipherIntegrityError",
    "CipherKeyError",
    "ConfigurationError",
    "ConsentError",
    "ConsentReplayError",
    "ConsistencyError",
    "DamagedLedgerError",
    "DeidentificationError",
    "DigestMismatchError",
    "EncryptedAttributesError",
    "EncryptedAttributesKeyError",
    "EncryptedAttributesMissingError",
    "ExportRefusedError",
    "FingerprintError",
    "GasLimitError",
    "HeaderAuthenticationError",
    "HeaderFormatError",
    "ImageMismatchError",
    "ImageTooLargeError",
    "InclusionError",
    "InexactArithmeticError",
    "InputError",
    "InsufficientFundsError",
    "KeystoreError",
    "LedgerBusyError",
    "LedgerError",
    "MedsealError",
    "ModelMismatchError",
    "NoMatchingIdentityError",
    "NodeError",
    "NonceTooLowError",
    "PackageError",
    "PayloadAuthenticationError",
    "ReceiptError",
    "RevertedError",
    "SideInformationError",
    "SignatureMismatchError",
    "StorageError",
    "StorageFullError",
    "TruncatedPackageError",
    "UnderpricedError",
    "UnknownImageError",
    "UnknownModelError",
    "UnknownNameError",
    "UnreachableError",
    "UnreadableImageError",
    "UnsupportedImageError",
    "VerificationError",
    "WatermarkCapacityError",
    "WatermarkKeyError",
    "WeightsError",
    "WorkspaceError",
    "WrongPassphraseError",
]


class MedsealError(Exception):
    """Root of all errors that this package raises on purpose."""

    exit_code: ClassVar[int] = 1


# --- Bad input: the caller can mend it -------------------------------------------------------


class InputError(MedsealError):
    """An argument, a file or a configuration is not usable."""

    exit_code = 2


class UnreadableImageError(InputError):
    """The file is damaged, truncated or not an image."""


class UnsupportedImageError(InputError):
    """The file is sound but uses something that is not supported."""


class ImageTooLargeError(InputError):
    """A stated size exceeds one of the limits in `medseal.imaging.limits`."""


class ImageMismatchError(InputError):
    """Two images that belong together differ in shape or dtype."""


class DeidentificationError(InputError):
    """A data set cannot be de-identified completely, so no copy was written."""


class ConfigurationError(InputError):
    """A configuration file or an option has a wrong value."""


class WorkspaceError(InputError):
    """The workspace is missing, incomplete or already there."""


class UnknownImageError(InputError):
    """No image or release with this identifier is in the workspace."""


class UnknownNameError(InputError):
    """No account with this name is in the workspace."""


class UnknownModelError(InputError):
    """No model with this identifier is installed."""


class ModelMismatchError(InputError):
    """The image is not of the kind that the model was made for."""


class WatermarkCapacityError(InputError):
    """The image is too small or too flat to carry the payload."""


class WatermarkKeyError(InputError):
    """A watermark key or payload has the wrong length."""


# --- Failed verification: what was given does not prove what it claims ------------------------


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


class LedgerError(VerificationError):
    """The log, a checkpoint, a proof or a receipt does not verify."""


class DamagedLedgerError(LedgerError):
    """A stored byte of the log is not what was signed.

    Attributes
    ----------
    index
        First entry at which the log and what was signed part.
    """

    def __init__(self, message: str, *, index: int) -> None:
        super().__init__(message)
        self.index = index


class CheckpointError(LedgerError):
    """A checkpoint is malformed or its signature does not fit."""


class InclusionError(LedgerError):
    """An inclusion proof does not lead to the root of the checkpoint."""


class ConsistencyError(LedgerError):
    """A newer tree does not continue an older one.

    Attributes
    ----------
    index
        First entry that differs or is missing; None where nothing at hand could name it.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class ReceiptError(LedgerError):
    """A receipt is malformed or speaks of something else."""


class ChainMismatchError(LedgerError):
    """A node speaks for another chain, or the contract is missing there or is another one."""


class AnchorError(LedgerError):
    """A node does not confirm the anchor of a receipt.

    Attributes
    ----------
    step
        Machine-readable word for what does not fit: ``anchor``, ``chain``, ``contract``,
        ``transaction``, ``status``, ``block``, ``event`` or ``registry``.
    """

    def __init__(self, message: str, *, step: str) -> None:
        super().__init__(message)
        self.step = step


class AlreadyAnchoredError(LedgerError):
    """The contract holds this root already; there is nothing left to send."""


class ConsentError(LedgerError):
    """A patient's statement is malformed, not signed by this patient, or not for this ledger."""


class ConsentReplayError(ConsentError):
    """A patient's statement is not newer than the last one, or was signed too long ago."""


class SignatureMismatchError(LedgerError):
    """A signing service signed another transaction than it was asked to, or with another key."""


# --- Refused access ---------------------------------------------------------------------------


class AccessError(MedsealError):
    """The access rules do not allow what was asked."""


class AccessRefusedError(AccessError):
    """No grant covers this account, action, image, purpose and time.

    Attributes
    ----------
    reason
        Machine-readable word, for example ``no-grant``, ``expired``, ``revoked``, ``purpose``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


# --- Unreachable party ------------------------------------------------------------------------


class UnreachableError(MedsealError):
    """Storage, ledger or another party cannot be reached; nothing was lost."""


class StorageError(UnreachableError):
    """The object store or the catalogue cannot be read or written."""


class CatalogueError(StorageError):
    """The catalogue is damaged or of another version."""


class StorageFullError(StorageError):
    """No space is left; nothing was half written."""


class LedgerBusyError(UnreachableError):
    """Another process holds the ledger for longer than the time limit."""


class NodeError(UnreachableError):
    """A node answered with an error, or with something malformed.

    Attributes
    ----------
    code
        Code of the JSON-RPC error; None for a malformed answer.
    data
        What the node attached: after a revert the error of the contract, else empty.
    """

    def __init__(self, message: str, *, code: int | None = None, data: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class RevertedError(NodeError):
    """The contract refused a call; `data` holds its reason."""


class NonceTooLowError(NodeError):
    """Another transaction of the sender has this number already."""


class UnderpricedError(NodeError):
    """The node wants a higher fee for this transaction."""


class InsufficientFundsError(NodeError):
    """The sender cannot pay for the transaction."""


class GasLimitError(NodeError):
    """The transaction asks for more gas than a block holds."""
