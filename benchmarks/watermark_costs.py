"""What the watermark costs: milliseconds, growth with the image, memory; bad input; removal.

`python -m benchmarks.watermark_costs SIDE` marks and reads one generated image in a process of its
own and prints the times and the peak of its memory as JSON.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.watermark_trials import Sample, key_of, one_frame, payload_of
from medseal.errors import MedsealError
from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.attacks import distortions
from medseal.protection.watermark import (
    PAYLOAD_BYTES,
    embed,
    embed_removable,
    extract,
    remove,
)

__all__ = ["bad_inputs", "generated", "growth", "main", "removal"]

_KEY, _PAYLOAD = bytes(range(32)), b"\x9c\x31\x07\xee\x52\xb8\x44\xd1"
_BITS = 12
_LEVELS = 1 << _BITS
_KIB = 1024
# Of the generated body: square of its radius, where the half side is 1.
_BODY = 0.8


def of_values(values: StoredValues, *, bits: int) -> MedicalImage:
    """Return a grey image of one frame: (rows, columns)."""
    return MedicalImage(
        stored_values=frozen(values[None, :, :, None].copy()),
        bits_stored=bits,
        is_signed=values.dtype.kind != "u",
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="generated",
    )


def generated(rows: int, columns: int) -> MedicalImage:
    """Return an image of 12 bits with the spectrum of a natural one and black air around it."""
    rng = np.random.default_rng(rows)
    whole = np.zeros((rows, columns), np.float32)
    side = 4
    while side < max(rows, columns):
        small = rng.normal(size=(side, side)).astype(np.float32)
        whole += cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC) / side**0.75
        side *= 2
    whole += 0.02 * rng.normal(size=whole.shape).astype(np.float32)
    shown = (whole - whole.min()) / (whole.max() - whole.min()) * (_LEVELS - 1)
    down, across = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    inside = down**2 + across**2 < _BODY
    return of_values(np.where(inside, shown, 0).astype(np.uint16), bits=_BITS)


def _milliseconds(step: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1000)
    return median(times)


def _peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB


def measure(side: int, rounds: int) -> dict[str, float]:
    """Return times and memory for one generated image, in this process and one thread."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cover = generated(side, side)
    before = _peak_mebibytes()
    marked = embed(cover, _PAYLOAD, _KEY)
    turned = distortions.rotate(marked, degrees=5)
    if extract(marked, _KEY).payload != _PAYLOAD:
        raise RuntimeError("the mark was not read: the times would mean nothing")
    result = {"memory_before_mib": before, "memory_peak_mib": _peak_mebibytes()}
    steps: dict[str, Callable[[], object]] = {
        "embed_ms": lambda: embed(cover, _PAYLOAD, _KEY),
        "extract_ms": lambda: extract(marked, _KEY),
        "extract_turned_by_5_ms": lambda: extract(turned, _KEY),
        "extract_unmarked_ms": lambda: extract(cover, _KEY),
    }
    for name, step in steps.items():
        result[name] = _milliseconds(step, rounds)
    return {**result, "memory_peak_mib": _peak_mebibytes()}


