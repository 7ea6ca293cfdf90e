"""The root of all errors, and those of whoever asks: bad input, refused access, a party away."""

from typing import ClassVar

__all__ = [
    "AccessError",
    "AccessRefusedError",
    "CatalogueError",
    "ConfigurationError",
    "DeidentificationError",
    "ImageMismatchError",
    "ImageTooLargeError",
    "InputError",
    "LedgerBusyError",
    "MedsealError",
    "ModelMismatchError",
    "StorageError",
    "StorageFullError",
    "UnknownImageError",
    "UnknownModelError",
    "UnknownNameError",
    "UnreachableError",
    "UnreadableImageError",
    "UnsupportedImageError",
    "WatermarkCapacityError",
    "WatermarkKeyError",
    "WorkspaceError",
]


class MedsealError(Exception):
    """Root of all errors that this package raises on purpose."""

    exit_code: ClassVar[int] = 1


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
