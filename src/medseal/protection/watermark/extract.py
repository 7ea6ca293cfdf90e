"""Read a mark back from any copy: listen, synchronise, decode, compare the MAC.

The spread mark is looked for first; of images that are too loud for it the quantised one is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues
from medseal.protection.watermark import inference
from medseal.protection.watermark.frame import (
    FRAME_SIDE,
    SMALL_FRAME_SIDE,
    Plane,
    copy_maps,
    frame_side,
    resample,
    working_shape,
)
from medseal.protection.watermark.levels import Levels
from medseal.protection.watermark.pattern import pattern, repeated
from medseal.protection.watermark.payload import (
    MAC_BITS,
    PAYLOAD_BITS,
    bit_log_likelihoods,
    check_key,
    encode,
    encode_plain,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.quantisation import (
    CANDIDATES,
    candidates,
    certainties,
    orientation,
)
from medseal.protection.watermark.synchronise import (
    Placement,
    Position,
    origin,
    placements,
    positions,
    rectified,
)

__all__ = ["MAX_HYPOTHESES", "Evidence", "Extraction", "extract"]

# Every frame bears the mark for itself; so many are read, the middle first, each in the working
# frames of both sizes.
_MAX_FRAMES = 8
_FRAME_SIDES = (FRAME_SIDE, SMALL_FRAME_SIDE)
# Shifts that are decoded in one go, turns and scales that are tried, and frames that are searched
# for these and for the quantised mark.
_SHIFTS = 5
_PLACEMENTS = 4
_SEARCHED_FRAMES = 2
MAX_HYPOTHESES = _MAX_FRAMES * len(_FRAME_SIDES) * (_SHIFTS + 1) + _SEARCHED_FRAMES * (
    CANDIDATES + _PLACEMENTS * _SHIFTS
)
"""Messages that one call of `extract` decodes at most; enters the false-positive rate."""

_ALL = tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))
# Largest log-likelihood ratio of a bit that is reported, so that no probability is 0 or 1.
_MAX_LOG_LIKELIHOOD = 30.0
# Turned copies are taken from a frame of twice the size: a shrunken one is enlarged again.
_FINENESS = 2
# Smaller frames that a copy is heard in too: parts that were magnified have their scale there.
_FRAME_SIZES = (0.6, 0.45)
# Rows and columns below which a copy holds too little to be read; longest frame that is searched
# for turns, whose spectrum is a square of that side.
_LEAST_SIDE, _LONGEST_SEARCHED = 32, 2048
_CELL = 8
# Log-likelihood ratio of a coded bit in a copy that nothing was read from.
_UNSURE = 0.1
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """How well the mark that was read is heard in each part of a copy.

    Attributes
    ----------
    cells
        (rows, columns): log-likelihood ratio that a cell of 8 x 8 places bears the mark rather than
        none; about 0 where it is too faint to tell, clearly negative where something else stands.
    placement
        (2, 3): column and row of a place of the frame of cells, in places, to column and row of
        the copy.
    """

    cells: NDArray[np.float64]
    placement: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extraction:
    """What was read from a copy.

    Attributes
    ----------
    detected
        True if the MAC of a decoded payload fits; a payload is never a guess.
    payload
        8 bytes, or None.
    bit_probabilities
        (64,), probability that each payload bit is one, in the likeliest position. Near 0.5
        throughout where there is no mark.
    false_positive_rate
        Upper bound of the probability that a copy without a mark of this key is taken for
        marked: number of decoded hypotheses times 2**-32.
    sync_strength
        Of the synchronisation, in deviations of the correlation: about 3 to 4.5 without a mark.
    evidence
        Where the mark is heard, if it was detected.
    """

    detected: bool
    payload: bytes | None
    bit_probabilities: NDArray[np.float64]
    false_positive_rate: float
    sync_strength: float = 0.0
    evidence: Evidence | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Heard:
    """One frame of a copy as the network hears it, at one placement.

    Attributes
    ----------
    estimate
        (rows, columns).
    placement
        None if the copy is taken as it is.
    """

    estimate: Plane
    placement: Placement | None


class _Reader:
    """Decodes hypotheses until one fits, and counts them."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.pattern = pattern(key)
        self.hypotheses = 0
        self.likeliest: tuple[float, NDArray[np.float64]] | None = None
        self.quantised: NDArray[np.float64] | None = None
        self.coded: NDArray[np.uint8] | None = None

    def decode(self, places: Sequence[Position]) -> tuple[bytes, Position] | None:
        """Return the payload and position of the first hypothesis whose MAC fits."""
        if not places:
            return None
        sums = np.stack([self.pattern.sums(place.tile) for place in places])
        self.hypotheses += len(places)
        strengths = [abs(place.strength) for place in places]
        strongest = int(np.argmax(strengths))
        if self.likeliest is None or strengths[strongest] > self.likeliest[0]:
            self.likeliest = (strengths[strongest], sums[strongest])
        for place, message in zip(places, most_likely_messages(sums), strict=True):
            payload = open_message(message, self.key)
            if payload is not None:
                heard = self.pattern.sums(place.tile)
                self.likeliest = (abs(place.strength), heard)
                self.coded = encode(payload, self.key, heard)
                return payload, place
        return None

    def decode_quantised(self, heard: _Heard, plane: Plane) -> tuple[bytes, Position] | None:
        """Return the payload of the quantised mark, and where the spread one lies then."""
        rows = candidates(plane, self.key)
        self.hypotheses += len(rows)
        for index, message in enumerate(most_likely_messages(rows)):
            payload = open_message(message, self.key)
            if payload is not None:
                self.quantised = certainties(rows[index], encode_plain(payload, self.key))
                turns, mirrored = orientation(index)
                # What is read so was not cut, however faint the synchronisation is.
                place = origin(heard.estimate, self.pattern, turns=turns, mirrored=mirrored)
                self.coded = encode(payload, self.key, self.pattern.sums(place.tile))
                return payload, place
        return None

    def result(self, payload: bytes | None, evidence: Evidence | None) -> Extraction:
        """Return what is reported."""
        strength, sums = self.likeliest or (0.0, None)
        if self.quantised is not None:
            probabilities = _probabilities(self.quantised)
        elif sums is None:
            probabilities = np.full(PAYLOAD_BITS, 0.5)
        else:
            probabilities = _probabilities(sums * self._scale(sums))
        probabilities.flags.writeable = False
        return Extraction(
            detected=payload is not None,
            payload=payload,
            bit_probabilities=probabilities,
            false_positive_rate=self.hypotheses * 2.0**-MAC_BITS,
            sync_strength=strength,
            evidence=evidence,
        )

    def _scale(self, sums: NDArray[np.float64]) -> float:
        """Return what turns sums into log-likelihood ratios: twice the mean over the variance.

        Without a payload the likeliest codeword is no measure: noise has one too. The scale is
        then that of sums that are all noise, which leaves the bits near one half.
        """
        if self.coded is None:
            return _UNSURE / max(float(np.sqrt(np.mean(sums**2))), _TINY)
        signed = sums * (self.coded * 2.0 - 1.0)
        return float(2 * signed.mean() / max(float(signed.var()), _TINY))


