"""Time of a tamper check by what decides it, size of the record, and what bad input becomes."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.errors import MedsealError
from medseal.imaging import MedicalImage
from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper import Fingerprint, TamperReport, check, fingerprint

__all__ = ["bad_inputs", "costs", "main", "measure", "record_sizes"]

_KEY = bytes(range(32))
_OTHER_KEY = bytes(range(1, 33))
_TINY = 102
# Name of the cases in which a copy is equal to its original.
_UNCHANGED = "unchanged"


def _phantom(side: int, *, seed: int = 1, lesion: bool = False) -> MedicalImage:
    generator = np.random.default_rng(seed)
    return mr_phantom(generator=generator, rows=side, columns=side, lesion=lesion)


def _eight_bits(image: MedicalImage) -> MedicalImage:
    return distortions.window_to_8_bit(image)


def _least_milliseconds(step: Callable[[], object], rounds: int) -> float:
    """Return the least of some times: what an idle core takes."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1000)
    return min(times)


def measure(side: int, rounds: int) -> dict[str, Any]:
    """Return least times on a phantom of that size, in this process and one thread.

    Each case ends at another step: equal digest, equal after a turn, tiles of an edit, and the
    copies that only registration and network can judge.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    image = _eight_bits(_phantom(side))
    record = fingerprint(image, _KEY)
    rng = np.random.default_rng(3)
    edited, _ = forgeries.change_block(image, rng, size=16, steps=60)
    copies = {
        "unchanged": image,
        "turned by 90 degrees": distortions.quarter_turn(image, turns=1),
        "edited, not processed": edited,
        "JPEG 75": distortions.jpeg(image, quality=75),
        "edited, JPEG 75": distortions.jpeg(edited, quality=75),
        "rotated by 5 degrees, JPEG 75": distortions.jpeg(
            distortions.rotate(image, degrees=5), quality=75
        ),
        "crop of 10 %, resized": distortions.resize(
            distortions.crop(
                image,
                top=side // 20,
                left=side // 20,
                rows=side * 9 // 10,
                columns=side * 9 // 10,
            ),
            factor=0.7,
        ),
    }
    result: dict[str, Any] = {
        "fingerprint_ms": _least_milliseconds(lambda: fingerprint(image, _KEY), rounds)
    }
    for name, copy in copies.items():
        report = check(copy, record, _KEY)
        result[name] = {
            "outcome": report.outcome,
            "milliseconds": _least_milliseconds(partial(check, copy, record, _KEY), rounds),
        }
    result["slowest_ms"] = max(result[name]["milliseconds"] for name in copies)
    return result


def costs(sides: Sequence[int], rounds: int) -> dict[str, Any]:
    """Return the measurement for each side, each in a fresh process of one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    result: dict[str, Any] = {}
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.tamper_costs", str(side), str(rounds)]
        done = subprocess.run(  # noqa: S603  our own module
            command,
            cwd=Path(__file__).parents[1],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        result[f"{side}x{side}"] = json.loads(done.stdout)
    return result


def record_sizes() -> dict[str, int]:
    """Return the bytes of a record by the geometry of the image."""
    shapes = {
        "128 x 128": (1, 128, 128),
        "512 x 512": (1, 512, 512),
        "2048 x 2048": (1, 2048, 2048),
        "256 x 512": (1, 256, 512),
        "1024 x 64": (1, 1024, 64),
        "4 frames of 256 x 256": (4, 256, 256),
        "64 frames of 128 x 128": (64, 128, 128),
    }
    small = _phantom(128)
    images = {
        name: small.with_stored_values(np.resize(small.stored_values, (*shape, 1)))
        for name, shape in shapes.items()
    }
    return {name: len(fingerprint(image, _KEY).to_bytes()) for name, image in images.items()}


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
    older = image.with_stored_values(np.roll(image.stored_values, 3, axis=1))
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


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one side and print the figures."""
    side, rounds = (int(text) for text in (sys.argv[1:] if argv is None else argv))
    sys.stdout.write(json.dumps(measure(side, rounds)) + "\n")


if __name__ == "__main__":
    main()
