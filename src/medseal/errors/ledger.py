"""What does not verify about a log, a receipt, an anchor or a consent."""

from medseal.errors.verification import VerificationError

__all__ = [
    "AlreadyAnchoredError",
    "AnchorError",
    "ChainMismatchError",
    "CheckpointError",
    "ConsentError",
    "ConsentReplayError",
    "ConsistencyError",
    "DamagedLedgerError",
    "InclusionError",
    "LedgerError",
    "ReceiptError",
    "SignatureMismatchError",
]


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
