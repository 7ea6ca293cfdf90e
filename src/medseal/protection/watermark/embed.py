"""Add a keyed block-DCT mark to the stored values of every frame, within 45 dB."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.watermark.carrier import BLOCK, TILE, Carrier, carrier
from medseal.protection.watermark.extract import extract, folded_frame
from medseal.protection.watermark.levels import FULL_LEVEL, Levels
from medseal.protection.watermark.masking import Plane, fold, high_pass, masking, strips
from medseal.protection.watermark.payload import check_key, check_payload, encode

__all__ = ["DEFAULT_PSNR_DB", "MIN_SIDE", "embed"]

DEFAULT_PSNR_DB = 45.0
_PSNR_LIMITS_DB = (30.0, 70.0)
# Rows and columns below which a frame does not hold every coded bit.
MIN_SIDE = 64
# Loss of structural similarity that the mark may cause, the smallest first: 0.01 with a margin for
# the difference between estimate and index. A small image has too few places to be that discreet,
# and where the payload cannot be read back the next one is tried; the peak signal-to-noise ratio
# holds in any case.
_SSIM_LOSSES = (0.0095, 0.02, 0.05)
_SMALL_PIXELS = 384 * 384
# Steps that settle the energy before rounding, and after it.
_BALANCE_STEPS = 4
_ROUNDING_STEPS = 8
_BISECTIONS = 50
_TINY = float(np.finfo(np.float32).tiny)
# How close to the allowed distortion is close enough.
_TOLERANCE = 0.002
# Times the reader's answer to the marked frame is fed back.
_FEEDBACK_ROUNDS = 2
# A larger frame has margin to spare without.
_FEEDBACK_PIXELS = 2**21


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    """Distortion that one frame may take.

    Attributes
    ----------
    error
        Mean squared error in squared levels.
    ssim_loss
        One minus the structural similarity index.
    """

    error: float
    ssim_loss: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Host:
    """What one frame offers, gathered over all tiles.

    Attributes
    ----------
    shape, visibility
        (rows, columns), see `Strength`.
    heard
        (128, 128), what the reader hears of the host itself.
    gain
        (128, 128), what it hears of one unit of the mark at each place.
    energy, loss
        (128, 128), mean squared error and structural loss of one unit of it at each place, both
        relative to what is allowed for the frame.
    """

    shape: Plane
    visibility: Plane
    heard: Plane
    gain: Plane
    energy: Plane
    loss: Plane


def _host(frame: StoredValues, levels: Levels, allowed: _Allowed) -> _Host:
    rows, columns = frame.shape[:2]
    shape, visibility = np.empty((2, rows, columns), np.float32)
    heard, gain, energy, loss = np.zeros((4, TILE, TILE), np.float32)
    for surrounded, inner, here in strips(rows):
        strength = masking(levels.plane(frame[surrounded]))
        part = strength.shape[inner]
        shape[here], visibility[here] = part, strength.visibility[inner]
        heard += fold(strength.heard[inner])
        gain += fold(strength.weight[inner] * part)
        energy += fold(part * part)
        loss += fold(part * part * visibility[here])
    count = rows * columns
    spread = levels.marked_samples / levels.counted_samples
    return _Host(
        shape=shape,
        visibility=visibility,
        heard=heard,
        gain=gain,
        energy=energy * np.float32(spread / (count * allowed.error)),
        loss=loss * np.float32(1 / (count * allowed.ssim_loss)),
    )


@lru_cache(maxsize=1)
def _frequency_gain() -> Plane:
    """Return the part of each block-DCT coefficient that the reader's high-pass leaves: (14,)."""
    pattern = carrier(bytes(32))
    ones = np.ones(pattern.bit_of.shape, np.float32)
    tile = pattern.write(ones)
    around = np.pad(tile, TILE, mode="wrap")
    filtered = high_pass(around)[TILE:-TILE, TILE:-TILE]
    return np.asarray(pattern.read(np.ascontiguousarray(filtered)).mean(axis=(0, 1)), np.float32)


