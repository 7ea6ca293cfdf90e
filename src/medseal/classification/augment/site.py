"""Another site, simulated: fixed changes of display images that leave the diagnosis alone."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, ImageMismatchError

__all__ = ["COLOUR_SHIFTS", "SITE_SHIFTS", "shift_names", "shift_site"]

Display = NDArray[np.uint8]
_LEVELS = 256
_COLOUR_DIMENSIONS = 3


def _table(values: NDArray[np.float64]) -> Display:
    return np.clip(np.round(values), 0, _LEVELS - 1).astype(np.uint8)


_GREYS = np.arange(_LEVELS, dtype=np.float64)


def _look_up(image: Display, values: NDArray[np.float64]) -> Display:
    return np.asarray(_table(values)[image], dtype=np.uint8)


def _frame(image: Display, shares: tuple[float, float, float, float], grey: int) -> Display:
    """Return the image shrunk into a plain frame; shares of top, bottom, left, right."""
    rows, columns = image.shape[:2]
    top, bottom = round(rows * shares[0]), rows - round(rows * shares[1])
    left, right = round(columns * shares[2]), columns - round(columns * shares[3])
    size = (max(right - left, 1), max(bottom - top, 1))
    framed = np.full_like(image, grey)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    framed[top : top + size[1], left : left + size[0]] = small
    return framed


def _crop(image: Display) -> Display:
    rows, columns = image.shape[:2]
    y, x = round(0.1 * rows), round(0.1 * columns)
    part = image[y : rows - y, x : columns - x]
    return np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR))


def _resolution(image: Display) -> Display:
    rows, columns = image.shape[:2]
    size = (max(columns // 3, 1), max(rows // 3, 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC))


def _compression(image: Display) -> Display:
    swapped = image if image.ndim != _COLOUR_DIMENSIONS else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, 20])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), dtype=np.uint8)
    if decoded.ndim == _COLOUR_DIMENSIONS:
        decoded = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return decoded


def _blur(image: Display) -> Display:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(image.shape[:2]) / 120))


def _noise(image: Display) -> Display:
    # The same noise each time: a shift is one fixed site.
    drawn = np.random.default_rng(0).normal(0, 12, image.shape)
    return _table(image + drawn)


def _shading(image: Display) -> Display:
    rows, columns = image.shape[:2]
    y, x = np.linspace(0, 1, rows)[:, None], np.linspace(0, 1, columns)[None, :]
    field = 0.6 + 0.8 * (0.7 * x + 0.3 * y)
    return _table(image * (field if image.ndim != _COLOUR_DIMENSIONS else field[:, :, None]))


def _camera(image: Display, gains: tuple[float, float, float], saturation: float) -> Display:
    values = image * np.array(gains)
    grey = values @ np.array([0.299, 0.587, 0.114])
    return _table(grey[:, :, None] + saturation * (values - grey[:, :, None]))


def _combined(image: Display) -> Display:
    framed = _frame(image, (0.05, 0.1, 0.1, 0.05), 0)
    return _compression(_resolution(_look_up(framed, 255 * (_GREYS / 255) ** 1.4)))


SITE_SHIFTS: Mapping[str, Callable[[Display], Display]] = MappingProxyType(
    {
        "border": lambda image: _frame(image, (0.05, 0.2, 0.1, 0.15), 0),
        "letterbox": lambda image: _frame(image, (0.15, 0.15, 0.0, 0.0), 0),
        "white-frame": lambda image: _frame(image, (0.04, 0.04, 0.04, 0.04), 255),
        "crop": _crop,
        "darker": lambda image: _look_up(image, 255 * (_GREYS / 255) ** 1.7),
        "brighter": lambda image: _look_up(image, 255 * (_GREYS / 255) ** 0.6),
        "low-contrast": lambda image: _look_up(image, 64 + _GREYS * 0.5),
        "high-contrast": lambda image: _look_up(image, 128 + (_GREYS - 128) * 1.7),
        "shading": _shading,
        "resolution": _resolution,
        "blur": _blur,
        "noise": _noise,
        "compression": _compression,
        "mirror": lambda image: np.ascontiguousarray(image[:, ::-1]),
        "combined": _combined,
    }
)

COLOUR_SHIFTS: Mapping[str, Callable[[Display], Display]] = MappingProxyType(
    {
        "warm-camera": lambda image: _camera(image, (1.15, 1.0, 0.8), 1.1),
        "cold-camera": lambda image: _camera(image, (0.85, 1.0, 1.15), 0.8),
    }
)


def shift_names(*, colour: bool) -> tuple[str, ...]:
    """Return the names of all shifts that apply to grey or to colour images."""
    return (*SITE_SHIFTS, *COLOUR_SHIFTS) if colour else tuple(SITE_SHIFTS)


def shift_site(display: Display, *, name: str) -> Display:
    """Return a display image as another site might have recorded, windowed or stored it.

    A stand-in for images of other sites where there are none: apply it before the preprocessing,
    to images that were not trained on. It cannot show a shift of patients or of labels.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3) in RGB order; not changed.
    name
        Of `shift_names`.

    Returns
    -------
    ndarray
        uint8, same shape; the same for the same image.

    Raises
    ------
    ConfigurationError
        No shift has this name.
    ImageMismatchError
        Another dtype or shape, or a grey image for a shift of colour.
    """
    if display.dtype != np.uint8 or display.size == 0:
        raise ImageMismatchError("display values must be 8-bit and not empty")
    if display.ndim != 2 and (display.ndim != _COLOUR_DIMENSIONS or display.shape[2] != 3):  # noqa: PLR2004  # (rows, columns) or RGB
        raise ImageMismatchError("display values must be (rows, columns) or (rows, columns, 3)")
    if name in SITE_SHIFTS:
        return SITE_SHIFTS[name](display)
    if name not in COLOUR_SHIFTS:
        raise ConfigurationError(f"no shift of site is called {name}")
    if display.ndim != _COLOUR_DIMENSIONS:
        raise ImageMismatchError(f"{name} needs an image of three channels")
    return COLOUR_SHIFTS[name](display)
