"""What a node of a network answers in place of a result."""

from medseal.errors.base import UnreachableError

__all__ = [
    "GasLimitError",
    "InsufficientFundsError",
    "NodeError",
    "NonceTooLowError",
    "RevertedError",
    "UnderpricedError",
]


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