def growth(sides: Sequence[int], rounds: int) -> dict[str, Any]:
    """Return the measurement for each side, each in a fresh process of one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    result: dict[str, Any] = {}
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.watermark_costs", str(side), str(rounds)]
        done = subprocess.run(  # noqa: S603  our own module
            command,
            cwd=Path(__file__).parents[1],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        result[f"{side}x{side}"] = json.loads(done.stdout)
    return result


def _outcome(step: Callable[[], object]) -> str:
    """Return the typed error that a step ends with, or what it returns; others go through."""
    try:
        found = step()
    except MedsealError as error:
        return type(error).__name__
    if isinstance(found, MedicalImage):
        return "marked"
    payload = getattr(found, "payload", None)
    if payload is None:
        return "not detected"
    return "read" if payload == _PAYLOAD else "wrong payload"


def bad_inputs() -> dict[str, str]:
    """Return what becomes of images and keys that no mark can be put into or read from."""
    good = generated(300, 320)
    marked = embed(good, _PAYLOAD, _KEY)
    floats = good.stored_values[0, :, :, 0].astype(np.float32) / _LEVELS
    holes = floats.copy()
    holes[::7, ::5] = np.nan
    noise = np.random.default_rng(1)
    checks: dict[str, Callable[[], object]] = {
        "embed into 16 x 16": lambda: embed(
            of_values(np.arange(256, dtype=np.uint8).reshape(16, 16), bits=8), _PAYLOAD, _KEY
        ),
        "embed into a constant image": lambda: embed(
            of_values(np.full((256, 256), 7, np.uint8), bits=8), _PAYLOAD, _KEY
        ),
        "embed into a saturated image": lambda: embed(
            of_values(np.full((256, 256), 255, np.uint8), bits=8), _PAYLOAD, _KEY
        ),
        "embed into nothing but NaN": lambda: embed(
            of_values(np.full((256, 256), np.nan, np.float32), bits=32), _PAYLOAD, _KEY
        ),
        "embed between NaN": lambda: embed(of_values(holes, bits=32), _PAYLOAD, _KEY),
        "embed with a short key": lambda: embed(good, _PAYLOAD, bytes(16)),
        "embed a short payload": lambda: embed(good, bytes(PAYLOAD_BYTES - 1), _KEY),
        "extract with the wrong key": lambda: extract(marked, bytes(32)),
        "extract with a short key": lambda: extract(marked, bytes(16)),
        "extract from 16 x 16": lambda: extract(
            distortions.resize_to(marked, rows=16, columns=16), _KEY
        ),
        "extract from 1 x 1": lambda: extract(of_values(np.ones((1, 1), np.uint8), bits=8), _KEY),
        "extract from a constant image": lambda: extract(
            of_values(np.full((256, 256), 7, np.uint8), bits=8), _KEY
        ),
        "extract from nothing but NaN": lambda: extract(
            of_values(np.full((256, 256), np.nan, np.float32), bits=32), _KEY
        ),
        "extract from noise": lambda: extract(
            of_values(noise.integers(0, 256, (256, 256)).astype(np.uint8), bits=8), _KEY
        ),
        "extract from a copy drowned in noise": lambda: extract(
            distortions.gaussian_noise(marked, sigma=80, rng=noise), _KEY
        ),
    }
    return {name: _outcome(step) for name, step in checks.items()}


def _saturated() -> dict[str, MedicalImage]:
    """Return images whose values touch both ends of what can be stored, with constant parts."""
    levels = generated(384, 400).stored_values[0, :, :, 0].astype(np.float64) / (_LEVELS - 1)
    hard = np.clip((levels - 0.4) * 5, 0, 1)
    half = levels.copy()
    half[:, 200:] = 1.0
    return {
        "generated, clipped at both ends, 8 bits": of_values(
            np.rint(hard * 255).astype(np.uint8), bits=8
        ),
        "generated, clipped at both ends, 16 bits": of_values(
            np.rint(hard * 65535).astype(np.uint16), bits=16
        ),
        "generated, half of it constant white": of_values(
            np.rint(half * 255).astype(np.uint8), bits=8
        ),
    }


def _is_removed(image: MedicalImage, payload: bytes, key: bytes) -> tuple[bool, int]:
    removable = embed_removable(image, payload, key)
    restored = remove(removable.image, removable.side_information)
    same = restored.stored_values.tobytes() == image.stored_values.tobytes()
    return same and restored.stored_values.dtype == image.stored_values.dtype, len(
        removable.side_information
    )


def removal(items: Sequence[Sample]) -> dict[str, Any]:
    """Return for how many images the mark comes out bit for bit, and the side information."""
    images = {item.name: one_frame(item.path) for item in items} | _saturated()
    exact, sizes, refused, different = 0, [], [], []
    for name, image in images.items():
        try:
            same, size = _is_removed(image, payload_of(name, PAYLOAD_BYTES), key_of(name))
        except MedsealError as error:
            refused.append(f"{name}: {type(error).__name__}")
            continue
        exact += same
        sizes.append(size)
        if not same:
            different.append(name)
    return {
        "images": len(sizes),
        "bit_exact": exact,
        "different_count": len(different),
        "different": different,
        "refused_to_be_marked": refused,
        "side_information_bytes_median": median(sizes) if sizes else None,
        "side_information_bytes_max": max(sizes, default=None),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one side and print the figures."""
    side, rounds = (int(text) for text in (sys.argv[1:] if argv is None else argv))
    sys.stdout.write(json.dumps(measure(side, rounds)) + "\n")


if __name__ == "__main__":
    main()
