"""Train the paper-style cipher, whose weights are the key, and measure what the paper claims of it.

`python -m benchmarks.encryption_learned --data DIR --work FOLDER` trains the pairs. Expected: see
the row of the paper in docs/results.md. Time: about four minutes a pair on one core. No security
claim rests on a learned method.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.encryption_images import attack_images, resized, trained_images
from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.encryption.baselines.learned.cipher import (
    LearnedCipher,
    load_pair,
    save_pair,
)
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, Pair
from medseal.protection.encryption.baselines.learned.train import train_pair

__all__ = ["CLAIMED", "main", "measured", "pairs"]

# Bell and Broklyn, the section on results; training took 4 hours on a GPU there.
CLAIMED = {"psnr_db": 30.2, "ssim": 0.9, "decrypt_seconds": 1.5, "training_hours": 4.0}
PAIRS = 2
SIDE, TRAINED_SIDE, TRAINED, TESTED = 128, 64, 1200, 60
QUICK_STEPS, QUICK_TRAINED = 20, 24
_TIMED_SIDE, _TIMES = 512, 7


def _config(seed: int, *, quick: bool) -> LearnedConfig:
    config = LearnedConfig(seed=seed)
    return replace(config, steps=QUICK_STEPS, channels=8) if quick else config


def pairs(data: Path, work: Path, *, quick: bool = False, count: int = PAIRS) -> list[Pair]:
    """Return trained pairs, one a key; those in the folder are kept and the others trained."""
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    images: NDArray[np.uint8] | None = None
    found = []
    for seed in range(1, count + 1):
        config = _config(seed, quick=quick)
        stem = f"learned{'-quick' if quick else ''}-{seed}"
        path, note = work / f"{stem}.safetensors", work / f"{stem}.json"
        if not note.is_file():
            if images is None:
                count_read = QUICK_TRAINED if quick else TRAINED
                images = resized(trained_images(data, count_read, SIDE, folder=work), TRAINED_SIDE)
            start = time.perf_counter()
            key = save_pair(train_pair(images, config), path)
            seconds = time.perf_counter() - start
            note.write_text(
                json.dumps({"key": key.hex(), "seconds": seconds, "config": asdict(config)})
            )
        key = bytes.fromhex(json.loads(note.read_text())["key"])
        found.append(load_pair(path, config, key=key))
    return found


def _mean_and_least(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "least": float(np.min(values))}


def _decrypt_seconds(cipher: LearnedCipher) -> float:
    image = np.random.default_rng(1).integers(0, 256, (_TIMED_SIDE, _TIMED_SIDE), dtype=np.uint8)
    hidden = cipher.encrypt(image, cipher.keys[0], bytes(16))
    times = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        cipher.decrypt(hidden, cipher.keys[0], bytes(16), shape=image.shape)
        times.append(time.perf_counter() - start)
    return median(times)


def measured(data: Path, work: Path, *, quick: bool = False) -> dict[str, Any]:
    """Return what the paper claims beside what the trained pair does on unseen patients."""
    cipher = LearnedCipher(pairs(data, work, quick=quick, count=2 if quick else PAIRS))
    images = attack_images(data, 6 if quick else TESTED, SIDE, folder=work)
    key = cipher.keys[0]
    restored = cipher.decrypt_many(cipher.encrypt_many(images, key), key)
    both = list(zip(images, restored, strict=True))
    stem = f"learned{'-quick' if quick else ''}-1.json"
    note = json.loads((work / stem).read_text())
    return {
        "claimed": CLAIMED,
        "images": len(images),
        "psnr_db": _mean_and_least([psnr(a, b, data_range=255) for a, b in both]),
        "ssim": _mean_and_least([ssim(a, b, data_range=255) for a, b in both]),
        "exact_share": float(np.mean([np.array_equal(a, b) for a, b in both])),
        "decrypt_seconds_512x512": _decrypt_seconds(cipher),
        "training_seconds": note["seconds"],
        "config": note["config"],
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Train the pairs and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of images")
    parser.add_argument("--work", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--quick", action="store_true", help="a shorter run")
    chosen = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    result = measured(chosen.data, chosen.work, quick=chosen.quick)
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
