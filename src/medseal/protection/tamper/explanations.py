"""Innocent explanations of changes in places: saved as JPEG once more, grey values mapped.

Both can leave most tiles of an image exactly as they were, so that what they change looks like an
edit. Each leaves a trace that an edit does not: all of the copy is a fixed point of the same JPEG
tables, or every changed tile holds values that no untouched tile has.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues
from medseal.protection.tamper.exact import Found
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.tiles import textured_tiles

__all__ = ["explanation"]

_COLOUR = 3
# Rows and columns that a JPEG file can have.
_MOST_SIDE = 65_000
# Qualities at which a copy may have been saved, and samplings of colour: 4:2:0 and 4:4:4.
_QUALITIES = range(30, 101)
_SAMPLINGS = (0x221111, 0x111111)
# Parts of the copy by which the quality is found: so many squares, their side, and what is judged
# of each, beyond the reach of its border.
_PARTS, _PART_SIDE, _MARGIN = 6, 32, 4
# Share of places in these parts, then of the untouched tiles, that the same tables must leave as
# they are, and of the changed ones: an edit leaves none.
_FIXED_PLACES, _FIXED_UNTOUCHED, _FIXED_CHANGED = 0.97, 0.95, 0.03
# Changed share of the tiles, and number and share of the grey values of the copy that stand in
# changed tiles alone, from which a map of grey values is believed.
_MAPPED_TILES, _LEAST_VALUES, _MAPPED_VALUES = 0.05, 16, 0.25
_LEVELS = 1 << 16

Flags = NDArray[np.bool_]


def _saved(frame: StoredValues, quality: int, sampling: int) -> StoredValues:
    """Return a frame after JPEG: (rows, columns, samples), 8 bits."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    # OpenCV takes colours the other way round; which is which makes no difference to the grid.
    picture = np.ascontiguousarray(frame[..., ::-1])
    _, data = cv2.imencode(".jpg", picture, settings)
    flag = cv2.IMREAD_COLOR if frame.shape[2] == _COLOUR else cv2.IMREAD_GRAYSCALE
    decoded = np.asarray(cv2.imdecode(data, flag), np.uint8)
    return np.asarray(decoded.reshape(frame.shape)[..., ::-1])


