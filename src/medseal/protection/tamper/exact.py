"""Find a record's values in a copy exactly: best orientation, reading and order of the frames."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from medseal.digest import Digest
from medseal.imaging import MedicalImage, values_digest
from medseal.imaging.image import StoredValues
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.frames import UNKNOWN, Alignment, Tiles, align
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.readings import Reading, mapped_readings, plain_reading

__all__ = ["Found", "Upright", "digest_of", "find", "found_share", "uprights_of"]

# Frames and rows of tiles by which an orientation is judged before all tiles are compared, frames
# that are looked at for that, and the share of a sample that must be equal.
_SAMPLED_FRAMES, _SAMPLED_LINES, _TRIED_FRAMES = 5, 4, 32
_LEAST_LIKENESS = 0.04
# So many equal textured tiles are no accident: one alone is equal with a chance of 2^-16.
_LEAST_EQUAL = 4
# Orientations whose sample is nearly as good as the best are compared in full.
_NEARLY = 0.5
# Frames of a copy beyond twice those of the record; with more nothing is compared.
_MORE_FRAMES = 64

Flags = NDArray[np.bool_]
_Frames = slice | NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A copy in its best orientation and reading against the record.

    Attributes
    ----------
    orientation, reading
        In which the copy was read; `reading` names what was done to the values, empty for nothing.
    is_same_picture
        True if that reading shows the same picture.
    equal
        True if every value is equal, in this orientation and reading.
    alignment
        Which original each frame of the copy is.
    differs
        (frames of the copy, down, across), tiles that differ from that original, in the original's
        orientation; all of them for a frame that has none.
    untouched, untouched_share
        Number and share of the record's textured tiles that were found again; of all, where none
        is textured.
    """

    orientation: Orientation
    reading: str
    is_same_picture: bool
    equal: bool
    alignment: Alignment
    differs: Flags
    untouched: int
    untouched_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upright:
    """A reading as it lies in one orientation.

    Attributes
    ----------
    orientation, reading
        Which.
    values, foreign
        Those of the reading, with the rows and columns of the original.
    """

    orientation: Orientation
    reading: Reading
    values: StoredValues
    foreign: Flags


def uprights_of(reading: Reading, record: Fingerprint) -> Iterator[Upright]:
    """Yield a reading in every orientation that has the record's rows and columns."""
    wanted = (record.rows, record.columns)
    for orientation in ORIENTATIONS:
        values = orientation.undo(reading.values)
        if values.shape[1:3] == wanted:
            foreign = orientation.undo(reading.foreign[..., None])[..., 0]
            yield Upright(orientation=orientation, reading=reading, values=values, foreign=foreign)


class _Known:
    """A record with its key: what does not depend on the copy is computed once."""

    def __init__(self, record: Fingerprint, key: bytes) -> None:
        self.record, self.key = record, key
        self.grid = record.grid
        self.pads = record.tile_pads(key)
        self.macs = record.tile_macs.reshape(self.grid.frames, -1)
        self.textured = record.textured_tiles.reshape(self.grid.frames, -1)
        self.basis = self.textured if self.textured.any() else np.ones_like(self.textured)

    def sampled_lines(self) -> list[slice]:
        """Return rows of tiles to judge by: the most textured one of each quarter."""
        counts = self.record.textured_tiles.sum(axis=(0, 2))
        parts = np.array_split(np.arange(len(counts)), min(_SAMPLED_LINES, len(counts)))
        best = (int(part[np.argmax(counts[part])]) for part in parts)
        return [slice(line, line + 1) for line in best]

    def tiles(self, upright: Upright, *, frames: _Frames, lines: Sequence[slice]) -> Tiles:
        """Return the tiles of a copy in some rows of tiles of some frames."""
        sums, foreign = [], []
        for part in lines:
            rows = slice(part.start * self.grid.tile_rows, part.stop * self.grid.tile_rows)
            band = upright.values[frames, rows]
            grid = replace(self.grid, frames=1, rows=band.shape[1])
            sums.append(self.record.tile_sums(band, self.key, grid=grid))
            places = upright.foreign[frames, rows]
            foreign.append(np.zeros(sums[-1].shape, np.bool_))
            if places.any():
                foreign[-1] = np.stack([grid.any_in_tile(plane).ravel() for plane in places])
        numbers = np.arange(self.pads.shape[1]).reshape(self.grid.shape[1:])
        columns = np.concatenate([numbers[part].ravel() for part in lines])
        return Tiles(
            sums=np.concatenate(sums, axis=1),
            foreign=np.concatenate(foreign, axis=1),
            pads=self.pads[:, columns],
            macs=self.macs[:, columns],
            textured=self.textured[:, columns],
        )


