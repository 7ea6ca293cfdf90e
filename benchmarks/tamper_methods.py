"""The tamper check, the blind opinion and every rival behind one interface: enrol, answer."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.imaging import MedicalImage
from medseal.metrics.detection import overlap
from medseal.protection.tamper import Fingerprint, TamperReport, check, fingerprint
from medseal.protection.tamper.baselines import (
    ErrorLevel,
    FileHash,
    Method,
    NoiseLevel,
    Signature,
    ValuesHash,
    perceptual_hashes,
    thumbnail_references,
)
from medseal.protection.tamper.blind import detect
from medseal.protection.tamper.blind.inference import Model, load, load_folder

__all__ = [
    "BLIND",
    "PRODUCT",
    "Answer",
    "Detector",
    "Opinion",
    "Product",
    "answered",
    "detectors",
]

PRODUCT = "medseal"
BLIND = "medseal blind"
KEY = bytes(range(32))

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a detector says about a copy.

    Attributes
    ----------
    score
        Higher where the copy is more surely altered.
    is_flagged
        Whether it is called altered.
    is_abstention
        Whether nothing is decided; then it is not flagged.
    outcome
        The detector's own word.
    mask
        (rows, columns) of the copy, or None.
    operations
        What it names as done to the copy.
    """

    score: float
    is_flagged: bool
    is_abstention: bool = False
    outcome: str = ""
    mask: Flags | None = None
    operations: tuple[str, ...] = ()


class Detector(Protocol):
    """A method with its decision."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def is_blind(self) -> bool:
        """True if it needs no record."""

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the record of an original."""

    def answer(self, image: MedicalImage, record: bytes) -> Answer:
        """Return what is said about a copy."""


def answer_of(report: TamperReport) -> Answer:
    """Return the answer in a report of the product."""
    return Answer(
        score=report.score,
        is_flagged=report.outcome == "tampered",
        is_abstention=report.outcome == "unverifiable",
        outcome=report.outcome,
        mask=report.mask,
        operations=report.operations,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The check against a record."""

    name: str = PRODUCT
    is_blind: bool = False

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the fingerprint."""
        return fingerprint(image, KEY).to_bytes()

    def answer(self, image: MedicalImage, record: bytes) -> Answer:
        """Return the outcome of the check."""
        return answer_of(check(image, Fingerprint.from_bytes(record), KEY))


@lru_cache(maxsize=4)
def _model(folder: Path | None) -> Model:
    return load() if folder is None else load_folder(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """The blind detector, with the shipped weights or with those of another training.

    Attributes
    ----------
    folder
        Weights folder, None for the shipped one.
    """

    name: str = BLIND
    folder: Path | None = None
    is_blind: bool = True

    def enrol(self, image: MedicalImage) -> bytes:  # noqa: ARG002  of the interface
        """Return nothing."""
        return b""

    def answer(self, image: MedicalImage, record: bytes) -> Answer:  # noqa: ARG002
        """Return score, decision and map; the map counts where the image is not flagged too."""
        found = detect(image, model=_model(self.folder))
        outcome = "abstained" if found.abstained else "flagged" if found.flagged else "not flagged"
        return Answer(
            score=found.score,
            is_flagged=found.flagged,
            is_abstention=found.abstained,
            outcome=outcome,
            mask=found.mask,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rival:
    """A baseline with its threshold."""

    method: Method

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def is_blind(self) -> bool:
        return self.method.is_blind

    def enrol(self, image: MedicalImage) -> bytes:
        return self.method.enrol(image)

    def answer(self, image: MedicalImage, record: bytes) -> Answer:
        found = self.method.compare(image, record)
        flagged = found.score > self.method.threshold
        outcome = "altered" if flagged else "unaltered"
        mask = found.mask
        if mask is not None and not flagged:
            # What is not called altered shows nothing.
            mask = np.zeros_like(mask)
        return Answer(score=found.score, is_flagged=flagged, outcome=outcome, mask=mask)


def detectors(names: Sequence[str] | None = None) -> tuple[Detector, ...]:
    """Return the product and its rivals, or those of them that are named.

    Parameters
    ----------
    names
        Of detectors. ``NAME=FOLDER`` is the blind detector with the weights in a folder.

    Raises
    ------
    InputError
        None has such a name.
    """
    rivals: tuple[Method, ...] = (
        *thumbnail_references(),
        FileHash(),
        ValuesHash(),
        Signature(),
        *perceptual_hashes(),
        ErrorLevel(),
        NoiseLevel(),
    )
    known: tuple[Detector, ...] = (
        Product(),
        Opinion(),
        *(_Rival(method=method) for method in rivals),
    )
    if names is None:
        return known
    others = {
        name: Opinion(name=name.partition("=")[0], folder=Path(name.partition("=")[2]))
        for name in names
        if "=" in name
    }
    unknown = set(names) - {detector.name for detector in known} - set(others)
    if unknown:
        listed = ", ".join(detector.name for detector in known)
        raise InputError(f"unknown method {', '.join(sorted(unknown))}; here are {listed}")
    return (*(detector for detector in known if detector.name in names), *others.values())


def answered(
    detector: Detector, image: MedicalImage, record: bytes, truth: Flags
) -> dict[str, Any]:
    """Return what is kept of an answer: score, decision, overlap with the truth, seconds."""
    start = time.perf_counter()
    answer = detector.answer(image, record)
    seconds = time.perf_counter() - start
    kept: dict[str, Any] = {
        "score": float(answer.score),
        "flagged": bool(answer.is_flagged),
        "abstained": bool(answer.is_abstention),
        "outcome": answer.outcome,
        "seconds": round(seconds, 5),
    }
    if answer.operations:
        kept["operations"] = list(answer.operations)
    if answer.mask is not None and truth.any():
        found = overlap(truth, answer.mask)
        kept |= {"f1": round(found.f1, 5), "iou": round(found.iou, 5)}
    return kept
