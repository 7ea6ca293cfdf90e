"""Pairs to train on: part of an image as it was recorded, and what became of it.

A copy is cut from an image, perhaps forged, then turned, scaled, windowed and compressed as honest
people do, and brought back with the small errors that registration and the fit of grey values
leave. So the network learns what honest handling leaves over, and what it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.attacks.draws import IN_PLACE
from medseal.protection.attacks.edit_draws import random_edit
from medseal.protection.attacks.families import FAMILIES
from medseal.protection.attacks.levels import Levels
from medseal.protection.tamper.canonical import TILE, Plane, resampled, tile_means
from medseal.protection.tamper.reference.codes import cell_bounds, coarse_picture
from medseal.protection.tamper.reference.config import FitConfig
from medseal.protection.tamper.reference.images import Collection
from medseal.protection.tamper.reference.maps import clipped_places

__all__ = ["LEAST_ENERGY", "PATCH", "Sample", "draw"]

PATCH = 256
"""Rows and columns of the canonical plane that a sample shows."""

LEAST_ENERGY = 3000.0
"""Sum of squared changes, in levels, from which on handling can be expected to leave a forgery."""

_CANONICAL_AREA = 512.0**2
_MARGIN = 1.3
_WHITE = 255.0
_EVEN = 0.5
# Reduced by less than this, a plane needs no smoothing first.
_SHRINKS = 0.85
# Copies turned by any angle, scaled, and stretched a little, of those that are moved.
_TURNED_SHARE, _SCALED_SHARE, _STRETCHED_SHARE = 0.65, 0.6, 0.2
_MOST_DEGREES, _MOST_FACTOR = 8.0, 2.0
_SCALE_SPREAD = 0.12
_METHODS = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
# Error of a grey curve in levels, where grey values moved and where not, by how means are kept.
_CURVE_ERRORS = {"uniform": (1.2, 0.3), "picture": (1.4, 0.7)}
# Error of a registration in canonical places: as a rule, and now and then.
_PLACE_ERRORS, _RULE_SHARE = (0.18, 0.5), 0.88
_CUT_SHARE, _DEEPEST_CUT = 0.15, 52
_COARSE_STEPS = (3.0, 16.0)
_LEAST_HANDLING, _MOST_HANDLING = 0.15, 0.75
# Honest handling that leaves places where they are, and how often each is drawn.
_HANDLING = {
    "JPEG": 6.0,
    "JPEG 2000": 1.5,
    "noise": 2.0,
    "blur": 2.0,
    "median": 0.5,
    "resize and back": 2.5,
    "brightness": 1.0,
    "contrast": 1.5,
    "gamma": 2.0,
    "CLAHE": 0.3,
    "window": 2.0,
    "12 to 8 bits": 1.0,
}
_GREY = frozenset({"brightness", "contrast", "gamma", "CLAHE", "window", "12 to 8 bits"})
_STEPS = (0.15, 0.52, 0.27, 0.06)
_CURVE_BINS = 64
_PLACES = 3

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One pair.

    Attributes
    ----------
    record, copy
        (PATCH, PATCH) canonical levels.
    mask
        (PATCH / 2, PATCH / 2), share of each cell that was forged.
    clipped, outside
        (PATCH / 16, PATCH / 16), shares of a tile where the copy says nothing.
    bounds
        (PATCH / 16, PATCH / 16) each: from where to where the record says that means lie.
    family
        Of the forgery; empty for none.
    counts
        False for a forgery too faint to be expected to last: it teaches nothing either way.
    """

    record: Plane
    copy: Plane
    mask: Plane
    clipped: Plane
    outside: Plane
    bounds: tuple[Plane, Plane]
    family: str
    counts: bool


def _window(rng: np.random.Generator, plane: Levels, side: float) -> tuple[int, int, int]:
    """Return top, left and side of a square with content."""
    whole = int(min(max(24, round(side * _MARGIN)), *plane.shape[:2]))
    found, best = (0, 0), -1.0
    for _ in range(1 + int(rng.integers(_PLACES))):
        top = int(rng.integers(plane.shape[0] - whole + 1))
        left = int(rng.integers(plane.shape[1] - whole + 1))
        here = float(plane[top : top + whole : 4, left : left + whole : 4].std())
        if here > best:
            found, best = (top, left), here
    return *found, whole


def _scale_of(rng: np.random.Generator, plane: Levels) -> float:
    """Return canonical places for each place of the image, as in images of about this size."""
    exact = float(np.sqrt(_CANONICAL_AREA / (plane.shape[0] * plane.shape[1])))
    drawn = exact * float(np.exp(rng.normal(0, _SCALE_SPREAD)))
    return float(max(drawn, PATCH * _MARGIN / min(plane.shape[:2])))


