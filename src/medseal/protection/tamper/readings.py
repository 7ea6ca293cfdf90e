"""Readings of a copy in the type of its record: samples added or dropped, values mapped exactly."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues
from medseal.protection.tamper.fingerprint import Fingerprint

__all__ = ["INVERTED", "Reading", "mapped_readings", "plain_reading"]

INVERTED = "grey values inverted"

_GREY, _GREY_ALPHA, _COLOUR, _COLOUR_ALPHA = 1, 2, 3, 4
_BITS_A_BYTE = 8
# Wider integers are not mapped by any tool, and their arithmetic would overflow.
_MOST_BITS = 32
# How far a floating value times the largest integer may lie from an integer.
_ROUNDING = 1e-3

Flags = NDArray[np.bool_]
_Map = Callable[[StoredValues], NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """The values of a copy as the record knows such values.

    Attributes
    ----------
    name
        What was done to the values of the original; empty for nothing.
    is_same_picture
        True if a viewer shows the same: samples were added or dropped that say nothing.
    values
        (frames, rows, columns, samples) with the samples and in the type of the record.
    foreign
        (frames, rows, columns): places that hold what the record's type or samples cannot.
    """

    name: str
    is_same_picture: bool
    values: StoredValues
    foreign: Flags


def _in_type(
    values: NDArray[np.generic], dtype: np.dtype[np.generic]
) -> tuple[StoredValues, Flags]:
    """Return values in another type, and the places that it cannot hold."""
    if values.dtype == dtype:
        return values, np.zeros(values.shape[:3], np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        converted = values.astype(dtype)
        unequal = converted != values
    if values.dtype.kind == converted.dtype.kind == "f":
        unequal &= ~(np.isnan(values) & np.isnan(converted))
    return converted, unequal.any(axis=3)


def _neutral(image: MedicalImage) -> float | None:
    """Return the value of a colour difference that says nothing, None where colours are not so."""
    if not image.photometric_interpretation.startswith("YBR"):
        return None
    return float(1 << (image.bits_stored - 1))


def _grey_of(image: MedicalImage) -> tuple[StoredValues, Flags]:
    """Return the first sample, and the places where the others add colour to it."""
    values = image.stored_values
    first = values[..., :1]
    if image.samples < _COLOUR:
        return first, np.zeros(values.shape[:3], np.bool_)
    neutral = _neutral(image)
    others = values[..., 1:3]
    coloured = (others != first) if neutral is None else (others != neutral)
    return first, coloured.any(axis=3)


def _with_samples(image: MedicalImage, wanted: int) -> tuple[StoredValues, Flags]:
    """Return the values with other samples, and the places that these cannot express."""
    values, present = image.stored_values, image.samples
    foreign = np.zeros(values.shape[:3], np.bool_)
    if present == wanted:
        return values, foreign
    if present in (_GREY_ALPHA, _COLOUR_ALPHA) and wanted in (_GREY, _COLOUR):
        # An alpha channel that is the same everywhere shows the image as it is.
        opaque = values[..., -1]
        foreign = opaque != np.median(opaque)
    if wanted in (_GREY, _GREY_ALPHA):
        chosen, coloured = _grey_of(image)
        foreign = foreign | coloured
    elif present >= _COLOUR:
        chosen = values[..., :_COLOUR]
    else:
        chosen = np.repeat(values[..., :1], _COLOUR, axis=3)
    if wanted in (_GREY_ALPHA, _COLOUR_ALPHA):
        full = 1 if values.dtype.kind == "f" else (1 << (image.bits_stored - image.is_signed)) - 1
        alpha = values[..., -1:] if present in (_GREY_ALPHA, _COLOUR_ALPHA) else None
        solid = np.full_like(values[..., :1], full) if alpha is None else alpha
        chosen = np.concatenate([chosen, solid], axis=3)
    return chosen, foreign


def plain_reading(image: MedicalImage, record: Fingerprint) -> Reading:
    """Return the copy in the type of the record, every value being what it was."""
    chosen, foreign = _with_samples(image, record.samples)
    more = image.samples - record.samples
    name = "samples added" if more > 0 else "samples dropped" if more else ""
    values, unheld = _in_type(chosen, record.dtype)
    return Reading(name=name, is_same_picture=True, values=values, foreign=foreign | unheld)


def _maps(image: MedicalImage, record: Fingerprint) -> Iterator[tuple[str, _Map]]:
    """Yield the ways back from values that a common conversion has mapped one to one."""
    kind, own = image.stored_values.dtype.kind, record.bits_stored
    bits_stored = own if kind == "f" else max(own, image.bits_stored)
    if record.kind == "f" or bits_stored > _MOST_BITS:
        return
    top = (1 << own) - 1
    if kind == "f":
        for bits in sorted({own, record.cell_bytes * _BITS_A_BYTE}):
            yield f"values divided by {(1 << bits) - 1}", _divided((1 << bits) - 1)
        return
    if kind != record.kind:
        shift = (1 << (own - 1)) * (-1 if record.kind == "u" else 1)
        yield f"values shifted by {shift}", _shifted(-shift)
        return
    fulls = {-1} if kind == "i" else {top, (1 << image.bits_stored) - 1}
    for full in sorted(fulls):
        yield INVERTED, _subtracted(full)
    wider = image.stored_values.dtype.itemsize * _BITS_A_BYTE
    if wider > own and kind == "u":
        for factor in sorted({1 << (wider - own), ((1 << wider) - 1) // top}):
            yield f"values times {factor}", _multiplied(factor)


def _wide(values: StoredValues) -> NDArray[np.int64]:
    return values.astype(np.int64)


def _shifted(by: int) -> _Map:
    return lambda values: _wide(values) + by


def _subtracted(full: int) -> _Map:
    return lambda values: full - _wide(values)


def _multiplied(factor: int) -> _Map:
    def back(values: StoredValues) -> NDArray[np.generic]:
        whole, rest = np.divmod(_wide(values), factor)
        # What is no multiple becomes a value that no record holds.
        return np.where(rest == 0, whole, -1)

    return back


def _divided(top: int) -> _Map:
    def back(values: StoredValues) -> NDArray[np.generic]:
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = values.astype(np.float64) * top
            rounded = np.rint(scaled)
            return np.where(np.abs(scaled - rounded) < _ROUNDING, rounded, np.nan)

    return back


def mapped_readings(image: MedicalImage, record: Fingerprint) -> Iterator[Reading]:
    """Yield the readings of a copy whose values were mapped one to one, each undone.

    Inverted grey values, more bits for the same values, signed values moved to unsigned ones, and
    integers divided by the largest one: conversions of common tools that lose nothing, so that an
    edit behind them can be located as exactly as without them.
    """
    chosen, foreign = _with_samples(image, record.samples)
    for name, back in _maps(image, record):
        values, unheld = _in_type(back(chosen), record.dtype)
        yield Reading(name=name, is_same_picture=False, values=values, foreign=foreign | unheld)
