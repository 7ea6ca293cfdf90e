"""Time of a tamper check by what decides it, and the size of the record."""

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

from medseal.datasets.phantom import mr_phantom
from medseal.imaging import MedicalImage
from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper import check, fingerprint

__all__ = ["costs", "main", "measure", "record_sizes"]

_KEY = bytes(range(32))


def _phantom(side: int) -> MedicalImage:
    return mr_phantom(generator=np.random.default_rng(1), rows=side, columns=side)


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
    image = distortions.window_to_8_bit(_phantom(side))
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


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one side and print the figures."""
    side, rounds = (int(text) for text in (sys.argv[1:] if argv is None else argv))
    sys.stdout.write(json.dumps(measure(side, rounds)) + "\n")


if __name__ == "__main__":
    main()
