"""Display values to network input: what an acquisition leaves behind removed, resize, [0, 1]."""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.digest import Digest, JsonValue, canonical_json
from medseal.errors import ConfigurationError, ImageMismatchError
from medseal.imaging.foreground import Region, disc_region, foreground_region, whole_region
from medseal.imaging.intensity import (
    balance_colour,
    difference_to_local_mean,
    equalise_locally,
    stretch,
)
from medseal.imaging.lungs import lung_region

__all__ = [
    "MAX_SIDE",
    "Crop",
    "PreprocessConfig",
    "placement",
    "preprocess",
    "standardise",
    "to_grey",
]

# Largest side of a network input, in pixels; bounds what a configuration can ask for.
MAX_SIDE = 4096
Crop = Literal["none", "foreground", "disc", "lungs", "margin"]
_DOMAIN = "medseal/preprocess/v1"
_COLOUR_SAMPLES = 3
# On every card; a later setting stands on a card only where it is not at its default.
_ALWAYS = ("rows", "columns", "equalise_histogram")
_MOST_MARGIN = 0.4
_MOST_STRETCH = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessConfig:
    """What a model was trained on; its digest stands on the model's card.

    The steps run in the order of the attributes below.

    Attributes
    ----------
    rows, columns
        Size of the network input.
    colour
        Whether the network sees RGB; else the luminance.
    crop
        ``foreground``: the box round the head, chest or sector; ``disc``: the round field of view,
        black outside; ``lungs``: the box round both lungs; ``margin``: `margin_share` alone;
        ``none``.
    margin_share
        Cut off each side after the crop, as a share of the size, in [0, 0.4].
    equalise_histogram
        Whether grey values (in colour: the luminance) are spread over the whole range.
    keep_aspect
        Whether the resize keeps the proportions and fills up with black, instead of squeezing.
    colour_constancy
        Whether the tint of the light is removed (shades of grey); needs `colour`.
    local_mean
        Standard deviation of the Gaussian mean that is subtracted, as a share of the larger side,
        in [0, 1]; 0 is off.
    stretch_percent
        Part of the content at either end that is cut off when its values are spread over the
        whole range, in [0, 20] per cent; 0 is off.
    clahe
        Clip limit of the contrast-limited adaptive equalisation, in [0, 40]; 0 is off.

    Raises
    ------
    ConfigurationError
        A setting is of another type or out of its range, or the settings contradict each other.
    """

    rows: int = 224
    columns: int = 224
    equalise_histogram: bool = True
    colour: bool = False
    crop: str = "none"
    margin_share: float = 0.0
    keep_aspect: bool = False
    colour_constancy: bool = False
    local_mean: float = 0.0
    stretch_percent: float = 0.0
    clahe: float = 0.0

    def __post_init__(self) -> None:
        _check_types(self)
        if not (0 < self.rows <= MAX_SIDE and 0 < self.columns <= MAX_SIDE):
            raise ConfigurationError(f"preprocess rows and columns must be 1 to {MAX_SIDE}")
        if self.crop not in get_args(Crop):
            raise ConfigurationError(f"preprocess crop must be one of {', '.join(get_args(Crop))}")
        for name, most in (
            ("margin_share", _MOST_MARGIN),
            ("local_mean", 1.0),
            ("stretch_percent", _MOST_STRETCH),
            ("clahe", 40.0),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigurationError(f"preprocess {name} must lie in [0, {most:g}]")
        if self.crop == "margin" and self.margin_share == 0:
            raise ConfigurationError("preprocess crop margin needs a margin_share above 0")
        if self.colour_constancy and not self.colour:
            raise ConfigurationError("preprocess colour_constancy needs colour")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as they stand on a card; later ones only where they change anything."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name in _ALWAYS or getattr(self, field.name) != field.default
        }

    @property
    def digest(self) -> Digest:
        """Digest of the canonical JSON of `to_dict`, fractions as their shortest decimal text."""
        settings: dict[str, JsonValue] = {
            name: repr(value) if isinstance(value, float) else value
            for name, value in self.to_dict().items()
        }
        return Digest.of(_DOMAIN, canonical_json(settings))


