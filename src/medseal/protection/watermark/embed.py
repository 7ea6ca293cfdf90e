"""Add a keyed mark to the stored values of every frame, within 45 dB and a similarity of 0.99."""

from dataclasses import dataclass

import numpy as np

from medseal.errors import ConfigurationError, WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.attacks import compression
from medseal.protection.watermark import spread
from medseal.protection.watermark.cover import Cover, Limits, settled
from medseal.protection.watermark.endurance import outlived
from medseal.protection.watermark.frame import FRAME_SIDE, SMALL_FRAME_SIDE, frame_side
from medseal.protection.watermark.joint import joint
from medseal.protection.watermark.levels import FULL_LEVEL, Levels
from medseal.protection.watermark.payload import check_key, check_payload
from medseal.protection.watermark.residual import Residual

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
# The working frames of a small image are compared by what is left after JPEG of this quality, and
# in a part of this share of a side, whose margin is that share of the whole.
_ROUGH_QUALITY, _PART = 40, 0.7


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
class _MarkedFrame:
    """A frame with the spread mark in one working frame.

    Attributes
    ----------
    side
        Of the working frame.
    cover, amplitude, limits
        The shape of the mark, its strength, and the limits that it keeps.
    marked
        (rows, columns, samples), stored values.
    heard
        What the reader hears of it.
    is_read
        Whether that is the payload.
    """

    side: int
    cover: Cover
    amplitude: float
    limits: Limits
    marked: StoredValues
    heard: spread.Heard
    is_read: bool

    @classmethod
    def of(
        cls,
        frame: StoredValues,
        levels: Levels,
        payload: bytes,
        key: bytes,
        *,
        psnr_db: float,
        side: int,
    ) -> "_MarkedFrame":
        """Mark a frame within the strictest limits in which it is read back, else the loosest."""
        plane = levels.plane(frame)
        coded = spread.codeword(plane, payload, key, side=side)
        cover = Cover.of(frame, levels, spread.residual(plane, coded, key, side=side))
        is_small = max(frame.shape[:2]) < _SMALL_SIDE
        for similarity in _SIMILARITIES if is_small else _SIMILARITIES[:1]:
            limits = Limits(error=FULL_LEVEL**2 * 10 ** (-psnr_db / 10), similarity=similarity)
            amplitude, marked = settled(cover, limits)
            heard = spread.Heard.of(levels.plane(marked), coded, key, side=side)
            is_read = heard.is_read(payload, key)
            if is_read:
                break
        return cls(
            side=side,
            cover=cover,
            amplitude=amplitude,
            limits=limits,
            marked=marked,
            heard=heard,
            is_read=is_read,
        )

    def strength(self, key: bytes) -> float:
        """Return how much of the mark compression and the loss of parts leave."""
        copy = compression.jpeg(self.cover.levels.plane(self.marked), quality=_ROUGH_QUALITY)
        rough = spread.Heard.of(copy, self.heard.coded, key, side=self.side)
        return min(rough.margin, _PART * self.heard.margin)


def _mark_frame(
    frame: StoredValues, levels: Levels, payload: bytes, key: bytes, *, psnr_db: float
) -> tuple[StoredValues, Residual, bool]:
    """Return the marked frame, its residual, and whether it is read back."""

    def spread_mark(side: int) -> _MarkedFrame:
        return _MarkedFrame.of(frame, levels, payload, key, psnr_db=psnr_db, side=side)

    own = frame_side(frame.shape[0], frame.shape[1])
    best = spread_mark(own)
    if own == SMALL_FRAME_SIDE:
        other = spread_mark(FRAME_SIDE)
        if other.strength(key) > best.strength(key):
            best = other
    if best.heard.margin < spread.CLEAR_MARGIN:
        shares, limits = best.cover.shares, best.limits
        both = joint(frame, levels, payload, key, shares=shares, limits=limits)
        # The quantised mark takes most of what both may cost, and is lost in a part.
        if both is not None:
            alone = outlived(
                levels.plane(best.marked), payload, key, side=best.side, quantised=False
            )
            joined = outlived(levels.plane(both.marked), payload, key, side=own, quantised=True)
            if joined > alone:
                return both.marked, both.residual, True
    return best.marked, best.cover.residual(best.amplitude), best.is_read


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
