"""Small pictures for the tests of the encryption benchmark."""

from pathlib import Path

import cv2
import numpy as np

from benchmarks.encryption_subjects import Subject, subjects
from benchmarks.encryption_suite import Amounts
from medseal.datasets.material import Material


def pictures(count: int, side: int, *, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[:side, :side] / side
    found = []
    for _ in range(count):
        shown = sum(
            rng.uniform(10, 50) * np.sin(rng.uniform(1, 6) * a + rng.uniform(0, 6))
            for a in (down, across, down + across, down - across)
        )
        dark = (down - 0.5) ** 2 + (across - 0.5) ** 2 > rng.uniform(0.15, 0.4)
        found.append(np.where(dark, 0, np.clip(110 + shown, 0, 255)).astype(np.uint8))
    return np.stack(found)


def named(name: str) -> Subject:
    return next(subject for subject in subjects() if subject.name == name)


def stored(folder: Path) -> list[Material]:
    rows = ["path,modality,group,split_hint"]
    found = []
    for number, image in enumerate(pictures(6, 40)):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        modality = "CT" if number % 2 else "MRI"
        rows.append(f"{path.name},{modality},g{number},{'test' if number < 3 else 'train'}")
        found.append(Material(path=path, modality=modality, group=f"g{number}"))
    (folder / "MANIFEST.csv").write_text("\n".join(rows) + "\n")
    return found


FEW = Amounts(
    trials=60,
    known=40,
    unseen=10,
    gallery=8,
    recognised=30,
    draws=200,
    changes=200,
    wrong_keys=3,
    damaged=1,
)
