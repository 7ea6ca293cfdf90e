"""What surrounds the content: borders, cut margins, a round field, marks, erased patches."""

import cv2
import numpy as np
import torch
from torch import Tensor

from medseal.classification.augment.draws import Picture, change_chosen, draw_chosen, each_image

__all__ = ["border", "crop_margin", "disc_mask", "erase", "marks"]

# Most borders are black, some white, some of any grey.
_BLACK_SHARE, _WHITE_SHARE = 0.7, 0.1
_LETTERS = "LRAPHFSI0123456789:/.cm"
_MOST_LETTERS = 8
# Of the font at scale 1, in pixels.
_CAPITAL_HEIGHT = 22
_COIN = 0.5
_ASPECT_LIMIT = 3.0


def border(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images shrunk into a plain frame, each side of a width of its own.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1]; here and in the whole file.
    probability
        Of each image to be changed.
    strength
        Largest width of a side, as a share of the image, below 0.5; half of the frames have bars
        on two opposite sides only (letterbox).
    generator
        Source of the draws.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1].
    """
    rows, columns = images.shape[2:]

    def change(picture: Picture) -> Picture:
        top, bottom, left, right = _widths(rows, columns, strength, generator)
        size = (columns - left - right, rows - top - bottom)
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        framed = np.full_like(picture, _frame_value(generator))
        framed[top : rows - bottom, left : columns - right] = small
        return framed

    return each_image(images, probability=probability, generator=generator, change=change)


def crop_margin(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images without up to `strength` of each side, enlarged again; as `border`."""
    rows, columns = images.shape[2:]

    def change(picture: Picture) -> Picture:
        top, bottom, left, right = _widths(rows, columns, strength, generator)
        part = picture[top : rows - bottom, left : columns - right]
        grown = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR)
        return np.asarray(grown, dtype=np.float32)

    return each_image(images, probability=probability, generator=generator, change=change)


def _widths(
    rows: int, columns: int, strength: float, generator: np.random.Generator
) -> tuple[int, int, int, int]:
    shares = generator.uniform(0, strength, 4)
    kind = generator.random()
    # A quarter of the frames lies above and below only, a quarter at the sides only.
    if kind < _COIN / 2:
        shares[2:] = 0
    elif kind < _COIN:
        shares[:2] = 0
    top, bottom = (int(share * rows) for share in shares[:2])
    left, right = (int(share * columns) for share in shares[2:])
    return top, bottom, left, right


def _frame_value(generator: np.random.Generator) -> np.float32:
    kind = generator.random()
    if kind < _BLACK_SHARE:
        return np.float32(0)
    return np.float32(1 if kind < _BLACK_SHARE + _WHITE_SHARE else generator.random())


def disc_mask(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images black outside a disc round about the centre; arguments as `border`.

    The radius is drawn from 1 + `strength` down to 1 - `strength` times half the smaller side.
    """
    chosen = draw_chosen(len(images), probability, generator)
    count, (rows, columns) = len(chosen), images.shape[2:]
    half = min(rows, columns) / 2
    radius = half * generator.uniform(1 - strength, 1 + strength, (count, 1, 1))
    shift = half * generator.uniform(-strength / 4, strength / 4, (2, count, 1, 1))
    y = np.arange(rows).reshape(1, rows, 1) - (rows - 1) / 2 - shift[0]
    x = np.arange(columns).reshape(1, 1, columns) - (columns - 1) / 2 - shift[1]
    seen = torch.from_numpy((y**2 + x**2 < radius**2)[:, None])  # (n, 1, H, W)
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)] * seen)


def marks(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with letters and figures burnt in near the corners; as `border`.

    `strength` is the largest height of a letter as a share of the image.
    """
    rows, columns = images.shape[2:]

    def change(picture: Picture) -> Picture:
        ink = np.zeros((rows, columns), np.uint8)
        for _ in range(generator.integers(1, 4)):
            height = rows * generator.uniform(strength / 3, strength)
            scale = height / _CAPITAL_HEIGHT
            count = int(generator.integers(1, _MOST_LETTERS + 1))
            text = "".join(_LETTERS[i] for i in generator.integers(0, len(_LETTERS), count))
            (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
            across, down = generator.uniform(0.01, 0.15, 2)
            left = columns * across if generator.random() < _COIN else columns - width
            low = rows * down + height if generator.random() < _COIN else rows * (1 - down)
            grey = int(generator.integers(128, 256))
            where = (int(left), int(low))
            cv2.putText(ink, text, where, cv2.FONT_HERSHEY_SIMPLEX, scale, grey, 1, cv2.LINE_AA)
        layer = ink.astype(np.float32).reshape(rows, columns, *[1] * (picture.ndim - 2)) / 255
        return np.asarray(np.maximum(picture, layer), dtype=np.float32)

    return each_image(images, probability=probability, generator=generator, change=change)


def erase(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with a rectangle of up to `strength` of the area in one value.

    Arguments as `border`.

    References
    ----------
    Zhong et al. 2020, Random erasing data augmentation, arXiv 1708.04896.
    """
    rows, columns = images.shape[2:]

    def change(picture: Picture) -> Picture:
        side = np.sqrt(generator.uniform(0, strength))
        aspect = np.sqrt(generator.uniform(1 / _ASPECT_LIMIT, _ASPECT_LIMIT))
        height = min(max(round(rows * side * aspect), 1), rows)
        width = min(max(round(columns * side / aspect), 1), columns)
        top = int(generator.integers(rows - height + 1))
        left = int(generator.integers(columns - width + 1))
        erased = picture.copy()
        erased[top : top + height, left : left + width] = np.float32(generator.random())
        return erased

    return each_image(images, probability=probability, generator=generator, change=change)
