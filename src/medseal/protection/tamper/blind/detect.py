"""The blind opinion whether and where an image was forged, with nothing to compare it to.

A network replaces no key, no signature and no digest: what it finds is a reason to look, what it
does not find proves nothing. It decides only where there is no record, and says so.
"""

import cv2
import numpy as np

from medseal.imaging import MedicalImage
from medseal.protection.tamper.blind.inference import Model, load
from medseal.protection.tamper.blind.plane import Plane, plane_of
from medseal.protection.tamper.blind.report import BlindReport, OperatingPoint
from medseal.protection.tamper.blind.scan import LEAST_SIDE, Scan, scanned

__all__ = ["detect"]

# Within this distance something must vary for a change to leave a trace.
_FLAT_SIDE = 9
_UNKNOWN = 0.5
# Of places side by side, below which an image is noise: .19 and more on 294 training images, the
# lowest of them dithered.
_LEAST_CORRELATION = 0.1


def _is_flat(plane: Plane) -> bool:
    return bool(plane.max() - plane.min() < 1)


def _is_noise(plane: Plane) -> bool:
    """Return whether rows or columns side by side are as good as unrelated."""
    apart = plane - np.float32(plane.mean())
    for one, other in ((apart[1:], apart[:-1]), (apart[:, 1:], apart[:, :-1])):
        power = float(np.sqrt(np.square(one).mean() * np.square(other).mean()))
        if float((one * other).mean()) < _LEAST_CORRELATION * power:
            return True
    return False


def _reliability(plane: Plane, scan: Scan) -> Plane:
    trusted = 1 / (1 + np.exp(-scan.trusted))
    around = np.ones((_FLAT_SIDE, _FLAT_SIDE), np.uint8)
    varies = cv2.dilate(plane, around) > cv2.erode(plane, around)
    return np.asarray(np.where(varies, trusted, 0), np.float32)


def _report(model: Model, plane: Plane, **fields: object) -> BlindReport:
    """Return a report; without scan and score it abstains with an empty mask."""
    calibration = model.calibration
    point = OperatingPoint(
        threshold=calibration.threshold, false_alarm_rate=calibration.false_alarm_rate
    )
    empty = {
        "score": _UNKNOWN,
        "mask": np.zeros(plane.shape, np.bool_),
        "reliability": np.zeros(plane.shape, np.float32),
        "flagged": False,
        "frame": 0,
    }
    values = empty | fields
    return BlindReport(
        **values,  # type: ignore[arg-type]
        abstained=bool(values["reason"]),
        operating_point=point,
        model_id=model.model_id,
    )


def detect(image: MedicalImage, *, model: Model | None = None) -> BlindReport:
    """Return whether and where an image looks forged, without any record.

    The frames are looked at one by one, in their own resolution; the most suspicious one counts.
    The opinion never says that an image is authentic, and overrides no exact evidence.

    Parameters
    ----------
    image
        Any; of colour its brightness is looked at.
    model
        The installed one if None.

    Returns
    -------
    BlindReport
        With an abstention, its reason and a score of 0.5 for images that are flat or smaller than
        64 pixels; with an abstention and a score for images unlike those of the training.

    Raises
    ------
    WeightsError
        No model is installed, or it is damaged.
    DigestMismatchError
        Its weights are not what the card names.
    """
    model = load() if model is None else model
    plane = plane_of(image, frame=0)
    if min(plane.shape) < LEAST_SIDE:
        reason = f"the image has fewer than {LEAST_SIDE} pixels a side"
        return _report(model, plane, reason=reason)
    best, place, tiles = None, 0, 0
    for frame in range(image.frames):
        seen = plane if frame == 0 else plane_of(image, frame=frame)
        if _is_flat(seen):
            continue
        scan = scanned(seen, model.engine.look)
        tiles += scan.tiles
        if best is None or scan.score > best.score:
            best, place, plane = scan, frame, seen
    if best is None:
        return _report(model, plane, reason="nothing varies in the image")
    calibration = model.calibration
    score = calibration.probability(best.score, tiles=tiles)
    known = calibration.distance(best.features) <= calibration.most_distance
    reason = "" if known else "the image is unlike those that the detector was made for"
    if _is_noise(plane):
        reason = "places side by side have nothing to do with each other, as in noise"
    return _report(
        model,
        plane,
        score=score,
        mask=calibration.mask(best),
        reliability=_reliability(plane, best),
        flagged=not reason and score >= calibration.threshold,
        reason=reason,
        frame=place,
    )