def _block_means(tile: Plane) -> Plane:
    blocks = tile.reshape(TILE // BLOCK, BLOCK, TILE // BLOCK, BLOCK)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _amplitudes(
    heard: NDArray[np.float64],
    response: NDArray[np.float64],
    cost: NDArray[np.float64],
    budget: float,
) -> NDArray[np.float64]:
    """Return the least amplitudes that lift every bit to one common margin, the highest affordable.

    Informed embedding: where the host already speaks for a bit little is added, where it speaks
    against it more.

    Parameters
    ----------
    heard
        (319,): what the reader hears from the host for the wanted bits and the sync; negative
        where the host speaks against.
    response
        (319,): what it hears of amplitude 1.
    cost
        (319,): energy of amplitude 1.
    budget
        Energy to spend.
    """
    safe = np.maximum(response, _TINY)
    # Where not even a margin of nothing is affordable, the worst bits are helped and the code
    # corrects the others.
    low, high = -float(np.abs(heard).max()), 1.0

    def needed(margin: float) -> NDArray[np.float64]:
        return np.asarray(np.maximum(margin * response / response.mean() - heard, 0) / safe)

    while np.sum(needed(high) ** 2 * cost) < budget:
        high *= 2
    for _ in range(_BISECTIONS):
        margin = (low + high) / 2
        low, high = (margin, high) if np.sum(needed(margin) ** 2 * cost) < budget else (low, margin)
    return needed(low)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """The linear part of the embedding: sync first, then the coded bits, (319,) each.

    Attributes
    ----------
    signs
        Wanted sign of what the reader hears.
    response
        What the reader hears of amplitude 1.
    cost
        Share of the allowed distortion that amplitude 1 takes.
    """

    pattern: Carrier
    signs: NDArray[np.float64]
    response: NDArray[np.float64]
    cost: NDArray[np.float64]

    def heard(self, tile: Plane) -> NDArray[np.float64]:
        """Return what the reader hears in a folded tile, positive where it is as wanted."""
        bits, sync = self.pattern.sum_by_bit(self.pattern.read(tile))
        return np.concatenate([[sync], bits]) * self.signs

    def tile(self, amplitude: NDArray[np.float64]) -> Plane:
        """Return the tile in which every carrier of a bit has the bit's amplitude and sign."""
        places = self.pattern.bit_of + 1
        return self.pattern.write((amplitude * self.signs)[places].astype(np.float32))


def _plan(host: _Host, signs: NDArray[np.float64], pattern: Carrier) -> _Plan:
    def by_bit(coefficients: Plane) -> NDArray[np.float64]:
        bits, sync = pattern.sum_by_bit(coefficients)
        return np.concatenate([[sync], bits])

    unit = np.ones(pattern.bit_of.shape, np.float32)
    worst = np.maximum(_block_means(host.energy), _block_means(host.loss))
    response = by_bit(_block_means(host.gain)[:, :, None] * _frequency_gain() * unit)
    if not response.min() > 0:
        raise WatermarkCapacityError(
            "the image is too flat to carry a watermark; choose one with more texture"
        )
    return _Plan(
        pattern=pattern, signs=signs, response=response, cost=by_bit(worst[:, :, None] * unit)
    )


