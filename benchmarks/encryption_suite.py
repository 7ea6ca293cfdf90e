"""All attacks on all ciphers, one record each, and the verdict from their p-values.

A verdict is ``broken`` with the attacks that broke the cipher, or ``not broken by this suite``. It
is never ``secure``: what no attack of ours finds, another may. A cipher is broken when one test of
an attack within its own use has a p-value below 1e-6; with some thousand tests in all, a sound
cipher is then called broken once in a thousand runs of the suite. No security claim rests on a
learned method.
"""

import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.encryption_attackers import known_plaintext, other_keys, recognise
from benchmarks.encryption_damage import damage
from benchmarks.encryption_distinguishers import distinguish
from benchmarks.encryption_images import attack_images, resized, trained_images
from benchmarks.encryption_misuse import nonce_misuse, size_leakage
from benchmarks.encryption_repeats import repeated_blocks
from benchmarks.encryption_statistics import (
    compared,
    diffusion,
    draws_of,
    key_avalanche,
    reference_diffusion,
)
from benchmarks.encryption_subjects import CONTROL, Subject
from medseal.protection.encryption.baselines import AesCtr
from medseal.protection.encryption.baselines.learned.cipher import LearnedCipher

__all__ = ["ALPHA", "ATTACKS", "Amounts", "Material", "run", "verdicts"]

ALPHA = 1e-6
# Attacks that count for the verdict whatever the use; nonce misuse and diffusion count where the
# cipher is used or praised so, and the rest is reported only.
_ALWAYS = (
    "distinguisher",
    "known plaintext",
    "recognition",
    "decoders of other keys",
    "key avalanche",
    "statistics",
    "repeated blocks",
)
# What sees how well an image compresses, reported under ``size`` as well: of a form that compresses
# first they do not count.
_SEE_SIZE = frozenset({"recognition", "statistics"})
# The order gives each attack its random source, so a new one stands at the end.
ATTACKS = (*_ALWAYS[:-1], "diffusion", "nonce misuse", "size", "damage", _ALWAYS[-1])
_SLOW_SECONDS = 0.02
_SMALL, _MIDDLE, _KNOWN, _LARGE = 32, 80, 128, 256

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much is tried.

    Attributes
    ----------
    trials
        Cipher images of a distinguisher for each question.
    known, unseen
        Pairs of the known-plaintext attacker, and images it restores.
    gallery, recognised
        Images to choose from, and cipher images to recognise.
    draws, changes
        Cipher images of the statistics, and pairs of diffusion, at least 200 each.
    wrong_keys, damaged
        Images opened with a wrong key, and images sent through each channel.
    """

    trials: int = 2000
    known: int = 400
    unseen: int = 150
    gallery: int = 64
    recognised: int = 400
    draws: int = 200
    changes: int = 1000
    wrong_keys: int = 40
    damaged: int = 6

    def less(self) -> "Amounts":
        """Return fewer trials, for a cipher that takes long."""
        return Amounts(
            trials=self.trials // 5,
            known=self.known // 2,
            unseen=self.unseen // 2,
            gallery=self.gallery,
            recognised=self.recognised // 5,
            draws=self.draws,
            changes=max(self.changes // 5, 200),
            wrong_keys=self.wrong_keys // 2,
            damaged=max(self.damaged // 3, 1),
        )


QUICK = Amounts(
    trials=120,
    known=30,
    unseen=12,
    gallery=8,
    recognised=24,
    draws=200,
    changes=200,
    wrong_keys=4,
    damaged=1,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Images of the attacks: known ones of training groups, attacked ones of test groups.

    Attributes
    ----------
    known, small
        (n, 32, 32).
    middle, large
        (n, 80, 80) and (n, 256, 256).
    """

    known: NDArray[np.uint8]
    small: NDArray[np.uint8]
    middle: NDArray[np.uint8]
    large: NDArray[np.uint8]

    @classmethod
    def read(cls, data: Path, amounts: Amounts, folder: Path) -> "Material":
        """Return the images of a folder of data; they are kept in `folder`."""
        count = max(amounts.unseen, amounts.gallery) + 2
        known = trained_images(data, amounts.known, _KNOWN, folder=folder)
        large = attack_images(data, count, _LARGE, folder=folder)
        return cls(
            known=resized(known, _SMALL),
            small=resized(large, _SMALL),
            middle=resized(large[:20], _MIDDLE),
            large=large[: max(amounts.damaged, 2)],
        )


def _seconds(subject: Subject, image: NDArray[np.uint8]) -> float:
    generator = np.random.default_rng(1)
    subject.pixels(image, subject.key(generator), subject.nonce(generator))
    start = time.perf_counter()
    subject.pixels(image, subject.key(generator), subject.nonce(generator))
    return time.perf_counter() - start


def _has_nonce(subject: Subject, image: NDArray[np.uint8]) -> bool:
    """Return whether two encryptions of one image under one key differ, as the cipher is used."""
    generator = np.random.default_rng(1)
    key = subject.key(generator)
    pair = [subject.pixels(image, key, subject.nonce(generator)) for _ in range(2)]
    return not np.array_equal(pair[0], pair[1])


