"""Attacks on the mark itself: collusion, a second mark, removal without the key, copying it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.watermark_trials import Sample, key_of, one_frame, payload_of
from medseal.errors import WatermarkCapacityError
from medseal.imaging import MedicalImage, value_range
from medseal.imaging.image import frozen
from medseal.metrics.image_quality import psnr
from medseal.protection.attacks import distortions
from medseal.protection.watermark import PAYLOAD_BYTES, embed, extract
from medseal.protection.watermark.frame import LOCAL_SIDE, box_mean, resample, working_shape
from medseal.protection.watermark.pattern import fold, repeated

__all__ = ["attacks_on_the_mark"]

Plane = NDArray[np.float64]
RELEASES = (2, 8, 32)
_WHITE = 255.0
# Local deviation, in levels, beyond which the mark does not grow.
_LOUDEST = 5
_DENOISING = 6.0
# Images that are attacked alone, by collusion, and by the estimate from many.
_ALONE, _COLLUDED, _TARGETS = 8, 2, 4
# Root of the mean squared error of a mark of 45 dB, in levels.
_STRENGTH = _WHITE * 10 ** (-45 / 20)


def _levels(image: MedicalImage) -> Plane:
    low, high = value_range(image)
    values = image.stored_values[0].astype(np.float64)
    return np.asarray((values - low) / (high - low) * _WHITE, np.float64)


def _with_change(image: MedicalImage, change: Plane) -> MedicalImage:
    """Return the image with levels added to all samples, rounded and clipped."""
    low, high = value_range(image)
    least, most = image.storable_range
    moved = image.stored_values[0] + change[:, :, None] * (high - low) / _WHITE
    values = np.clip(np.rint(moved), least, most).astype(image.stored_values.dtype)
    return image.with_stored_values(frozen(values[None].copy()))


def _bright(image: MedicalImage) -> Plane:
    return np.asarray(_levels(image)[:, :, :3].mean(axis=2))


def _residual(image: MedicalImage) -> Plane:
    """Return what a denoiser takes for noise: the keyless estimate of the mark."""
    return _bright(image) - _bright(distortions.non_local_means(image, strength=_DENOISING))


def _at_strength(estimate: Plane, strength: float = _STRENGTH) -> Plane:
    deviation = float(np.sqrt(np.mean(estimate**2)))
    return estimate * (strength / deviation if deviation > 0 else 0.0)


def _periodic_part(image: MedicalImage) -> Plane:
    """Return the part that repeats with the period of the mark, by who knows all but the key."""
    plane = _bright(image).astype(np.float32)
    working = resample(plane, working_shape(*plane.shape))
    fine = working - box_mean(working, LOCAL_SIDE)
    deviation = np.sqrt(np.maximum(box_mean(fine * fine, LOCAL_SIDE), 0)) + 1
    tile = fold(fine / deviation) / np.maximum(fold(np.ones_like(fine)), 1)
    shape = (working.shape[0], working.shape[1])
    periodic = repeated(tile.astype(np.float32), shape) * np.minimum(deviation, _LOUDEST)
    return np.asarray(resample(periodic, (plane.shape[0], plane.shape[1])), np.float64)


def _mean_image(images: Sequence[MedicalImage]) -> MedicalImage:
    total = np.mean([image.stored_values.astype(np.float64) for image in images], axis=0)
    values = np.rint(total).astype(images[0].stored_values.dtype)
    return images[0].with_stored_values(frozen(values))


class _Tally:
    """Counts of what became of the mark, and the quality that the attack left."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[bool, float]]] = defaultdict(list)

    def add(self, name: str, *, is_read: bool, cover: MedicalImage, copy: MedicalImage) -> None:
        """Add one trial; quality is against the unmarked image."""
        low, high = value_range(cover)
        ratio = psnr(cover.stored_values, copy.stored_values, data_range=high - low)
        self._rows[name].append((is_read, min(ratio, 99.0)))

    def result(self) -> dict[str, Any]:
        return {
            name: {
                "trials": len(rows),
                "still_read": sum(is_read for is_read, _ in rows),
                "psnr_db_of_the_attacked": fmean(ratio for _, ratio in rows),
            }
            for name, rows in self._rows.items()
        }