def _moved(rng: np.random.Generator, side: int) -> tuple[FloatArray, tuple[int, int]]:
    """Return a way of places of a square to those of a turned and scaled one, and its shape."""
    turned, scaled, stretched = rng.random(3) < (_TURNED_SHARE, _SCALED_SHARE, _STRETCHED_SHARE)
    angle = np.deg2rad(rng.uniform(-_MOST_DEGREES, _MOST_DEGREES)) if turned else 0.0
    factor = float(_MOST_FACTOR ** rng.uniform(-1, 1)) if scaled else 1.0
    stretch = np.exp(rng.normal(0, 0.01, 2)) if stretched else np.ones(2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = factor * turn * stretch
    length = max(16, round(side * factor))
    shift = rng.uniform(-0.5, 0.5, 2)
    offset = (length - 1) / 2 + shift - linear @ np.full(2, (side - 1) / 2)
    return np.hstack([linear, offset[:, None]]), (length, length)


def _warp(plane: Levels, matrix: FloatArray, shape: tuple[int, int], method: int) -> Levels:
    """Return the plane moved by a way of its places to those of the result, anti-aliased."""
    shrinks = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if shrinks < _SHRINKS:
        small = tuple(max(8, round(side * shrinks)) for side in plane.shape[:2])
        ratio = np.array([plane.shape[1] / small[1], plane.shape[0] / small[0]])
        centre = (ratio - 1) / 2
        plane = cv2.resize(plane, small[::-1], interpolation=cv2.INTER_AREA)
        linear = matrix[:, :2] * ratio
        matrix = np.hstack([linear, (matrix[:, 2] + matrix[:, :2] @ centre)[:, None]])
    moved = cv2.warpAffine(
        plane, matrix, shape[::-1], flags=method, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)


def _handled(rng: np.random.Generator, copy: Levels) -> tuple[Levels, bool]:
    """Return the copy after some honest steps, and whether grey values moved."""
    names = list(_HANDLING)
    weights = np.array(list(_HANDLING.values()))
    count = int(rng.choice(len(_STEPS), p=_STEPS))
    chosen = rng.choice(names, count, replace=False, p=weights / weights.sum())
    for name in chosen:
        step = IN_PLACE[name][1](rng, float(rng.uniform(_LEAST_HANDLING, _MOST_HANDLING)))
        copy = np.clip(np.rint(step(copy)), 0, _WHITE).astype(np.float32)
    return copy, bool(_GREY.intersection(chosen))


def _curve(copy: Levels, original: Levels) -> FloatArray:
    """Return the mean level of the original for each of the copy's levels, never falling."""
    places = np.clip(copy[::2, ::2].ravel() * (_CURVE_BINS / 256), 0, _CURVE_BINS - 1).astype(int)
    counts = np.bincount(places, minlength=_CURVE_BINS)
    sums = np.bincount(places, weights=original[::2, ::2].ravel(), minlength=_CURVE_BINS)
    present = counts > max(8, copy.size // 20_000)
    if not present.any():
        return np.asarray(np.arange(256, dtype=np.float64))
    middles = (np.flatnonzero(present) + 0.5) * (256 / _CURVE_BINS)
    means = np.maximum.accumulate(sums[present] / counts[present])
    return np.interp(np.arange(256), middles, means)


def _fitted(
    rng: np.random.Generator, copy: Levels, original: Levels, *, grey: bool, kind: str
) -> Levels:
    """Return the copy with its grey values brought back, with an error as a fit leaves it."""
    curve = _curve(copy, original) if grey else np.arange(256, dtype=np.float64)
    phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2.5)
    moved, rest = _CURVE_ERRORS[kind]
    size = abs(rng.normal(0, moved if grey else rest))
    error = size * np.sin(phase + waves * np.pi * np.arange(256) / 128)
    low, high = float(copy.min()), float(copy.max())
    if low >= 0 and high <= _WHITE:
        table = (curve + error).astype(np.float32)
        floor = np.minimum(copy.astype(np.int32), 254)
        part = copy - floor
        return np.asarray(table[floor] * (1 - part) + table[floor + 1] * part, np.float32)
    return np.asarray(copy + np.interp(copy, np.arange(256), curve + error - np.arange(256)))


def _error(rng: np.random.Generator) -> FloatArray:
    """Return a small motion of the canonical patch, as registration leaves it."""
    typical = _PLACE_ERRORS[int(rng.random() >= _RULE_SHARE)]
    angle, stretch = rng.normal(0, typical / 180, 2)
    shift = rng.normal(0, typical, 2)
    linear = np.array([[1 + stretch, -angle], [angle, 1 + stretch]])
    middle = np.full(2, (PATCH - 1) / 2)
    return np.hstack([linear, (middle - linear @ middle + shift)[:, None]])


def _composed(second: FloatArray, first: FloatArray) -> FloatArray:
    linear = second[:, :2] @ first[:, :2]
    return np.hstack([linear, (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]])


def _band(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which canonical places were cut off: bands at one or two sides."""
    cut = np.zeros((PATCH, PATCH), np.bool_)
    if rng.random() >= _CUT_SHARE:
        return cut
    for _ in range(1 + int(rng.integers(2))):
        depth, side = int(rng.integers(2, _DEEPEST_CUT)), int(rng.integers(4))
        turned = np.rot90(cut, side)
        turned[:depth] = True
    return cut


def _share(places: NDArray[np.generic], size: int) -> Plane:
    cells = PATCH // size
    blocks = places.astype(np.float32).reshape(cells, size, cells, size)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _forged(
    rng: np.random.Generator, cut: Levels, inset: int, *, donor: Levels, config: FitConfig
) -> tuple[Levels, NDArray[np.bool_], str, bool]:
    """Return the cut with a forgery in its middle part."""
    families = tuple(name for name in FAMILIES if name not in config.without_families)
    inner = np.s_[inset : cut.shape[0] - inset, inset : cut.shape[1] - inset]
    edited = random_edit(rng, cut[inner], donor=donor, families=families)
    forged, mask = cut.copy(), np.zeros(cut.shape[:2], np.bool_)
    change = float(np.square(edited.levels - cut[inner]).sum())
    forged[inner], mask[inner] = edited.levels, edited.mask
    return forged, mask, edited.family, change >= LEAST_ENERGY


def _donor(rng: np.random.Generator, pool: Collection) -> Levels:
    plane: Levels = pool.planes[int(rng.integers(len(pool.planes)))].astype(np.float32)
    return plane


def _pick(rng: np.random.Generator, pools: Sequence[Collection]) -> tuple[Levels, Collection]:
    weights = np.array([pool.weight for pool in pools])
    pool = pools[int(rng.choice(len(pools), p=weights / weights.sum()))]
    plane = np.rot90(_donor(rng, pool), int(rng.integers(4)))
    return np.ascontiguousarray(plane[:, ::-1] if rng.random() < _EVEN else plane), pool


def _coarse(
    rng: np.random.Generator, record: Plane, plane: Levels, scale: float, *, kind: str
) -> tuple[Plane, tuple[Plane, Plane]]:
    """Return the record's tile means as it keeps them, and from where to where each may lie."""
    means = tile_means(record)
    step = rng.uniform(*_COARSE_STEPS) / 2
    noisy = np.asarray(means + rng.uniform(-step, step, means.shape), np.float32)
    if kind == "uniform":
        return noisy, (noisy, noisy)
    shape = tuple(max(1, round(side * scale / TILE)) for side in plane.shape)
    book, _ = coarse_picture(resampled(plane, (shape[0], shape[1])))
    levels = book.astype(np.float32)
    places = np.searchsorted((levels[1:] + levels[:-1]) / 2, means)
    lower, upper = (one.astype(np.float32)[places] for one in cell_bounds(levels))
    return levels[places], (lower, upper)


def draw(pools: Sequence[Collection], config: FitConfig, rng: np.random.Generator) -> Sample:
    """Return a pair at random.

    1. Cut a part. 2. Perhaps forge it. 3. Handle it honestly. 4. Bring it back, with errors.
    """
    # 1.
    plane, pool = _pick(rng, pools)
    scale = _scale_of(rng, plane)
    top, left, side = _window(rng, plane, PATCH / scale)
    cut = plane[top : top + side, left : left + side]
    inset = int(max(0, (side - PATCH / scale) / 2))
    to_patch = np.array([[scale, 0, 0], [0, scale, 0]], np.float64)
    to_patch[:, 2] = (PATCH - 1) / 2 - scale * (side - 1) / 2
    patch = (PATCH, PATCH)
    record = _warp(cut, to_patch, patch, cv2.INTER_LINEAR)
    # 2.
    forged, mask, family, lasts = cut, np.zeros(cut.shape, np.bool_), "", True
    if rng.random() < config.edited_share:
        donor = _donor(rng, pool)
        forged, mask, family, lasts = _forged(rng, cut, inset, donor=donor, config=config)
    # 3.
    way = np.eye(2, 3)
    shape, original = cut.shape, cut
    moves = rng.random() < config.moved_share
    if moves:
        way, shape = _moved(rng, side)
        method = int(rng.choice(_METHODS))
        forged, original = (_warp(one, way, shape, method) for one in (forged, cut))
    copy, grey = _handled(rng, forged)
    # 4.
    clipped = clipped_places(copy).astype(np.float32)
    copy = _fitted(rng, copy, original, grey=grey, kind=config.coarse)
    back = _composed(to_patch, cv2.invertAffineTransform(way))
    if moves:
        back = _composed(_error(rng), back)
    copy = _warp(copy, back, patch, cv2.INTER_LINEAR)
    coarse, bounds = _coarse(rng, record, plane, scale, kind=config.coarse)
    outside = _band(rng)
    copy = np.where(outside, resampled(coarse, patch), copy)
    shown = _warp(mask.astype(np.float32), to_patch, patch, cv2.INTER_LINEAR)
    shown[outside] = 0
    return Sample(
        record=record,
        copy=np.asarray(copy, np.float32),
        mask=_share(shown, 2),
        clipped=_share(_warp(clipped, back, patch, cv2.INTER_LINEAR), TILE),
        outside=_share(outside, TILE),
        bounds=bounds,
        family=family if shown.any() else "",
        counts=lasts,
    )
