"""Both marks in one residual, for images that are too loud for the spread mark alone."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import StoredValues
from medseal.protection.watermark import spread
from medseal.protection.watermark.cover import Cover, Limits, distortion
from medseal.protection.watermark.frame import (
    SIMILARITY_ENERGY,
    Plane,
    presence,
    resample,
    visibility,
    working_shape,
)
from medseal.protection.watermark.levels import Levels
from medseal.protection.watermark.pattern import fold, repeated
from medseal.protection.watermark.payload import encode_plain, most_likely_messages, open_message
from medseal.protection.watermark.quantisation import (
    STEPS,
    listen,
    log_likelihoods,
    quantiser,
    smoothed,
)
from medseal.protection.watermark.residual import Residual

__all__ = ["Joint", "joint"]

# Way of each value to the lattice that is gone (distortion compensation).
_COMPENSATION = 0.8
# How much more similarity counts than error in the shape of the quantised mark: similarity is what
# the spread mark needs.
_SIMILARITY_WEIGHT = 50.0
# Of what both marks may cost, the quantised one's shares of error and of dissimilarity.
_ERROR_SHARE, _DISSIMILARITY_SHARE = 0.85, 0.5
# Rounds that bring the values to the lattice: clipped and rounded stored values take a part of each
# change, so that each goes a little too far.
_ROUNDS, _TRIAL_ROUNDS, _OVERSHOOT = 5, 2, 1.3
_SETTLING_STEPS, _CLOSE = 4, 0.05
_SHRINK, _MAX_SHRINKS = 0.97, 40
# Long side beyond which both marks are shaped on a smaller copy of the frame: the marks live in the
# working frame, and only what they cost is looked at in native size.
_SHAPED_SIDE = 1024
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joint:
    """A frame with both marks.

    Attributes
    ----------
    marked
        (rows, columns, samples), stored values.
    residual
        What was added before clipping.
    """

    marked: StoredValues
    residual: Residual


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Try:
    """A frame with some residual, and what it costs."""

    cover: Cover
    amplitude: float
    marked: StoredValues
    error: float
    alike: float

    @property
    def plane(self) -> Plane:
        """Brightness of the marked frame, in levels."""
        return self.cover.levels.plane(self.marked)


class _Host:
    """A frame that is tried with one residual after the other."""

    def __init__(self, frame: StoredValues, levels: Levels, shares: tuple[float, ...]) -> None:
        self.frame, self.levels, self.shares = frame, levels, shares
        self.plane = levels.plane(frame)
        self.samples = levels.sample_planes(frame)

    def tried(self, residual: Plane, *, is_estimate: bool = True) -> _Try:
        """Return the frame plus a residual in the working frame, in levels of brightness."""
        cover = Cover.of(self.frame, self.levels, residual, shares=self.shares)
        whole = cover.map.astype(np.float64)
        amplitude = float((residual * whole).sum() / max(float((whole * whole).sum()), _TINY))
        marked = cover.marked(amplitude)
        changes = self.levels.changes(self.frame, marked)
        error, alike = distortion(cover, self.samples, changes, is_estimate=is_estimate)
        return _Try(cover=cover, amplitude=amplitude, marked=marked, error=error, alike=alike)


class _Quantised:
    """The quantised mark of one frame: its residual for a step, beside any other residual."""

    def __init__(self, host: _Host, payload: bytes, key: bytes) -> None:
        self.host, self.keyed = host, quantiser(key)
        self.coded = encode_plain(payload, key)
        frame = smoothed(host.plane)
        estimate, weight = listen(frame)
        deviation, cost = visibility(host.plane)
        shape = (frame.shape[0], frame.shape[1])
        dear = np.clip(resample(cost, shape), 0, 1) * np.float32(SIMILARITY_ENERGY)
        present = presence(deviation, shape)
        self.room = np.asarray(
            weight / (1 + np.float32(_SIMILARITY_WEIGHT) * dear) * present, np.float32
        )
        self.gain = float(fold(weight * self.room).mean())
        self.values, self.levels = self.keyed.values(fold(estimate))

    def heard(self, plane: Plane) -> NDArray[np.float64]:
        return self.keyed.values(fold(listen(smoothed(plane))[0]))[0]

    def approached(
        self, step: float, *, rounds: int, beside: Plane | None = None
    ) -> tuple[Plane, _Try]:
        """Return the residual that brings the values to the lattice, and the frame with it."""
        nearest = self.keyed.nearest(self.values, self.coded, step)
        wanted = self.values + _COMPENSATION * (nearest - self.values)
        other = np.zeros_like(self.room) if beside is None else beside
        values = self.values if beside is None else self.heard(self.host.tried(beside).plane)
        changes = np.zeros_like(self.values)
        for place in range(rounds):
            changes = changes + _OVERSHOOT * (wanted - values) / self.gain
            shape = (self.room.shape[0], self.room.shape[1])
            residual = self.room * repeated(self.keyed.tile(changes, self.levels), shape)
            tried = self.host.tried(residual + other)
            if place < rounds - 1:
                values = self.heard(tried.plane)
        return residual, tried

    def is_read(self, plane: Plane, step: float, payload: bytes, key: bytes) -> bool:
        likelihoods = log_likelihoods(self.keyed, self.heard(plane), step)
        (message,) = most_likely_messages(likelihoods[None])
        return open_message(message, key) == payload


def _step(mark: _Quantised, limits: Limits) -> tuple[float, Plane] | None:
    """Return the largest step that leaves the spread mark its share, and its residual."""
    error = _ERROR_SHARE * limits.error
    dissimilarity = _DISSIMILARITY_SHARE * (1 - limits.similarity)
    middle = STEPS[len(STEPS) // 2]
    _, tried = mark.approached(middle, rounds=_TRIAL_ROUNDS)
    # Both costs grow with the square of the step.
    room = min(error / max(tried.error, _TINY), dissimilarity / max(1 - tried.alike, _TINY))
    for step in reversed([step for step in STEPS if step <= middle * np.sqrt(room)]):
        residual, tried = mark.approached(step, rounds=_ROUNDS)
        if tried.error <= error and 1 - tried.alike <= dissimilarity:
            return step, residual
    return None


def _amplitude(host: _Host, quantised: Plane, shape: Plane, limits: Limits) -> float:
    """Return about the largest amplitude of the spread mark that both limits leave."""
    alone = host.tried(quantised)
    level = float(np.mean(shape * shape, dtype=np.float64))
    amplitude = float(np.sqrt(max(limits.error - alone.error, 0.0) / max(level, _TINY)))
    for _ in range(_SETTLING_STEPS):
        tried = host.tried(quantised + np.float32(amplitude) * shape)
        # What it adds to either cost grows about with the square of the amplitude.
        room = min(
            (limits.error - alone.error) / max(tried.error - alone.error, _TINY),
            (alone.alike - limits.similarity) / max(alone.alike - tried.alike, _TINY),
        )
        amplitude *= float(np.sqrt(max(room, 0.0)))
        if abs(room - 1) < _CLOSE:
            break
    return amplitude


def _smaller(frame: StoredValues) -> StoredValues:
    """Return a copy of a large frame, about 1024 long and rounded to its own type.

    A whole multiple of the working frame, so that both sizes have the same one.
    """
    working = working_shape(frame.shape[0], frame.shape[1])
    times = max(_SHAPED_SIDE // max(working), 1)
    rows, columns = (times * side for side in working)
    longest = max(frame.shape[:2])
    if longest <= _SHAPED_SIDE or rows * columns >= frame.shape[0] * frame.shape[1]:
        return frame
    planes = [
        cv2.resize(
            frame[:, :, index].astype(np.float64), (columns, rows), interpolation=cv2.INTER_AREA
        )
        for index in range(frame.shape[2])
    ]
    small = np.stack(planes, axis=2)
    if frame.dtype.kind != "f":
        # Means of areas are rough, and may lie beyond the largest whole number.
        least, most = np.iinfo(frame.dtype).min, np.iinfo(frame.dtype).max
        small = np.rint(np.clip(small, least, np.nextafter(float(most), 0)))
    return small.astype(frame.dtype)


def joint(
    frame: StoredValues,
    levels: Levels,
    payload: bytes,
    key: bytes,
    *,
    shares: tuple[float, ...],
    limits: Limits,
) -> Joint | None:
    """Return a frame with both marks; None if the quantised one has no room or is not read.

    1. The quantised mark, as strong as its share allows. 2. The spread mark over it, from what is
    left. 3. The quantised mark again, as the spread one moved its values.

    Parameters
    ----------
    frame, levels
        (rows, columns, samples), whole stored values, and their mapping.
    payload, key
        8 and 32 bytes.
    shares
        Levels that each marked sample takes for one level of brightness.
    limits
        Of both marks together.
    """
    host = _Host(frame, levels, shares)
    small = _Host(_smaller(frame), levels, shares)
    mark = _Quantised(small, payload, key)
    if mark.gain <= 0:
        return None
    # 1.
    found = _step(mark, limits)
    if found is None:
        return None
    step, residual = found
    # 2.
    coded = spread.codeword(small.tried(residual).plane, payload, key)
    shape = spread.residual(host.plane, coded, key)
    amplitude = _amplitude(small, residual, shape, limits)
    # 3.
    residual, _ = mark.approached(step, rounds=_ROUNDS, beside=np.float32(amplitude) * shape)
    for _ in range(_MAX_SHRINKS):
        tried = host.tried(residual + np.float32(amplitude) * shape, is_estimate=False)
        if limits.are_kept(tried.error, tried.alike):
            is_read = mark.is_read(tried.plane, step, payload, key)
            made = tried.cover.residual(tried.amplitude)
            return Joint(marked=tried.marked, residual=made) if is_read else None
        amplitude *= _SHRINK
    return None