def _in_squares(values: StoredValues) -> StoredValues:
    """Return squares of a frame on its JPEG grid: (squares, side, side, samples)."""
    side = _PART_SIDE
    rows, columns = values.shape[0] // side, values.shape[1] // side
    whole = values[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    return whole.swapaxes(1, 2).reshape(rows * columns, side, side, values.shape[2])


def _likeliest(frame: StoredValues, steady: Flags) -> tuple[int, int] | None:
    """Return quality and sampling of the tables that leave a frame as it is, if there are any.

    Parameters
    ----------
    frame
        (rows, columns, samples), 8 bits.
    steady
        (rows, columns), textured places that did not change: only these are tried.
    """
    if min(frame.shape[:2]) < _PART_SIDE or max(frame.shape[:2]) > _MOST_SIDE:
        return None
    known = _in_squares(steady[..., None]).mean(axis=(1, 2, 3))
    chosen = np.argsort(-known, kind="stable")[: min(_PARTS, np.count_nonzero(known))]
    if not chosen.size:
        return None
    squares = np.concatenate(list(_in_squares(frame)[chosen]), axis=0)
    inside = np.concatenate(list(_in_squares(steady[..., None])[chosen, :, :, 0]), axis=0)
    rows = np.arange(len(inside)) % _PART_SIDE
    inside[(rows < _MARGIN) | (rows >= _PART_SIDE - _MARGIN)] = False
    inside[:, :_MARGIN] = inside[:, -_MARGIN:] = False
    if not inside.any():
        return None
    best: tuple[float, int, int] = (0.0, 0, 0)
    for sampling in _SAMPLINGS if frame.shape[2] == _COLOUR else _SAMPLINGS[:1]:
        for quality in _QUALITIES:
            same = _saved(squares, quality, sampling)[..., 0] == squares[..., 0]
            best = max(best, (float(same[inside].mean()), quality, sampling))
    share, quality, sampling = best
    return (quality, sampling) if share >= _FIXED_PLACES else None


def _is_fixed_point(frame: StoredValues, found: Found, record: Fingerprint, *, lies: bool) -> bool:
    """Return whether a frame, changed tiles included, is what JPEG leaves as it is.

    Parameters
    ----------
    frame
        (rows, columns, samples), 8 bits.
    lies
        True if it lies as the copy does, False if as the original.
    """

    def upright(values: StoredValues) -> StoredValues:
        return found.orientation.undo(values[None])[0] if lies else values

    changed = found.differs[0]
    untouched = record.textured_tiles[0] & ~changed
    steady = record.grid.spread(untouched)
    tables = _likeliest(frame, found.orientation.apply(steady) if lies else steady)
    if tables is None:
        return False
    moves = upright((_saved(frame, *tables) != frame).any(axis=2, keepdims=True))[..., 0]
    fixed = ~record.grid.any_in_tile(moves)
    # A constant tile is left as it is by any tables.
    changed = changed & textured_tiles(upright(frame)[None], replace(record.grid, frames=1))[0]
    needed = _FIXED_UNTOUCHED * np.count_nonzero(untouched)
    return bool(
        np.count_nonzero(fixed & untouched) >= needed
        and np.count_nonzero(fixed & changed) >= max(1, _FIXED_CHANGED * np.count_nonzero(changed))
    )


def _frames_on_the_grid(image: MedicalImage, found: Found) -> Iterator[tuple[StoredValues, bool]]:
    """Yield the first frame as it lies, and as the original lay: JPEG came before or after."""
    yield image.stored_values[0], True
    if found.orientation.name:
        yield found.orientation.undo(image.stored_values)[0], False


def _was_saved_again(image: MedicalImage, found: Found, record: Fingerprint) -> bool:
    if image.stored_values.dtype != np.uint8 or image.samples not in (1, _COLOUR):
        return False
    return any(
        _is_fixed_point(np.ascontiguousarray(frame), found, record, lies=lies)
        for frame, lies in _frames_on_the_grid(image, found)
    )


def _was_mapped(image: MedicalImage, found: Found, record: Fingerprint) -> bool:
    """Return whether every changed tile holds values that no untouched tile has.

    A map of grey values leaves a tile as it was only if it leaves each of its values so.
    """
    changed = found.differs[0]
    values = found.orientation.undo(image.stored_values[:1])[0]
    if values.dtype.kind not in "ui" or values.dtype.itemsize > np.dtype(np.uint16).itemsize:
        return False
    if changed.mean() < _MAPPED_TILES:
        return False
    levels = values.astype(np.int32) % _LEVELS
    places = record.grid.spread(changed)
    kept = np.zeros(_LEVELS, np.bool_)
    kept[levels[~places]] = True
    occurring = np.zeros(_LEVELS, np.bool_)
    occurring[levels] = True
    least = max(_LEAST_VALUES, _MAPPED_VALUES * np.count_nonzero(occurring))
    if np.count_nonzero(occurring & ~kept) < least:
        return False
    unusual = record.grid.any_in_tile(~kept[levels].all(axis=2))
    return bool(unusual[changed].all())


def explanation(image: MedicalImage, found: Found, record: Fingerprint) -> str:
    """Return what may have changed tiles of a copy of one frame other than an edit.

    Parameters
    ----------
    image
        The copy.
    found, record
        Where it differs; untouched for the most part.

    Returns
    -------
    str
        Empty if nothing else explains the changes.
    """
    if _was_mapped(image, found, record):
        return "as by a map of grey values that leaves most of them as they are"
    if _was_saved_again(image, found, record):
        return "as by saving as JPEG once more at the same quality"
    return ""