def _single(tally: _Tally, cover: MedicalImage, name: str, other: MedicalImage | None) -> None:
    """Attack one marked image by all that needs no other release of it."""
    key, payload = key_of(name), payload_of(name, PAYLOAD_BYTES)
    marked = embed(cover, payload, key)
    stranger = key_of(f"{name}/stranger")

    def subtract(estimate: Plane) -> MedicalImage:
        return _with_change(marked, -estimate)

    second = embed(marked, payload_of(f"{name}/second", PAYLOAD_BYTES), stranger)
    attacks: dict[str, Callable[[], MedicalImage]] = {
        "a second mark with another key": lambda: second,
        "three more marks with other keys": lambda: embed(
            embed(second, bytes(8), key_of(f"{name}/third")), bytes(8), key_of(f"{name}/fourth")
        ),
        "denoised": lambda: distortions.non_local_means(marked, strength=_DENOISING),
        "residual of a denoiser subtracted, as strong as a mark": lambda: subtract(
            _at_strength(_residual(marked))
        ),
        "residual of a denoiser subtracted twice": lambda: subtract(2 * _residual(marked)),
        "periodic part subtracted": lambda: subtract(_periodic_part(marked)),
        "periodic part subtracted, as strong as a mark": lambda: subtract(
            _at_strength(_periodic_part(marked))
        ),
        "periodic part subtracted, three times as strong": lambda: subtract(
            _at_strength(_periodic_part(marked), 3 * _STRENGTH)
        ),
    }
    for attack, make in attacks.items():
        copy = make()
        tally.add(attack, is_read=extract(copy, key).payload == payload, cover=cover, copy=copy)
    found = extract(second, stranger).payload is not None
    tally.add("the second mark itself", is_read=found, cover=cover, copy=second)
    if other is not None:
        estimate = cv2.resize(_residual(marked), (other.columns, other.rows))
        for label, strength in (("", 1), (", three times as strong", 3)):
            transplant = _with_change(other, _at_strength(estimate, strength * _STRENGTH))
            tally.add(
                f"mark copied onto another image by its residual{label}",
                is_read=extract(transplant, key).payload == payload,
                cover=other,
                copy=transplant,
            )
        exact = _bright(marked) - _bright(cover)
        transplant = _with_change(other, cv2.resize(exact, (other.columns, other.rows)))
        tally.add(
            "mark copied by who has the unmarked image too",
            is_read=extract(transplant, key).payload == payload,
            cover=other,
            copy=transplant,
        )


def _collusion(tally: _Tally, cover: MedicalImage, name: str, releases: Sequence[int]) -> None:
    """Mix releases of one image that differ in their payloads."""
    key = key_of(name)
    payloads = [payload_of(f"{name}/release {i}", PAYLOAD_BYTES) for i in range(max(releases))]
    marked = [embed(cover, payload, key) for payload in payloads]
    for count in releases:
        copy = _mean_image(marked[:count])
        found = extract(copy, key).payload
        label = f"mean of {count} releases of one image"
        tally.add(
            f"{label}: one of them is named",
            is_read=found in payloads[:count],
            cover=cover,
            copy=copy,
        )
        tally.add(
            f"{label}: one is named that took no part",
            is_read=found is not None and found not in payloads[:count],
            cover=cover,
            copy=copy,
        )


def _estimated(tally: _Tally, covers: dict[str, MedicalImage], releases: Sequence[int]) -> None:
    """Subtract the mean residual of many images that were released under one key."""
    key = key_of("one key for many images")
    # Of one shape, so that the pattern of the key lies at the same places in all of them.
    shapes = Counter((cover.rows, cover.columns) for cover in covers.values())
    commonest = shapes.most_common(1)[0][0]
    estimates, targets = [], []
    for name, cover in covers.items():
        if (cover.rows, cover.columns) == commonest:
            payload = payload_of(name, PAYLOAD_BYTES)
            marked = embed(cover, payload, key)
            estimates.append(_residual(marked))
            targets.append((cover, marked, payload))
    for count in releases:
        if count > len(estimates):
            continue
        estimate = _at_strength(np.mean(estimates[:count], axis=0))
        for cover, marked, payload in targets[:_TARGETS]:
            copy = _with_change(marked, -estimate)
            tally.add(
                f"mean residual of {count} images under one key subtracted",
                is_read=extract(copy, key).payload == payload,
                cover=cover,
                copy=copy,
            )


def attacks_on_the_mark(
    items: Sequence[Sample], *, releases: Sequence[int] = RELEASES, many: int = 32
) -> dict[str, Any]:
    """Return for each attack how often the mark is still read, and the quality it leaves.

    Parameters
    ----------
    items
        Test images; the first eight are attacked alone, the first two by collusion.
    releases
        Numbers of releases that are mixed.
    many
        Images that are marked with one key for the estimate of its pattern.
    """
    tally = _Tally()
    covers = {}
    for item in items:
        cover = one_frame(item.path)
        try:
            embed(cover, bytes(PAYLOAD_BYTES), key_of(item.name))
        except WatermarkCapacityError:
            continue
        covers[item.name] = cover
    names = list(covers)
    for index, name in enumerate(names[:_ALONE]):
        following = covers[names[(index + 1) % len(names)]]
        other = following if following is not covers[name] else None
        _single(tally, covers[name], name, other)
    for name in names[:_COLLUDED]:
        _collusion(tally, covers[name], name, releases)
    _estimated(tally, dict(list(covers.items())[:many]), releases)
    return tally.result()