def _sampled_frames(values: StoredValues) -> NDArray[np.intp]:
    """Return a few frames that are not constant, if there are such."""
    spread = np.linspace(0, len(values) - 1, min(len(values), _TRIED_FRAMES)).astype(np.intp)
    lively = [frame for frame in spread if (values[frame] != values[frame, :1, :1, :1]).any()]
    chosen = np.array(lively or spread[:1], np.intp)
    few = np.linspace(0, len(chosen) - 1, min(len(chosen), _SAMPLED_FRAMES)).astype(np.intp)
    return np.asarray(chosen[few], np.intp)


def _likeness(tiles: Tiles) -> float:
    """Return the mean share of a sample's textured tiles that one frame of the record has too."""
    return float(np.mean([tiles.shares(frame).max() for frame in range(len(tiles.sums))]))


def _candidates(readings: Iterable[Reading], known: _Known) -> list[Upright]:
    """Return the orientations of a reading that have about the most in common with the record."""
    lines = known.sampled_lines()
    for reading in readings:
        frames = _sampled_frames(reading.values)
        tried = [
            (_likeness(known.tiles(upright, frames=frames, lines=lines)), upright)
            for upright in uprights_of(reading, known.record)
        ]
        best = max((likeness for likeness, _ in tried), default=0.0)
        if best >= _LEAST_LIKENESS:
            return [upright for likeness, upright in tried if likeness >= _NEARLY * best]
    return []


def _in_full(upright: Upright, known: _Known) -> Found:
    lines = [slice(0, known.grid.shape[1])]
    tiles = known.tiles(upright, frames=slice(None), lines=lines)
    alignment = align(tiles)
    down, across = known.grid.shape[1:]
    differs = np.ones(tiles.sums.shape, np.bool_)
    untouched = 0
    for frame, original in enumerate(alignment.originals):
        if original != UNKNOWN:
            differs[frame] = tiles.differs(frame, original)
            untouched += int(np.count_nonzero(known.basis[original] & ~differs[frame]))
    in_order = alignment.originals == tuple(range(len(tiles.pads)))
    return Found(
        orientation=upright.orientation,
        reading=upright.reading.name,
        is_same_picture=upright.reading.is_same_picture,
        # Equal MACs are strong evidence; the digest is what decides.
        equal=in_order
        and not differs.any()
        and digest_of(upright.values, known.record) == known.record.values,
        alignment=alignment,
        differs=differs.reshape(-1, down, across),
        untouched=untouched,
        untouched_share=untouched / int(np.count_nonzero(known.basis)),
    )


def digest_of(upright: StoredValues, record: Fingerprint) -> Digest:
    """Return the digest of values that lie as in the original."""
    return values_digest(
        MedicalImage(
            stored_values=upright.copy(),
            bits_stored=record.cell_bytes * 8,
            is_signed=record.kind != "u",
            photometric_interpretation=record.photometric_interpretation,
            source_format="png",
            decoder="orientation undone",
        )
    )


def find(image: MedicalImage, record: Fingerprint, key: bytes) -> Found | None:
    """Return a copy as it has the most tiles in common with its record.

    1. The values as they are, in the orientations that fit. 2. The same after each exact mapping
    of the values. 3. Where a sample shows nothing, the copy as it lies is compared in full.

    Parameters
    ----------
    image
        The copy.
    record, key
        Authenticated.

    Returns
    -------
    Found or None
        None if the geometry does not fit, or hardly a tile is equal.
    """
    if image.frames > 2 * record.frames + _MORE_FRAMES:
        return None
    known = _Known(record, key)
    plain = plain_reading(image, record)
    # 1. and 2.
    uprights = _candidates(chain([plain], mapped_readings(image, record)), known)
    # 3.
    uprights = uprights or list(islice(uprights_of(plain, record), 1))
    best: Found | None = None
    for upright in uprights:
        here = _in_full(upright, known)
        if best is None or here.equal or here.untouched_share > best.untouched_share:
            best = here
        if best.equal:
            break
    needed = min(_LEAST_EQUAL, int(np.count_nonzero(known.basis)))
    return best if best is not None and best.untouched >= needed else None


def found_share(image: MedicalImage, record: Fingerprint, key: bytes) -> float:
    """Return the share of a record's textured tiles that a copy holds unchanged, 0 to 1.

    Exact and cheap: it leads from a copy to its record, and says nothing about processed copies.

    Raises
    ------
    FingerprintError
        The record is damaged or was made with another key.
    """
    record.authenticate(key)
    found = find(image, record, key)
    return 0.0 if found is None else found.untouched_share