def _probabilities(log_likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    bits = bit_log_likelihoods(np.asarray(log_likelihoods, np.float32))
    return np.asarray(1 / (1 + np.exp(-np.clip(bits, -_MAX_LOG_LIKELIHOOD, _MAX_LOG_LIKELIHOOD))))


def _frame_order(frames: int) -> list[int]:
    """Return the frames to read: spread evenly, the middle first."""
    chosen = np.unique(np.linspace(0, frames - 1, min(frames, _MAX_FRAMES)).round().astype(int))
    return sorted((int(frame) for frame in chosen), key=lambda frame: abs(2 * frame - frames + 1))


def _upright(plane: Plane) -> Iterator[_Heard]:
    """Yield what the network hears of a copy as it is: in the frame of its size, then the other."""
    own = frame_side(*plane.shape)
    for side in sorted(_FRAME_SIDES, key=lambda side: side != own):
        frame = resample(plane, working_shape(*plane.shape, side=side))
        yield _Heard(estimate=inference.load().estimate(copy_maps(frame)), placement=None)


def _turned(plane: Plane, estimate: Plane) -> Iterator[_Heard]:
    """Yield what is heard of a copy at its likeliest turns and scales."""
    fine, fine_side = plane, _FINENESS * max(estimate.shape)
    if max(plane.shape) > fine_side:
        fine = _smaller(plane, fine_side / max(plane.shape))
    coarse = resample(plane, (estimate.shape[0], estimate.shape[1]))
    heard = [(estimate, 1.0)]
    for size in _FRAME_SIZES:
        frame = _smaller(coarse, size)
        heard.append(
            (inference.load().estimate(copy_maps(frame)), frame.shape[1] / coarse.shape[1])
        )
    for placement in placements(heard, count=_PLACEMENTS):
        enlarges = abs(np.linalg.det(placement.matrix)) >= 1
        source = coarse if enlarges else fine
        ratios = np.array([source.shape[1] / coarse.shape[1], source.shape[0] / coarse.shape[0]])
        scaled = Placement(matrix=placement.matrix * ratios[:, None], score=placement.score)
        levels, inside = rectified(source, scaled)
        again = inference.load().estimate(copy_maps(levels)) * inside
        yield _Heard(estimate=np.asarray(again, np.float32), placement=placement)


def _smaller(plane: Plane, factor: float) -> Plane:
    rows, columns = (max(2 * round(side * factor / 2), 2) for side in plane.shape)
    return resample(plane, (rows, columns))


def _evidence(
    heard: _Heard, place: Position, reader: _Reader, shape: tuple[int, int]
) -> Evidence | None:
    """Return how well each cell bears the pattern that was read."""
    if reader.coded is None:
        return None
    undone = np.rot90(heard.estimate, place.turns)
    undone = undone[:, ::-1] if place.mirrored else undone
    rows, columns = undone.shape
    tile = np.roll(reader.pattern.tile(reader.coded), place.shift, axis=(0, 1))
    product = undone * repeated(-tile if place.inverted else tile, (rows, columns))
    whole = product[: rows // _CELL * _CELL, : columns // _CELL * _CELL]
    cells = whole.reshape(rows // _CELL, _CELL, columns // _CELL, _CELL).sum(axis=(1, 3))
    return Evidence(cells=cells.astype(np.float64), placement=_cell_placement(heard, place, shape))


def _cell_placement(heard: _Heard, place: Position, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the way from places of the undone estimate to columns and rows of the copy."""
    rows, columns = heard.estimate.shape
    # From the undone estimate back to the estimate, about the centres of both.
    turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), place.turns)
    mirror = np.diag([-1.0 if place.mirrored else 1.0, 1.0])
    back = turn @ mirror
    undone = np.array([columns, rows]) if place.turns % 2 == 0 else np.array([rows, columns])
    linear = back if heard.placement is None else heard.placement.matrix @ back
    working = working_shape(*shape)
    frame = (rows, columns) if heard.placement is None else working
    ratio = np.array([shape[1] / frame[1], shape[0] / frame[0]])
    linear = linear * ratio[:, None]
    centre = np.array([shape[1], shape[0]]) / 2 - 0.5
    offset = centre - linear @ (undone / 2 - 0.5)
    return np.hstack([linear, offset[:, None]])


def _planes(image: MedicalImage, levels: Levels) -> Iterator[Plane]:
    frames: list[StoredValues] = [image.stored_values[i] for i in _frame_order(image.frames)]
    for frame in frames:
        yield levels.plane(frame)


def _readings(
    image: MedicalImage, levels: Levels, reader: _Reader
) -> Iterator[tuple[_Heard, tuple[bytes, Position] | None]]:
    """Yield what is read of a copy, one attempt after the other, in the order of `extract`."""
    kept: list[tuple[Plane, _Heard]] = []
    # 1.
    for plane in _planes(image, levels):
        for place, heard in enumerate(_upright(plane)):
            places = [origin(heard.estimate, reader.pattern)]
            places += positions(heard.estimate, reader.pattern, orientations=_ALL, count=_SHIFTS)
            yield heard, reader.decode(places)
            # An empty slice bears nothing, and would take the place of one that does.
            is_searched = len(kept) < _SEARCHED_FRAMES and np.ptp(plane) > 0
            if place == 0 and is_searched:
                kept.append((plane, heard))
    # 2.
    for plane, heard in kept:
        yield heard, reader.decode_quantised(heard, plane)
    # 3.
    for plane, upright in kept:
        if max(upright.estimate.shape) > _LONGEST_SEARCHED:
            continue
        for heard in _turned(plane, upright.estimate):
            places = positions(heard.estimate, reader.pattern, orientations=_ALL, count=_SHIFTS)
            yield heard, reader.decode(places)


def extract(image: MedicalImage, key: bytes) -> Extraction:
    """Read the payload of a copy, wherever it was cut, turned, scaled or mirrored.

    1. The spread mark as it is, in all quarter turns and mirrored, at all shifts. 2. The quantised
    mark. 3. The spread mark at the likeliest other turns and scales.

    Parameters
    ----------
    image
        Any copy, with stored values of any depth.
    key
        32 bytes, the one used to embed.

    Returns
    -------
    Extraction
        `detected` is False if no mark of this key was found.

    Raises
    ------
    WatermarkKeyError
        The key has not 32 bytes.
    UnsupportedImageError
        The stored values are palette indices.
    WeightsError
        The networks are missing or damaged.
    """
    check_key(key)
    reader = _Reader(key)
    shape = (image.rows, image.columns)
    levels = Levels.of(image)
    if min(shape) < _LEAST_SIDE:
        return reader.result(None, None)
    for heard, found in _readings(image, levels, reader):
        if found is not None:
            return reader.result(found[0], _evidence(heard, found[1], reader, shape))
    return reader.result(None, None)