def _check_types(config: PreprocessConfig) -> None:
    for field in fields(config):
        if type(getattr(config, field.name)) is not type(field.default):
            kind = type(field.default).__name__
            raise ConfigurationError(f"preprocess {field.name} must be of type {kind}")


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
        uint8, (rows, columns) or (rows, columns, 3) in RGB order, any size.
    config
        Size and steps.

    Returns
    -------
    ndarray
        uint8, (config.rows, config.columns), with `config.colour` (rows, columns, 3).

    Raises
    ------
    ImageMismatchError
        `display` has another dtype or shape, or is grey where colour is needed.
    """
    image = _rgb(display) if config.colour else to_grey(display)
    region = _region(display, image, config)
    if config.crop != "none" or config.margin_share:
        image = region.cut(image)
    if config.equalise_histogram:
        image = _equalise(image)
    rows, columns = _inner_size(image.shape[0], image.shape[1], config)
    image = _resize(image, rows, columns)
    if _needs_content(config):
        image = _clean(image, region.mask(rows, columns), config)
    return _pad(image, config)


def placement(
    display: NDArray[np.uint8], *, config: PreprocessConfig
) -> tuple[Region, tuple[int, int]]:
    """Return the box of an image that `standardise` keeps, and the size it has in the input.

    It stands in the middle of the input; rows and columns beyond its size are black.
    """
    region = _region(display, display, config)
    return region, _inner_size(region.bottom - region.top, region.right - region.left, config)


def preprocess(display: NDArray[np.uint8], *, config: PreprocessConfig) -> NDArray[np.float32]:
    """Return the network input: the one function for training and for serving.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3), any size.
    config
        Size and steps.

    Returns
    -------
    ndarray
        float32 in [0, 1], (config.rows, config.columns), with `config.colour` (rows, columns, 3).

    Raises
    ------
    ImageMismatchError
        `display` has another dtype or shape.

    References
    ----------
    Paper 1, 3.1: resize to 224x224, values in [0, 1], histogram equalisation as quality step.
    """
    return standardise(display, config=config).astype(np.float32) / np.float32(255)


def _rgb(display: NDArray[np.uint8]) -> NDArray[np.uint8]:
    to_grey(display[:1])  # refuses another dtype or shape
    if display.ndim != _COLOUR_SAMPLES:
        raise ImageMismatchError("display values must be (rows, columns, 3) for a model of colour")
    return np.ascontiguousarray(display)


def _region(
    display: NDArray[np.uint8], image: NDArray[np.uint8], config: PreprocessConfig
) -> Region:
    if config.crop == "foreground":
        region = foreground_region(to_grey(display))
    elif config.crop == "disc":
        region = disc_region(display)
    elif config.crop == "lungs":
        region = lung_region(to_grey(display))
    else:
        region = whole_region(image.shape[0], image.shape[1])
    return region.shrunk(config.margin_share) if config.margin_share else region


def _clean(
    image: NDArray[np.uint8], content: NDArray[np.uint8], config: PreprocessConfig
) -> NDArray[np.uint8]:
    """Return the resized image after the steps that look at its content alone."""
    if config.colour_constancy:
        image = balance_colour(image, content)
    if config.local_mean:
        sigma = config.local_mean * max(config.rows, config.columns)
        difference = difference_to_local_mean(image, content, sigma=sigma)
        image = stretch(difference, content, percent=config.stretch_percent)
    elif config.stretch_percent:
        image = stretch(image, content, percent=config.stretch_percent)
    if config.clahe:
        image = equalise_locally(image, clip_limit=config.clahe)
    if config.crop == "disc":
        image = image * (content[:, :, None] if image.ndim == _COLOUR_SAMPLES else content)
    return image


def _needs_content(config: PreprocessConfig) -> bool:
    steps = (config.colour_constancy, config.local_mean, config.stretch_percent, config.clahe)
    return any(steps) or config.crop == "disc"


def _equalise(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim != _COLOUR_SAMPLES:
        return np.asarray(cv2.equalizeHist(image), dtype=np.uint8)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = cv2.equalizeHist(luma[:, :, 0])
    return np.asarray(cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


def _inner_size(rows: int, columns: int, config: PreprocessConfig) -> tuple[int, int]:
    """Return the size of the content in the network input."""
    if not config.keep_aspect:
        return config.rows, config.columns
    scale = min(config.rows / rows, config.columns / columns)
    return max(round(rows * scale), 1), max(round(columns * scale), 1)


def _resize(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (rows, columns):
        return image
    shrinks = image.shape[0] >= rows and image.shape[1] >= columns
    # Area averaging does not alias when shrinking; it degenerates to nearest when enlarging.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=method), dtype=np.uint8)


def _pad(image: NDArray[np.uint8], config: PreprocessConfig) -> NDArray[np.uint8]:
    """Return the image in the middle of a black one of the size of the network input."""
    down, across = config.rows - image.shape[0], config.columns - image.shape[1]
    if not (down or across):
        return image
    border = (down // 2, down - down // 2, across // 2, across - across // 2)
    padded = cv2.copyMakeBorder(image, *border, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(padded, dtype=np.uint8)