def _affordable(host: _Host, plan: _Plan, heard: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the amplitudes whose tile takes just what is allowed of both distortions."""
    budget = 1.0
    for _ in range(_BALANCE_STEPS):
        amplitude = _amplitudes(heard, plan.response, plan.cost, budget)
        squared = plan.tile(amplitude) ** 2
        used = max(float(np.vdot(squared, host.energy)), float(np.vdot(squared, host.loss)))
        if abs(used - 1) < _TOLERANCE:
            break
        budget /= max(used, _TINY)
    return amplitude


def _add_scaled(
    frame: StoredValues, host: _Host, tile: Plane, levels: Levels
) -> tuple[StoredValues, float, float]:
    """Return the frame with the mark added, its mean squared error and its structural loss."""
    rows, columns = host.shape.shape
    wide = np.tile(tile, (1, -(-columns // TILE)))[:, :columns]
    marked = np.empty_like(frame)
    error = loss = 0.0
    for _, _, here in strips(rows):
        height = here.stop - here.start
        change = np.tile(wide, (-(-height // TILE), 1))[:height] * host.shape[here]
        marked[here] = levels.add(frame[here], change)
        squared = levels.squared_error(frame[here], marked[here])
        error += float(squared.sum())
        loss += float(np.vdot(squared, host.visibility[here]))
    return marked, error / (rows * columns), loss / (rows * columns)


def _add(
    frame: StoredValues, host: _Host, tile: Plane, levels: Levels, allowed: _Allowed
) -> StoredValues:
    """Return the marked frame, scaled so that the rounded values keep both limits."""
    scale, best = 1.0, frame
    highest = 0.0
    for _ in range(_ROUNDING_STEPS):
        marked, error, loss = _add_scaled(frame, host, tile * np.float32(scale), levels)
        used = max(error / allowed.error, loss / allowed.ssim_loss)
        if highest < used <= 1:
            best, highest = marked, used
        if 1 - _TOLERANCE < used <= 1 or used == 0:
            break
        scale *= float(np.sqrt((1 - _TOLERANCE / 2) / used))
    return best


def _marked_frame(
    frame: StoredValues,
    levels: Levels,
    signs: NDArray[np.float64],
    pattern: Carrier,
    allowed: _Allowed,
) -> StoredValues:
    host = _host(frame, levels, allowed)
    plan = _plan(host, signs, pattern)
    heard = plan.heard(host.heard)
    rounds = _FEEDBACK_ROUNDS if host.shape.size <= _FEEDBACK_PIXELS else 0
    for feedback in range(rounds + 1):
        amplitude = _affordable(host, plan, heard)
        marked = _add(frame, host, plan.tile(amplitude), levels, allowed)
        if feedback < rounds:
            # What is heard beyond the linear answer (neighbouring carriers, moved weights,
            # rounding) belongs to the host in the next round.
            heard = plan.heard(folded_frame(marked, levels)) - amplitude * plan.response
    return marked


def _marked(
    image: MedicalImage,
    levels: Levels,
    signs: NDArray[np.float64],
    pattern: Carrier,
    allowed: _Allowed,
) -> MedicalImage:
    values = np.empty_like(image.stored_values)
    for index, frame in enumerate(image.stored_values):
        try:
            values[index] = _marked_frame(frame, levels, signs, pattern, allowed)
        except WatermarkCapacityError:
            if image.frames == 1:
                raise
            values[index] = frame  # an empty slice of a volume; the others speak for it
    return image.with_stored_values(frozen(values))


def embed(
    image: MedicalImage, payload: bytes, key: bytes, *, psnr_db: float = DEFAULT_PSNR_DB
) -> MedicalImage:
    """Return a copy that carries an invisible payload in its stored values.

    Every frame that can hold it carries the whole payload, so that a single exported frame still
    leads to its record; flat air is left as it is. The same image, payload and key give the same
    copy.

    Parameters
    ----------
    image
        8 to 16 bit and beyond, signed or not, grey or colour, at least 64 x 64.
    payload
        8 bytes.
    key
        32 bytes.
    psnr_db
        Least peak signal-to-noise ratio of each frame over the value range (VOI window) after
        rounding and clipping, in decibels.

    Raises
    ------
    WatermarkKeyError
        Key or payload has the wrong length.
    WatermarkCapacityError
        The image is too small or too flat: the payload could not be read back.
    UnsupportedImageError
        The stored values are palette indices.
    ConfigurationError
        `psnr_db` is out of range.
    """
    check_key(key)
    check_payload(payload)
    least_db, most_db = _PSNR_LIMITS_DB
    if not least_db <= psnr_db <= most_db:
        raise ConfigurationError(f"psnr_db lies between {least_db:g} and {most_db:g}")
    if min(image.rows, image.columns) < MIN_SIDE:
        raise WatermarkCapacityError(
            f"an image below {MIN_SIDE} x {MIN_SIDE} cannot carry a watermark; "
            f"this is {image.rows} x {image.columns}"
        )
    levels = Levels.of(image)
    signs = np.concatenate([[1.0], encode(payload, key) * 2.0 - 1.0])
    error = FULL_LEVEL**2 * 10 ** (-psnr_db / 10)
    is_small = image.rows * image.columns < _SMALL_PIXELS
    for ssim_loss in _SSIM_LOSSES[int(is_small) :]:
        allowed = _Allowed(error=error, ssim_loss=ssim_loss)
        marked = _marked(image, levels, signs, carrier(key), allowed)
        if extract(marked, key).payload == payload:
            return marked
    raise WatermarkCapacityError(
        f"the image is too small or too flat to carry a watermark at {psnr_db:g} dB"
    )
