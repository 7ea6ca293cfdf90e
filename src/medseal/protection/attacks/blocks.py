"""Blocks of a few pixels and burned-in text: levels painted over."""

import cv2
import numpy as np

from medseal.errors import InputError
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels
from medseal.protection.attacks.places import (
    Alpha,
    Patch,
    blended,
    draw_window,
    soft_shape,
    weights,
)

__all__ = ["FONTS", "burn_text", "change_block", "text_mask"]

# Faces of lettering by name.
FONTS = {
    "plain": cv2.FONT_HERSHEY_SIMPLEX,
    "bold": cv2.FONT_HERSHEY_DUPLEX,
}


def change_block(
    levels: Levels,
    rng: np.random.Generator,
    *,
    patch: Patch,
    contrast: float,
    filled: bool = False,
) -> Levels:
    """Change a block of levels by the same amount, or paint it in one level.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rng
        Source of the place and of a blob's border.
    patch
        The block; its size starts at 1 pixel.
    contrast
        Change in shares of the range; negative is darker. Where the place has no room for it, its
        sign turns.
    filled
        The block becomes flat: its mean plus the change.

    Raises
    ------
    InputError
        The block does not fit the levels.
    """
    window = draw_window(levels, rng, rows=patch.rows, columns=patch.columns)
    seen = levels[window]
    mean = seen.mean()
    change = contrast * WHITE_LEVEL
    room = WHITE_LEVEL - mean if change > 0 else mean
    if room < abs(change):
        change = -change
    base = np.full_like(seen, mean) if filled else seen
    return blended(levels, window, base + np.float32(change), soft_shape(rng, patch))


def text_mask(text: str, *, height: int, thickness: int = 1, font: str = "plain") -> Alpha:
    """Return a line of text as (rows, columns), 0 to 1, with smooth edges.

    Parameters
    ----------
    text
        Printable ASCII.
    height
        Of the line with its descenders, in pixels; capitals take three quarters of it.
    thickness
        Of strokes, in pixels.
    font
        A name of `FONTS`.

    Raises
    ------
    InputError
        There is no text, or the height is less than 3 pixels.
    """
    if not text.strip() or height < 3:  # noqa: PLR2004  smaller letters have no shape
        raise InputError("text that is burned in has a letter and a height of at least 3 pixels")
    face = FONTS[font]
    scale = cv2.getFontScaleFromHeight(face, height, thickness)
    (width, above), below = cv2.getTextSize(text, face, scale, thickness)
    canvas = np.zeros((above + below + 2, width + 2), np.uint8)
    cv2.putText(canvas, text, (1, above + 1), face, scale, 255, thickness, cv2.LINE_AA)
    drawn = canvas.any(axis=1)
    return np.asarray(canvas[drawn][:, canvas.any(axis=0)], np.float32) / np.float32(canvas.max())


def burn_text(
    levels: Levels,
    rng: np.random.Generator,
    *,
    mask: Alpha,
    level: float = WHITE_LEVEL,
    ground: float | None = None,
) -> Levels:
    """Write text over the levels.

    Parameters
    ----------
    levels, rng
        As for `change_block`.
    mask
        The letters, of `text_mask`; cut where the levels are smaller.
    level
        Grey value of the letters, 0 to 255.
    ground
        Grey value of the box behind them; without, what was there shines through.
    """
    rows, columns = (min(a, b) for a, b in zip(mask.shape, levels.shape, strict=False))
    letters = mask[:rows, :columns]
    window = draw_window(levels, rng, rows=rows, columns=columns)
    seen = levels[window] if ground is None else np.full_like(levels[window], ground)
    content = seen + weights(letters, levels) * (np.float32(level) - seen)
    alpha = letters > 0 if ground is None else np.ones_like(letters)
    return blended(levels, window, content, alpha.astype(np.float32))