def _measures(
    subject: Subject, material: Material, amounts: Amounts, generator: np.random.Generator
) -> dict[str, Callable[[], Any]]:
    """Return what measures each attack on one cipher."""
    control = Subject(name=CONTROL, cipher=AesCtr(), kind="control")
    small, middle = material.small, material.middle
    found: dict[str, Callable[[], Any]] = {
        "distinguisher": lambda: distinguish(
            subject, _different(small), trials=amounts.trials, generator=generator
        ),
        "known plaintext": lambda: known_plaintext(
            subject,
            material.known[: amounts.known],
            small[: amounts.unseen],
            generator=generator,
        ),
        "recognition": lambda: recognise(
            subject, small[: amounts.gallery], trials=amounts.recognised, generator=generator
        ),
        "key avalanche": lambda: key_avalanche(
            subject, small, trials=amounts.wrong_keys, generator=generator
        ),
        "statistics": lambda: compared(
            draws_of(subject, middle, amounts.draws, generator),
            draws_of(control, middle, amounts.draws, generator),
        ),
        "diffusion": lambda: compared(
            diffusion(subject, small, amounts.changes, generator),
            reference_diffusion((_SMALL, _SMALL), amounts.changes, generator),
        ),
        "nonce misuse": lambda: nonce_misuse(subject, small[:20], generator=generator),
        "size": lambda: size_leakage(subject, material.middle, generator=generator),
        "damage": lambda: damage(subject, material.large[: amounts.damaged], generator=generator),
        "repeated blocks": lambda: repeated_blocks(subject, generator=generator),
    }
    if isinstance(subject.cipher, LearnedCipher) and len(subject.cipher.keys) > 1:
        cipher = subject.cipher
        found["decoders of other keys"] = lambda: other_keys(
            cipher, material.known[: amounts.known], small[: amounts.unseen]
        )
    return found


def _different(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the images, the first two neither black nor alike."""
    order = np.argsort(-images.reshape(len(images), -1).std(1), kind="stable")
    return images[order]


def _records(
    subject: Subject, material: Material, amounts: Amounts, done: set[str], attacks: Sequence[str]
) -> Iterator[Row]:
    is_slow = _seconds(subject, material.small[0]) > _SLOW_SECONDS
    used = amounts.less() if is_slow else amounts
    has_nonce = _has_nonce(subject, material.small[0])
    for number, attack in enumerate(ATTACKS):
        # Each record has a source of its own: a run that was stopped goes on with the same draws.
        generator = np.random.default_rng([number, zlib.crc32(subject.name.encode())])
        measures = _measures(subject, material, used, generator)
        if attack in done or attack not in measures or attack not in attacks:
            continue
        start = time.perf_counter()
        result = measures[attack]()
        yield {
            "subject": subject.name,
            "kind": subject.kind,
            "attack": attack,
            "counts": (attack in _ALWAYS and not (subject.compresses and attack in _SEE_SIZE))
            or (attack == "diffusion" and subject.claims_diffusion)
            or (attack == "nonce misuse" and not has_nonce),
            "result": result,
            "seconds": round(time.perf_counter() - start, 2),
        }


def run(
    subjects: Sequence[Subject],
    material: Material,
    amounts: Amounts,
    path: Path,
    *,
    attacks: Sequence[str] = ATTACKS,
) -> list[Row]:
    """Return the records of all attacks; those in the file are kept and the others added to it."""
    torch.set_num_threads(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    if path.is_file():
        # A line that was being written when the run stopped is measured again.
        for line in path.read_text().splitlines():
            if line.endswith("}"):
                rows.append(json.loads(line))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with path.open("a") as file:
        for subject in subjects:
            done = {row["attack"] for row in rows if row["subject"] == subject.name}
            for row in _records(subject, material, amounts, done, attacks):
                file.write(json.dumps(row) + "\n")
                file.flush()
                rows.append(row)
                sys.stderr.write(f"{row['subject']}: {row['attack']}, {row['seconds']} s\n")
    return rows


def _tests(result: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield every p-value of nested results with its name."""
    if not isinstance(result, Mapping):
        return
    if "p_value" in result:
        yield name, float(result["p_value"])
        return
    for key, value in result.items():
        yield from _tests(value, f"{name}, {key}" if name else str(key))


def verdicts(rows: Sequence[Row]) -> dict[str, Any]:
    """Return for each cipher the verdict, the attacks behind it and the number of tests.

    Parameters
    ----------
    rows
        Records of `run`.

    Returns
    -------
    dict
        Under ``ciphers`` one entry each; ``tests``, ``alpha``, and whether all ciphers have the
        verdict that they must have for the suite to be believed.
    """
    ciphers: dict[str, Any] = {}
    for row in rows:
        own = ciphers.setdefault(
            row["subject"], {"kind": row["kind"], "tests": 0, "broken_by": {}, "least_p_value": 1.0}
        )
        if not row["counts"]:
            continue
        for name, p_value in _tests(row["result"]):
            own["tests"] += 1
            own["least_p_value"] = min(own["least_p_value"], p_value)
            if p_value < ALPHA:
                own["broken_by"].setdefault(row["attack"], []).append(name)
    for own in ciphers.values():
        own["verdict"] = "broken" if own["broken_by"] else "not broken by this suite"
    wrong = [
        name
        for name, own in ciphers.items()
        if (own["kind"] == "known bad") != bool(own["broken_by"]) and own["kind"] != "other"
    ]
    return {
        "alpha": ALPHA,
        "tests": sum(own["tests"] for own in ciphers.values()),
        "not_as_they_must": wrong,
        "not_as_they_must_count": len(wrong),
        "ciphers": ciphers,
    }
