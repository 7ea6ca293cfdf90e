"""Compare a copy that was processed as a whole with the robust part of its record.

A network judges, so this is evidence and no proof: equality is shown by the digest alone, and
`processed` says that nothing was found, not that nothing was done.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.protection.attacks.levels import Levels, levels_of
from medseal.protection.tamper.canonical import (
    LEAST_SIDE,
    CanonicalGrid,
    Plane,
    tile_means,
)
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.operations import operations_of
from medseal.protection.tamper.reference.alignment import Aligned, Unreadable, align
from medseal.protection.tamper.reference.codes import Readout
from medseal.protection.tamper.reference.fusion import clues
from medseal.protection.tamper.reference.inference import Networks, load
from medseal.protection.tamper.reference.maps import tile_maps
from medseal.protection.tamper.reference.record import (
    PURPOSE,
    FrameRecord,
    frame_records,
    model_tag,
    readout,
)

__all__ = [
    "Finding",
    "findings",
    "frame_finding",
]

_HALF = 0.5
_MOST_LOGIT = 30.0
# Median energy of the residual: .13 for equal features, .52 for unrelated ones. Where means of
# tiles are as they were it may be higher, as under much noise: on validation images .48 at most.
_MOST_ENERGY, _MOST_DEGRADED, _WELL_EXPLAINED = 0.4, 0.46, 0.99
# Another image of the kind, laid on the record: on validation images it explained .93 of it at
# most, and a tenth of its tiles had energies above .61; honest copies explained so little have .56
# at most there. A forgery of more than a tenth of the area leaves the median low.
_LEAST_ALIKE, _UNLIKE_SHARE, _UNLIKE_ENERGY, _UNLIKE_MEDIAN = 0.95, 0.1, 0.58, 0.22

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """What the comparison of one frame found.

    Attributes
    ----------
    logit
        Of the frame being forged anywhere; above 0 it is called so.
    score_map
        (rows, columns) of the copy, 0 to 1: how surely each place was forged.
    mask
        (rows, columns) of the copy.
    operations
        What honest handling did, as far as it is seen.
    orientation
        In which the frame lies on the record, in words; empty for upright.
    clues
        (CLUES,): what the logit was made of, see `fusion.clues`.
    model_id
        What judged.
    """

    logit: float
    score_map: Plane
    mask: Flags
    operations: tuple[str, ...]
    orientation: str
    clues: NDArray[np.float64]
    model_id: str


def _shares(places: Flags) -> Plane:
    return tile_means(places.astype(np.float32))


def _on_copy(plane: Plane, laid: Aligned) -> Plane:
    """Return a map of halves of the canonical plane as it lies on the copy."""
    matrix = laid.registration.matrix.copy()
    # A place of the map covers two by two canonical places.
    matrix[:, 2] += matrix[:, :2] @ np.full(2, 0.5)
    matrix[:, :2] *= 2
    moved = cv2.warpAffine(plane, matrix, laid.plane.shape[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray(moved, np.float32)


def _is_unlike(energies: NDArray[np.float64], explained: float) -> bool:
    """Return whether a copy shows another image, or hardly anything of this one."""
    median = float(np.median(energies))
    if median > (_MOST_DEGRADED if explained >= _WELL_EXPLAINED else _MOST_ENERGY):
        return True
    upper = float(np.quantile(energies, 1 - _UNLIKE_SHARE))
    return explained < _LEAST_ALIKE and median > _UNLIKE_MEDIAN and upper > _UNLIKE_ENERGY


def _judged(
    networks: Networks, laid: Aligned, record: FrameRecord, read: Readout
) -> Finding | Unreadable:
    outside = _shares(laid.unknown)
    reading = networks.read(laid.copy)
    residual, energy = read.residual(reading.features, record.codes)
    shown = outside < _HALF
    if not shown.any() or _is_unlike(energy[shown], laid.registration.explained):
        return Unreadable(reason="another image, or too degraded (its features are unlike)")
    maps = tile_maps(laid.copy, record.picture.bounds, _shares(laid.clipped), outside)
    tiles, places = networks.judge(reading, residual, np.concatenate([energy[None], maps]))
    hidden = cv2.resize(outside, places.shape[::-1], interpolation=cv2.INTER_NEAREST)
    chances = np.where(
        hidden < _HALF, 1 / (1 + np.exp(-np.clip(places, -_MOST_LOGIT, _MOST_LOGIT))), 0
    )
    found = clues(tiles, np.asarray(energy, np.float32), outside, laid)
    score_map = _on_copy(chances.astype(np.float32), laid)
    quiet = (tiles < 0) & (outside < _HALF)
    typical = float(np.median(energy[quiet if quiet.any() else ...]))
    return Finding(
        logit=networks.calibrated(found),
        clues=found,
        score_map=score_map,
        mask=score_map >= networks.place_threshold,
        operations=operations_of(laid.registration, laid.plane, typical),
        orientation=laid.registration.orientation.name,
        model_id=networks.model_id,
    )


def frame_finding(
    networks: Networks,
    levels: Levels,
    record: FrameRecord,
    read: Readout,
    *,
    shape: tuple[int, int],
) -> Finding | Unreadable:
    """Return what one frame shows.

    Parameters
    ----------
    networks
        That made the record.
    levels
        (rows, columns) or (rows, columns, 3), of the copy's frame.
    record, read
        What is kept of the frame, and what the key reads.
    shape
        Rows and columns of the original.
    """
    laid = align(levels, record.picture, shape=shape)
    if isinstance(laid, Unreadable):
        return laid
    return _judged(networks, laid, record, read)


def _obstacle(image: MedicalImage, fingerprint: Fingerprint) -> str:
    """Return why no frame can be compared; empty if nothing stands in the way."""
    if not fingerprint.robust:
        return "the record holds no robust part: only exact evidence counts"
    if image.frames != fingerprint.frames:
        return f"{image.frames} frames, the original has {fingerprint.frames}"
    if min(image.rows, image.columns) < LEAST_SIDE:
        return f"the copy has less than {LEAST_SIDE} rows or columns"
    if image.photometric_interpretation.startswith("PALETTE"):
        return "the copy holds palette indices, which have no brightness"
    return ""


def findings(
    image: MedicalImage, fingerprint: Fingerprint, key: bytes
) -> tuple[Finding | Unreadable, ...] | Unreadable:
    """Return what each frame shows, or why nothing can be told of any.

    Parameters
    ----------
    image
        The copy.
    fingerprint
        Authenticated.
    key
        The fingerprint key.

    Raises
    ------
    FingerprintError
        The robust part does not fit the geometry.
    WeightsError
        The networks are missing or damaged.
    """
    obstacle = _obstacle(image, fingerprint)
    shape = (fingerprint.rows, fingerprint.columns)
    grid = CanonicalGrid.of(fingerprint.frames, *shape)
    if obstacle or grid is None:
        return Unreadable(reason=obstacle or "this geometry has no robust part")
    networks = load()
    if model_tag(fingerprint.robust) != networks.tag:
        return Unreadable(reason="the record was made with another model; seal the image again")
    records = frame_records(fingerprint.robust, frames=fingerprint.frames, grid=grid)
    sub_key = fingerprint.sub_key(key, PURPOSE)
    return tuple(
        frame_finding(
            networks,
            levels_of(image, frame=frame),
            record,
            readout(sub_key, frame, grid=grid, networks=networks),
            shape=shape,
        )
        for frame, record in enumerate(records)
    )
