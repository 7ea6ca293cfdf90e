"""Add a keyed mark to the stored values of every frame, within 45 dB and a similarity of 0.99."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.watermark import inference
from medseal.protection.watermark.fidelity import FULL_LEVEL, similarity
from medseal.protection.watermark.frame import (
    Plane,
    copy_maps,
    host_maps,
    host_views,
    resample,
    visibility,
    working_shape,
)
from medseal.protection.watermark.inference import Networks
from medseal.protection.watermark.levels import LUMA, Levels
from medseal.protection.watermark.pattern import Pattern, fold, pattern, repeated
from medseal.protection.watermark.payload import (
    check_key,
    check_payload,
    encode,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.residual import Residual, differences, native, quantised

__all__ = ["DEFAULT_PSNR_DB", "MIN_SIDE", "Marked", "embed", "mark"]

DEFAULT_PSNR_DB = 45.0
_PSNR_LIMITS_DB = (30.0, 70.0)
# Rows and columns below which a frame is refused.
MIN_SIDE = 64
# Structural similarity that is kept, with a margin for rounding. A small image has too few places
# to be that discreet: where the payload cannot be read back the next is tried. The peak
# signal-to-noise ratio holds in any case.
_SIMILARITIES = (0.9901, 0.98, 0.95)
_SMALL_SIDE = 384
# Mean over deviation of the coded bits, as the reader hears them: from the first on the code is
# sure; down to the second it is tried.
_SURE_MARGIN, _LEAST_MARGIN = 0.8, 0.6
# Steps that settle the amplitude, each with rounded values; close enough; least and most factor.
_STEPS = 6
_CLOSE = 0.03
_FACTOR_LIMITS = (0.2, 4.0)
_SHRINK = 0.985
_MAX_SHRINKS = 60
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marked:
    """A marked image and how it was marked.

    Attributes
    ----------
    image
        The copy.
    residuals
        What was added to each frame before clipping; None where values are no whole numbers.
    """

    image: MedicalImage
    residuals: tuple[Residual, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cover:
    """One frame, and the shape of its mark in native size.

    Attributes
    ----------
    frame, levels
        Stored values and their mapping.
    map
        Of the mark.
    unit
        (rows, columns), the map in native size.
    shares
        Levels that each marked sample takes for one level of brightness.
    """

    frame: StoredValues
    levels: Levels
    map: NDArray[np.int8]
    unit: Plane
    shares: tuple[float, ...]

    def residual(self, amplitude: float) -> Residual:
        """Return the residual of `amplitude` levels of brightness for one unit of the map."""
        stored = amplitude * self.levels.level
        return Residual.of(self.map, [stored * share for share in self.shares])

    def approximate(self, amplitude: float) -> list[Plane]:
        """Return about what each sample changes by, in levels: rounded, but not clipped."""
        changes = []
        for share in self.shares:
            if self.frame.dtype.kind == "f":
                changes.append(self.unit * np.float32(amplitude * share))
            else:
                stored = self.unit * np.float32(amplitude * share * self.levels.level)
                np.rint(stored, out=stored)
                stored *= np.float32(1 / self.levels.level)
                changes.append(stored)
        return changes

    def marked(self, amplitude: float) -> StoredValues:
        """Return the frame with the mark added."""
        result = self.frame.copy()
        count = self.levels.marked_samples
        if result.dtype.kind == "f":
            stored = [amplitude * share * self.levels.level for share in self.shares]
            added = self.unit[:, :, None] * np.array(stored)
            result[:, :, :count] = self.levels.add(result[:, :, :count], added)
            return result
        for rows, whole in differences(self.residual(amplitude), result.shape[:2]):
            result[rows, :, :count] = self.levels.add(result[rows, :, :count], whole)
        return result


def _shares(frame: StoredValues, levels: Levels, unit: Plane) -> tuple[float, ...]:
    """Return how many levels each sample takes for one level of brightness.

    Those that cost least similarity: the dark, even blue of a retina would else lose more than
    red and green together.
    """
    if levels.marked_samples == 1:
        return (1.0,)
    energy = unit * unit
    costs = [
        float((energy * visibility(plane)[1]).mean()) + _TINY
        for plane in levels.sample_planes(frame)
    ]
    raw = [weight / cost for weight, cost in zip(LUMA, costs, strict=True)]
    brightness = sum(weight * share for weight, share in zip(LUMA, raw, strict=True))
    return tuple(share / brightness for share in raw)


def _distortion(
    cover: _Cover, planes: Sequence[Plane], changes: Sequence[Plane], *, is_estimate: bool
) -> tuple[float, float]:
    """Return mean squared error in squared levels, and structural similarity, the least of all."""
    error = sum(float(np.mean(change * change, dtype=np.float64)) for change in changes)
    pairs = list(zip(planes, changes, strict=True))
    each = [similarity(plane, change, is_estimate=is_estimate) for plane, change in pairs]
    if cover.levels.low < 0:
        # On signed values as they are stored, too: there the index is stricter about zero.
        shift = np.float32(cover.levels.low / cover.levels.level)
        stored = [
            similarity(plane + shift, change, is_estimate=is_estimate) for plane, change in pairs
        ]
        each = [min(both) for both in zip(each, stored, strict=True)]
    alike = sum(each) / len(each)
    if len(changes) > 1:
        alike = min(
            alike, similarity(_weighted(planes), _weighted(changes), is_estimate=is_estimate)
        )
    return error / cover.levels.counted_samples, alike


def _weighted(planes: Sequence[Plane]) -> Plane:
    total = sum(np.float32(weight) * plane for weight, plane in zip(LUMA, planes, strict=True))
    return np.asarray(total, np.float32)


def _settled(cover: _Cover, *, allowed_error: float, least_similarity: float) -> float:
    """Return the largest amplitude that keeps both limits after rounding; 0 if there is none.

    1. An estimate from some of the places. 2. The least step down from there that keeps both.
    """
    levels = cover.levels
    planes = levels.sample_planes(cover.frame)
    spread = sum(share * share for share in cover.shares) / levels.counted_samples
    energy = float(np.mean(cover.unit * cover.unit, dtype=np.float64)) * spread
    if energy <= 0:
        return 0.0
    # 1.
    amplitude = float(np.sqrt(allowed_error / energy))
    for _ in range(_STEPS):
        changes = cover.approximate(amplitude)
        error, alike = _distortion(cover, planes, changes, is_estimate=True)
        room = min(
            allowed_error / max(error, _TINY), (1 - least_similarity) / max(1 - alike, _TINY)
        )
        amplitude *= min(max(float(np.sqrt(room)), _FACTOR_LIMITS[0]), _FACTOR_LIMITS[1])
        if abs(room - 1) < _CLOSE:
            break
    # 2.
    for _ in range(_MAX_SHRINKS):
        changes = levels.changes(cover.frame, cover.marked(amplitude))
        error, alike = _distortion(cover, planes, changes, is_estimate=False)
        if error <= allowed_error and alike >= least_similarity:
            return amplitude
        amplitude *= _SHRINK
    return 0.0


def _margin(heard: NDArray[np.float64], coded: NDArray[np.uint8]) -> float:
    """Return the mean of the coded bits as heard, in units of their deviation."""
    signed = heard * (coded * 2.0 - 1.0)
    return float(signed.mean() / max(float(signed.std()), _TINY))


def _is_read(
    heard: NDArray[np.float64], coded: NDArray[np.uint8], payload: bytes, key: bytes
) -> bool:
    """Return whether the reader decodes the payload from what it hears."""
    margin = _margin(heard, coded)
    if margin >= _SURE_MARGIN or margin < _LEAST_MARGIN:
        return margin >= _SURE_MARGIN
    (message,) = most_likely_messages(heard[None])
    return open_message(message, key) == payload


def _heard(networks: Networks, keyed: Pattern, plane: Plane) -> NDArray[np.float64]:
    """Return what the reader hears of each coded bit in a plane of levels: (808,)."""
    frame = resample(plane, working_shape(*plane.shape))
    return keyed.sums(fold(networks.estimate(copy_maps(frame))))


def _cover(
    frame: StoredValues, levels: Levels, payload: bytes, key: bytes
) -> tuple[_Cover, NDArray[np.uint8]]:
    """Return the cover with the shape of its mark, and the codeword that it carries."""
    networks, keyed = inference.load(), pattern(key)
    plane = levels.plane(frame)
    shape = working_shape(*plane.shape)
    views = host_views(resample(plane, shape))
    heard = keyed.heard(networks.estimate(copy_maps(view)) for view in views)
    coded = encode(payload, key, heard)
    residual = networks.residual(host_maps(plane, shape), repeated(keyed.tile(coded), shape))
    small = quantised(residual)
    unit = native(small, (plane.shape[0], plane.shape[1]))
    shares = _shares(frame, levels, unit)
    return _Cover(frame=frame, levels=levels, map=small, unit=unit, shares=shares), coded


def _mark_frame(
    frame: StoredValues, levels: Levels, payload: bytes, key: bytes, *, psnr_db: float
) -> tuple[StoredValues, Residual, bool]:
    """Return the marked frame, its residual, and whether it is read back."""
    cover, coded = _cover(frame, levels, payload, key)
    allowed = FULL_LEVEL**2 * 10 ** (-psnr_db / 10)
    is_small = max(frame.shape[:2]) < _SMALL_SIDE
    amplitude, is_read, marked = 0.0, False, frame
    for least in _SIMILARITIES if is_small else _SIMILARITIES[:1]:
        amplitude = _settled(cover, allowed_error=allowed, least_similarity=least)
        marked = cover.marked(amplitude)
        heard = _heard(inference.load(), pattern(key), levels.plane(marked))
        is_read = _is_read(heard, coded, payload, key)
        if is_read:
            break
    return marked, cover.residual(amplitude), is_read


def mark(
    image: MedicalImage, payload: bytes, key: bytes, *, psnr_db: float = DEFAULT_PSNR_DB
) -> Marked:
    """Return a copy that carries a payload in every frame that can hold it, and what was added.

    Parameters, errors and sources as for `embed`.
    """
    check_key(key)
    check_payload(payload)
    if not _PSNR_LIMITS_DB[0] <= psnr_db <= _PSNR_LIMITS_DB[1]:
        raise ConfigurationError(
            f"psnr_db must lie between {_PSNR_LIMITS_DB[0]:g} and {_PSNR_LIMITS_DB[1]:g}"
        )
    if min(image.rows, image.columns) < MIN_SIDE:
        raise WatermarkCapacityError(
            f"{image.rows} x {image.columns} is too small for a watermark; the least is "
            f"{MIN_SIDE} x {MIN_SIDE}"
        )
    levels = Levels.of(image)
    frames, residuals, read = [], [], []
    for frame in image.stored_values:
        marked, residual, is_read = _mark_frame(frame, levels, payload, key, psnr_db=psnr_db)
        frames.append(marked)
        residuals.append(residual)
        read.append(is_read)
    if not any(read):
        raise WatermarkCapacityError(
            "the image is too flat or too small to carry a watermark that can be read again"
        )
    whole = image.stored_values.dtype.kind != "f"
    return Marked(
        image=image.with_stored_values(frozen(np.stack(frames))),
        residuals=tuple(residuals) if whole else None,
    )


def embed(
    image: MedicalImage, payload: bytes, key: bytes, *, psnr_db: float = DEFAULT_PSNR_DB
) -> MedicalImage:
    """Return a copy that carries a payload in every frame that can hold it.

    Parameters
    ----------
    image
        Integer or float stored values of any depth, one or three samples, at least 64 x 64.
    payload
        8 bytes.
    key
        32 bytes, secret.
    psnr_db
        Least peak signal-to-noise ratio over the value range, 30 to 70 dB. Structural similarity
        stays at 0.99 or more; below a long side of 384 at 0.95, if less is not read back.

    Returns
    -------
    MedicalImage
        Same shape and dtype; every change fits the storable range.

    Raises
    ------
    WatermarkKeyError
        Key or payload has the wrong length.
    WatermarkCapacityError
        The image is too small, constant or too flat; nothing is returned unmarked.
    UnsupportedImageError
        The stored values are palette indices.
    ConfigurationError
        `psnr_db` is out of range.
    WeightsError
        The networks are missing or damaged.
    """
    return mark(image, payload, key, psnr_db=psnr_db).image
