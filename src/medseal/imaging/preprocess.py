"""Display values to network input: grey, histogram equalisation, resize, values in [0, 1]."""

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.digest import Digest, JsonValue, canonical_json
from medseal.errors import ConfigurationError, ImageMismatchError

__all__ = ["MAX_SIDE", "PreprocessConfig", "preprocess", "standardise", "to_grey"]

# Largest side of a network input, in pixels; bounds what a configuration can ask for.
MAX_SIDE = 4096
_DOMAIN = "medseal/preprocess/v1"
_COLOUR_SAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessConfig:
    """What a model was trained on; its digest stands on the model's card.

    Attributes
    ----------
    rows, columns
        Size of the network input.
    equalise_histogram
        Whether grey values are spread over the whole range before the resize.

    Raises
    ------
    ConfigurationError
        A side is not between 1 and `MAX_SIDE`.
    """

    rows: int = 224
    columns: int = 224
    equalise_histogram: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.rows <= MAX_SIDE and 0 < self.columns <= MAX_SIDE):
            raise ConfigurationError(f"preprocess rows and columns must be 1 to {MAX_SIDE}")

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the fields as they stand on a card."""
        return asdict(self)

    @property
    def digest(self) -> Digest:
        """Digest of the canonical JSON of all fields."""
        return Digest.of(_DOMAIN, canonical_json(self.to_dict()))


def to_grey(display: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the luminance of display values.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3) in RGB order.

    Returns
    -------
    ndarray
        uint8, (rows, columns), C-contiguous. Equal colour samples give exactly that value, so a
        grey image stored as RGB and one stored as grey are the same input.

    Raises
    ------
    ImageMismatchError
        Another dtype or shape, or an empty image.

    References
    ----------
    ITU-R BT.601-7, 2.5.1: Y = 0.299 R + 0.587 G + 0.114 B.
    """
    if display.dtype != np.uint8 or display.size == 0:
        raise ImageMismatchError("display values must be 8-bit and not empty")
    if display.ndim == 2:  # noqa: PLR2004  # (rows, columns)
        return np.ascontiguousarray(display)
    if display.ndim != _COLOUR_SAMPLES or display.shape[2] != _COLOUR_SAMPLES:
        raise ImageMismatchError(
            f"display values must be (rows, columns) or (rows, columns, 3), not {display.shape}"
        )
    grey: NDArray[np.uint8] = cv2.cvtColor(np.ascontiguousarray(display), cv2.COLOR_RGB2GRAY)
    return grey


def standardise(display: NDArray[np.uint8], *, config: PreprocessConfig) -> NDArray[np.uint8]:
    """Return the 8-bit image that `preprocess` scales to [0, 1]; compact, for caches.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3), any size.
    config
        Size and quality step.

    Returns
    -------
    ndarray
        uint8, (config.rows, config.columns).

    Raises
    ------
    ImageMismatchError
        `display` has another dtype or shape.
    """
    grey = to_grey(display)
    if config.equalise_histogram:
        grey = cv2.equalizeHist(grey)
    if grey.shape != (config.rows, config.columns):
        shrinks = grey.shape[0] >= config.rows and grey.shape[1] >= config.columns
        # Area averaging does not alias when shrinking; it degenerates to nearest when enlarging.
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        grey = cv2.resize(grey, (config.columns, config.rows), interpolation=method)
    return grey


def preprocess(display: NDArray[np.uint8], *, config: PreprocessConfig) -> NDArray[np.float32]:
    """Return the network input: the one function for training and for serving.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3), any size.
    config
        Size and quality step.

    Returns
    -------
    ndarray
        float32 in [0, 1], (config.rows, config.columns).

    Raises
    ------
    ImageMismatchError
        `display` has another dtype or shape.

    References
    ----------
    Paper 1, 3.1: resize to 224x224, values in [0, 1], histogram equalisation as quality step.
    """
    return standardise(display, config=config).astype(np.float32) / np.float32(255)
