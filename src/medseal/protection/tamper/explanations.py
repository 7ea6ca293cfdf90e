"""Innocent explanations of changes in places: saved as JPEG once more, grey values mapped.

Both can leave most tiles of an image exactly as they were, so that what they change looks like an
edit. Each leaves a trace that an edit does not: all of the copy is a fixed point of the same JPEG
tables, or every changed tile holds values that no untouched tile has.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues
from medseal.protection.tamper.exact import Found
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.orientation import Orientation
from medseal.protection.tamper.tiles import TileGrid, textured_tiles

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
# they are; and of few or many changed ones: an edit leaves hardly any.
_FIXED_PLACES, _FIXED_UNTOUCHED = 0.97, 0.95
_FIXED_OF_FEW, _FIXED_OF_MANY, _MANY = 0.4, 0.3, 50
# Levels by which the tables may move the places of changed tiles in the mean: the rest of what
# clipping and rounding did; an edit moves by more.
_MOST_DRIFT = 0.35
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frame:
    """One frame of a copy: as it lies, its way upright, and its tiles there."""

    values: StoredValues
    orientation: Orientation
    grid: TileGrid
    changed: Flags
    untouched: Flags

    def upright(self, values: StoredValues) -> StoredValues:
        return np.asarray(self.orientation.undo(values[None])[0])


def _is_fixed_point(frame: _Frame, *, lies: bool) -> bool:
    """Return whether a frame, changed tiles included, is what JPEG leaves as it is.

    Parameters
    ----------
    frame
        Of 8 bits.
    lies
        True if JPEG came last, False if the copy was turned after it.
    """
    steady = frame.grid.spread(frame.untouched)
    upright = frame.upright(frame.values)
    values = np.ascontiguousarray(frame.values if lies else upright)
    tables = _likeliest(values, frame.orientation.apply(steady) if lies else steady)
    if tables is None:
        return False
    drift = cv2.absdiff(_saved(values, *tables).copy(), values).reshape(values.shape)
    moves = (frame.upright(drift) if lies else drift).max(axis=2)
    fixed = ~frame.grid.any_in_tile(moves > 0)
    # A constant tile is left as it is by any tables.
    changed = frame.changed & textured_tiles(upright[None], frame.grid)[0]
    count = np.count_nonzero(changed)
    needed = max(1, (_FIXED_OF_FEW if count < _MANY else _FIXED_OF_MANY) * count)
    return bool(
        fixed[frame.untouched].sum() >= _FIXED_UNTOUCHED * np.count_nonzero(frame.untouched)
        and np.count_nonzero(fixed & changed) >= needed
        and moves[frame.grid.spread(changed)].mean() <= _MOST_DRIFT
    )


def _was_saved_again(frame: _Frame) -> bool:
    if frame.values.dtype != np.uint8 or frame.values.shape[2] not in (1, _COLOUR):
        return False
    ways = (True, False) if frame.orientation.name else (True,)
    return any(_is_fixed_point(frame, lies=lies) for lies in ways)


def _was_mapped(frame: _Frame) -> bool:
    """Return whether every changed tile holds values that no untouched tile has.

    A map of grey values leaves a tile as it was only if it leaves each of its values so.
    """
    values = frame.upright(frame.values)
    if values.dtype.kind not in "ui" or values.dtype.itemsize > np.dtype(np.uint16).itemsize:
        return False
    if frame.changed.mean() < _MAPPED_TILES:
        return False
    levels = values.astype(np.int32) % _LEVELS
    places = frame.grid.spread(frame.changed)
    kept = np.zeros(_LEVELS, np.bool_)
    kept[levels[~places]] = True
    occurring = np.zeros(_LEVELS, np.bool_)
    occurring[levels] = True
    least = max(_LEAST_VALUES, _MAPPED_VALUES * np.count_nonzero(occurring))
    if np.count_nonzero(occurring & ~kept) < least:
        return False
    unusual = frame.grid.any_in_tile(np.asarray(~kept[levels].all(axis=2)))
    return bool(unusual[frame.changed].all())


def explanation(image: MedicalImage, found: Found, record: Fingerprint, *, frame: int = 0) -> str:
    """Return what may have changed tiles of a frame other than an edit.

    Parameters
    ----------
    image
        The copy.
    found, record
        Where it differs; untouched for the most part.
    frame
        Of the copy; it stands in the place of one of the record.

    Returns
    -------
    str
        Empty if nothing else explains the changes.
    """
    changed = found.differs[frame]
    textured = record.textured_tiles[found.alignment.originals[frame]]
    one = _Frame(
        values=image.stored_values[frame],
        orientation=found.orientation,
        grid=replace(record.grid, frames=1),
        changed=changed,
        untouched=textured & ~changed,
    )
    if _was_mapped(one):
        return "as by a map of grey values that leaves most of them as they are"
    if _was_saved_again(one):
        return "as by saving as JPEG once more at the same quality"
    return ""
