"""What the comparison sees of a copy that lies on its record: no registration stands between."""

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import (
    TILE,
    CanonicalGrid,
    Plane,
    brightness,
    resampled,
    tile_means,
)
from medseal.protection.tamper.exact import Found
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.frames import UNKNOWN
from medseal.protection.tamper.narrowing import Seen, with_every_group
from medseal.protection.tamper.reference.codes import Readout
from medseal.protection.tamper.reference.inference import Networks, load
from medseal.protection.tamper.reference.maps import clipped_places, tile_maps
from medseal.protection.tamper.reference.record import (
    PURPOSE,
    FrameRecord,
    frame_records,
    model_tag,
    readout,
)
from medseal.protection.tamper.tiles import TileGrid

__all__ = ["changed_places", "seen_unmoved"]

# Untouched tiles have the mean that the record says, up to so many levels, and the features, up to
# such an energy; with fewer of them the copy is shown in other levels than the record was.
_EQUAL_LEVELS, _LEAST_EQUAL, _MOST_ENERGY = 0.75, 0.95, 0.2
# Changed share of the tiles beyond which a frame was replaced rather than changed in places.
_MOST_CHANGED = 0.5

Flags = NDArray[np.bool_]


def seen_unmoved(
    networks: Networks,
    plane: Plane,
    record: FrameRecord,
    read: Readout,
    *,
    differs: Flags,
    grid: TileGrid,
) -> Seen | None:
    """Return what the comparison sees of a frame that lies as its record does.

    Parameters
    ----------
    networks
        That made the record.
    plane
        (rows, columns), brightness of the copy, upright.
    record, read
        What is kept of the frame, and what the key reads.
    differs
        (down, across), tiles that are proven to have changed.
    grid
        Of these tiles.

    Returns
    -------
    Seen or None
        None if the untouched tiles are not seen as the record has them.
    """
    bounds = record.picture.bounds
    size = (bounds[0].shape[0] * TILE, bounds[0].shape[1] * TILE)
    canonical = resampled(plane, size)
    proven = grid.spread(differs)
    tiles = bounds[0].shape
    quiet = cv2.resize(proven.astype(np.float32), tiles[::-1], interpolation=cv2.INTER_AREA) == 0
    means = tile_means(canonical)
    off = np.abs(means - np.clip(means, *bounds))[quiet]
    if not quiet.any() or float(np.mean(off <= _EQUAL_LEVELS)) < _LEAST_EQUAL:
        return None
    reading = networks.read(canonical)
    residual, energy = read.residual(reading.features, record.codes)
    if float(np.median(energy[quiet])) > _MOST_ENERGY:
        return None
    clipped = tile_means(clipped_places(canonical).astype(np.float32))
    maps = tile_maps(canonical, bounds, clipped, np.zeros_like(clipped))
    logits, places = networks.judge(reading, residual, np.concatenate([energy[None], maps]))
    # Large images are narrowed on the canonical plane: the maps show no more, and all that is
    # known of tiles was learnt at their size there.
    work = canonical if canonical.size < plane.size else plane
    factors = (work.shape[0] / plane.shape[0], work.shape[1] / plane.shape[1])
    shown = cv2.resize(proven.astype(np.uint8), work.shape[::-1], interpolation=cv2.INTER_AREA)
    return Seen(
        plane=work,
        places=places,
        tiles=logits,
        energy=energy.astype(np.float32),
        proven=shown > 0,
        tile=(grid.tile_rows * factors[0], grid.tile_columns * factors[1]),
    )


class _Records:
    """What a record keeps of its frames, for the installed networks."""

    def __init__(self, record: Fingerprint, key: bytes, networks: Networks) -> None:
        self._networks, self._record = networks, record
        self._key = record.sub_key(key, PURPOSE)
        self.grid = CanonicalGrid.of(record.frames, record.rows, record.columns)
        self._frames: tuple[FrameRecord, ...] = ()
        if self.grid is not None and record.robust and model_tag(record.robust) == networks.tag:
            self._frames = frame_records(record.robust, frames=record.frames, grid=self.grid)

    def seen(self, plane: Plane, original: int, differs: Flags) -> Seen | None:
        if self.grid is None or not self._frames:
            return None
        read = readout(self._key, original, grid=self.grid, networks=self._networks)
        return seen_unmoved(
            self._networks,
            plane,
            self._frames[original],
            read,
            differs=differs,
            grid=self._record.grid,
        )


def _upright(image: MedicalImage, found: Found, frame: int) -> Plane:
    plane = brightness(levels_of(image, frame=frame))
    return np.ascontiguousarray(found.orientation.undo(plane[None, :, :, None])[0, :, :, 0])


def changed_places(
    image: MedicalImage, found: Found, record: Fingerprint, key: bytes
) -> Flags | None:
    """Return which places of proven tiles changed in any frame, as far as can be guessed.

    Parameters
    ----------
    image
        The copy.
    found
        It beside the record; at least one tile differs.
    record, key
        Authenticated.

    Returns
    -------
    array or None
        (rows, columns) of the copy, inside the proven tiles; None if nothing narrows them: no
        robust part, one of another model, or a copy that is shown in other levels.

    Raises
    ------
    FingerprintError
        The robust part does not fit the geometry.
    WeightsError
        The networks are missing or damaged.
    """
    if not record.robust or image.photometric_interpretation.startswith("PALETTE"):
        return None
    networks = load()
    narrowing = networks.narrowing
    records = _Records(record, key, networks)
    grid, narrowed = record.grid, False
    mask = np.zeros((record.rows, record.columns), np.bool_)
    for frame in np.flatnonzero(found.differs.any(axis=(1, 2))):
        differs, original = found.differs[frame], found.alignment.originals[frame]
        proven = grid.spread(differs)
        seen = None
        if narrowing is not None and original != UNKNOWN and differs.mean() <= _MOST_CHANGED:
            seen = records.seen(_upright(image, found, int(frame)), original, differs)
        if seen is None or narrowing is None:
            mask |= proven
            continue
        places = narrowing.places(seen).astype(np.uint8)
        near = cv2.resize(places, mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        mask |= with_every_group(near & proven, proven)
        narrowed = True
    return found.orientation.apply(mask) if narrowed else None
