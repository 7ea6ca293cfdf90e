"""What becomes of records and copies that do not fit, of unusual values, and of frames."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.errors import MedsealError
from medseal.imaging import MedicalImage
from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper import Fingerprint, TamperReport, check, fingerprint

__all__ = ["bad_inputs", "frame_cases"]

_KEY = bytes(range(32))
_OTHER_KEY = bytes(range(1, 33))
_TINY = 102
# Name of the cases in which a copy is equal to its original.
_UNCHANGED = "unchanged"


def _phantom(side: int, *, seed: int = 1) -> MedicalImage:
    return mr_phantom(generator=np.random.default_rng(seed), rows=side, columns=side)


def _eight_bits(image: MedicalImage) -> MedicalImage:
    return distortions.window_to_8_bit(image)


def _outcome(step: Callable[[], object]) -> str:
    """Return the typed error that a step ends with, or the outcome; other errors go through."""
    try:
        found = step()
    except MedsealError as error:
        return type(error).__name__
    return found.outcome if isinstance(found, TamperReport) else "record"


def _as_float(image: MedicalImage, *, holes: bool) -> MedicalImage:
    values = image.stored_values.astype(np.float32) / np.float32(2**image.bits_stored)
    if holes:
        values[:, ::7, ::5] = np.nan
    return image.with_stored_values(values, bits_stored=32, is_signed=True)


def _filled(value: int, side: int = 256) -> MedicalImage:
    image = _eight_bits(_phantom(side))
    return image.with_stored_values(np.full_like(image.stored_values, value))


def _colour(image: MedicalImage) -> MedicalImage:
    tint = np.array([1.0, 0.8, 0.7])
    values = np.rint(image.stored_values * tint).astype(np.uint8)
    return image.with_stored_values(values, photometric_interpretation="RGB")


def _images() -> dict[str, MedicalImage]:
    """Return originals of every kind of value."""
    generator = np.random.default_rng(5)
    eight = _eight_bits(_phantom(256))
    return {
        "8 bits": eight,
        "12 bits": _phantom(256),
        "16 bits": mr_phantom(generator=generator, bits_stored=16),
        "signed": ct_phantom(generator=generator),
        "inverted": dataclasses.replace(eight, photometric_interpretation="MONOCHROME1"),
        "colour": _colour(eight),
        "tiny, 102 pixels": _eight_bits(_phantom(_TINY)),
        "floating": _as_float(_phantom(256), holes=False),
        "floating with NaN": _as_float(_phantom(256), holes=True),
        "constant": _filled(7),
    }


def _kept(image: MedicalImage) -> Callable[[], object]:
    return lambda: check(image, Fingerprint.from_bytes(fingerprint(image, _KEY).to_bytes()), _KEY)


def _edited(image: MedicalImage) -> Callable[[], object]:
    values = image.stored_values.copy()
    place = (0, image.rows // 2, image.columns // 2, 0)
    low, high = image.storable_range
    here = float(np.nan_to_num(values[place]))
    values[place] = here + 1 if here + 1 <= high else low
    forged = image.with_stored_values(values)
    return lambda: check(forged, fingerprint(image, _KEY), _KEY)


def _processed(image: MedicalImage) -> Callable[[], object]:
    return lambda: check(distortions.jpeg(image, quality=80), fingerprint(image, _KEY), _KEY)


def bad_inputs() -> dict[str, Any]:
    """Return what becomes of records and copies that do not fit, and of unusual values."""
    image = _eight_bits(_phantom(256))
    other = _eight_bits(_phantom(256, seed=9))
    # The version before a report was amended: a region of it looked otherwise.
    older, _ = forgeries.insert_lesion(image, np.random.default_rng(4), radius=18, contrast=0.4)
    record = fingerprint(image, _KEY)
    data = record.to_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    checks: dict[str, Callable[[], object]] = {
        "record of another patient": lambda: check(other, record, _KEY),
        "record of another patient, JPEG": lambda: check(
            distortions.jpeg(other, quality=80), record, _KEY
        ),
        "record of an older version replayed": lambda: check(image, fingerprint(older, _KEY), _KEY),
        "no record": lambda: check(image, None, _KEY),
        "no record and no key": lambda: check(image, None, None),
        f"no key, {_UNCHANGED}": lambda: check(image, record, None),
        "no key, processed": lambda: check(distortions.jpeg(image, quality=80), record, None),
        "key of another hospital": lambda: check(image, record, _OTHER_KEY),
        "short key": lambda: check(image, record, bytes(16)),
        "record with one bit flipped": lambda: check(
            image, Fingerprint.from_bytes(bytes(flipped)), _KEY
        ),
        "record cut": lambda: Fingerprint.from_bytes(data[:-40]),
        "record too long": lambda: Fingerprint.from_bytes(data + bytes(1)),
        "empty record": lambda: Fingerprint.from_bytes(b""),
        "noise": lambda: check(
            image.with_stored_values(
                np.random.default_rng(1)
                .integers(0, 256, image.stored_values.shape)
                .astype(np.uint8)
            ),
            record,
            _KEY,
        ),
        "constant copy of an image": lambda: check(_filled(90), record, _KEY),
        "copy of 16 x 16": lambda: check(
            distortions.resize_to(image, rows=16, columns=16), record, _KEY
        ),
        "copy of 1 x 1": lambda: check(
            distortions.resize_to(image, rows=1, columns=1), record, _KEY
        ),
    }
    for name, original in _images().items():
        checks[f"{name}: {_UNCHANGED}"] = _kept(original)
        checks[f"{name}: one value changed by the least step"] = _edited(original)
        if name != "constant":
            # JPEG keeps a constant image as it is.
            checks[f"{name}: JPEG 80"] = _processed(original)
    outcomes = {name: _outcome(step) for name, step in checks.items()}
    wrong = [
        name
        for name, outcome in outcomes.items()
        if outcome == "authentic" and not name.endswith(_UNCHANGED)
    ]
    return {"outcomes": outcomes, "authentic_though_not_count": len(wrong), "wrong": wrong}


# Frames of the original in the order of the copy, and the word that names what was done.
_ORDERS: Mapping[str, tuple[Sequence[int], str]] = {
    "one dropped": ((0, 1, 3, 4, 5), "dropped"),
    "two exchanged": ((0, 2, 1, 3, 4, 5), "exchanged"),
    "one twice": ((0, 1, 2, 2, 3, 4, 5), "inserted"),
    "order reversed": ((5, 4, 3, 2, 1, 0), "reversed"),
}


def frame_cases() -> dict[str, Any]:
    """Return outcome and operations for a stack of frames, as they are and behind JPEG.

    Returns
    -------
    dict
        By case; ``named`` says whether the operations name what was done, ``frames`` which frames
        the report holds for altered.
    """
    stack = mr_phantom(generator=np.random.default_rng(7), frames=6)
    other = mr_phantom(generator=np.random.default_rng(8))
    record = fingerprint(stack, _KEY)
    values = stack.stored_values
    copies = {
        name: (stack.with_stored_values(values[list(order)].copy()), word)
        for name, (order, word) in _ORDERS.items()
    }
    foreign = np.concatenate([values[:3], other.stored_values, values[3:]])
    copies["one of another patient inserted"] = stack.with_stored_values(foreign), "inserted"
    rng = np.random.default_rng(3)
    lesion, _ = forgeries.insert_lesion(stack, rng, radius=14, contrast=0.4, frame=3)
    copies["a lesion in frame 3"] = lesion, ""
    copies[_UNCHANGED] = stack, ""
    result = {}
    for name, (copy, word) in copies.items():
        for handling, shown in (("", copy), (", JPEG 85", distortions.jpeg(copy, quality=85))):
            report = check(shown, record, _KEY)
            altered = [each.frame for each in report.frames if each.outcome == "tampered"]
            result[f"{name}{handling}"] = {
                "outcome": report.outcome,
                "operations": "; ".join(report.operations),
                "named": word in "; ".join(report.operations),
                "frames": altered,
            }
    return result
