"""Statistics of cipher images over many draws of image and key, beside AES-CTR; avalanche; rounds.

Passing them says nothing about security: a cipher that leaves 99.8 % of the values as they were
passes entropy, correlation and SP 800-22. No security claim rests on a learned method.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.encryption_attackers import gain_over_mean
from benchmarks.encryption_subjects import IntegerCipher, Subject
from medseal.errors import CipherError, CipherKeyError
from medseal.metrics.cipher import (
    FIXED_NPCR,
    accept,
    adjacent_correlation,
    avalanche,
    byte_entropy,
    npcr,
    npcr_critical,
    npcr_pass_chance,
    uaci,
    uaci_interval,
    uniformity,
)
from medseal.metrics.randomness import battery, bits_of
from medseal.metrics.tails import two_sample_tail
from medseal.protection.encryption.baselines import AesCtr, Bytes
from medseal.protection.encryption.baselines.learned.cipher import LearnedCipher, with_flipped_bit
from medseal.protection.encryption.cnn import BACKBONES
from medseal.protection.encryption.cnn.integer import Structure, transform

__all__ = [
    "compared",
    "critical_values",
    "diffusion",
    "draws_of",
    "flipped",
    "key_avalanche",
    "reference_diffusion",
    "rounds_table",
]

LEVEL = 0.01
_SIDES = (64, 128, 224, 256, 512, 1024, 2048)
_BITS = 8

PValues = dict[str, NDArray[np.float64]]


def _gathered(rows: Iterator[Mapping[str, float]]) -> PValues:
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


def draws_of(
    subject: Subject, pictures: NDArray[np.uint8], draws: int, generator: np.random.Generator
) -> PValues:
    """Return the p-values of each test on cipher images of pictures, a key of its own for each.

    Parameters
    ----------
    subject
        The cipher.
    pictures
        (n, 80, 80): the smallest multiple of 16 with bits enough for SP 800-22.
    draws
        Number of cipher images.
    generator
        Of images, keys and nonces.
    """

    def rows() -> Iterator[Mapping[str, float]]:
        for number in range(draws):
            image = pictures[number % len(pictures)]
            parts: list[NDArray[np.uint8]] = []
            # A form that compresses gives fewer bytes: as many cipher images as fill a picture.
            while sum(part.size for part in parts) < image.size:
                key, nonce = subject.key(generator), subject.nonce(generator)
                parts.append(subject.pixels(image, key, nonce).reshape(-1))
            hidden = np.concatenate(parts)[: image.size]
            square = hidden.reshape(image.shape)
            yield {
                "entropy": byte_entropy(hidden).p_value,
                "uniformity": uniformity(hidden).p_value,
                **{
                    f"correlation, {direction}": adjacent_correlation(
                        square, direction=direction
                    ).p_value
                    for direction in ("horizontal", "vertical", "diagonal")
                },
                **battery(bits_of(hidden)),
            }

    return _gathered(rows())


def flipped(values: NDArray[Any], generator: np.random.Generator) -> tuple[NDArray[Any], int]:
    """Return a copy in which one value differs by one level, and its place."""
    changed, place = values.copy(), int(generator.integers(values.size))
    changed.flat[place] ^= 1
    return changed, place


def _change(first: NDArray[Any], second: NDArray[Any], dither: float) -> dict[str, float]:
    return {
        "npcr": npcr(first, second, dither=dither).p_value,
        "uaci": uaci(first, second).p_value,
        "bits": avalanche(first, second, dither=dither).p_value,
        "npcr_percent": npcr(first, second).value,
    }


def _diffused(
    structure: Structure, draws: int, bits: int, generator: np.random.Generator
) -> PValues:
    kind = np.uint8 if bits == _BITS else np.uint16

    def rows() -> Iterator[dict[str, float]]:
        for _ in range(draws):
            image = generator.integers(0, 1 << bits, (32, 32)).astype(kind)
            key, nonce = generator.bytes(32), generator.bytes(16)
            changed, _ = flipped(image, generator)
            pair = [transform(each, key, nonce, structure=structure) for each in (image, changed)]
            yield _change(pair[0], pair[1], float(generator.random()))

    return _gathered(rows())


def diffusion(
    subject: Subject, pictures: NDArray[np.uint8], draws: int, generator: np.random.Generator
) -> PValues:
    """Return p-values of NPCR, UACI and bits after one value changed, same key and same nonce."""

    def rows() -> Iterator[dict[str, float]]:
        for number in range(draws):
            image = pictures[number % len(pictures)]
            key, nonce = subject.key(generator), subject.nonce(generator)
            changed, _ = flipped(image, generator)
            pair = [subject.pixels(each, key, nonce) for each in (image, changed)]
            yield _change(pair[0], pair[1], float(generator.random()))

    return _gathered(rows())


def reference_diffusion(
    shape: tuple[int, int], draws: int, generator: np.random.Generator, *, bits: int = _BITS
) -> PValues:
    """Return the same p-values of two AES-CTR streams: what a perfect cipher gives."""
    kind = np.dtype(np.uint8 if bits == _BITS else np.uint16)
    zeros = np.zeros((shape[0], shape[1] * kind.itemsize), np.uint8)

    def rows() -> Iterator[dict[str, float]]:
        for _ in range(draws):
            pair = [
                AesCtr().encrypt(zeros, generator.bytes(32), generator.bytes(16)).view(kind)
                for _ in range(2)
            ]
            yield _change(pair[0], pair[1], float(generator.random()))

    return _gathered(rows())


def compared(found: PValues, control: PValues) -> dict[str, Any]:
    """Return for each test how p-values compare with those of the control.

    ``p_value`` is that of two samples from one source: the tests of SP 800-22 are only roughly
    uniform even for a perfect cipher. ``accept`` is the stricter rule: uniform, and as many passes.
    """
    table: dict[str, Any] = {}
    for name, values in found.items():
        if name.endswith("_percent"):
            table[name] = {"mean": float(values.mean()), "least": float(values.min())}
            continue
        table[name] = {
            "p_value": two_sample_tail(values, control[name]),
            "accept": asdict(accept(values, control[name], level=LEVEL)),
        }
    return table


def critical_values() -> dict[str, Any]:
    """Return critical values by image size, and how often a perfect cipher meets fixed ones."""
    found = {}
    for side in _SIDES:
        low, high = uaci_interval(side * side)
        found[f"{side}x{side}"] = {
            "npcr_critical_05": npcr_critical(side * side),
            "npcr_critical_001": npcr_critical(side * side, significance=0.001),
            "uaci_low_05": low,
            "uaci_high_05": high,
            "perfect_cipher_meets_fixed_npcr": npcr_pass_chance(FIXED_NPCR, side * side),
        }
    return found


def _one_bit(data: bytes, generator: np.random.Generator) -> bytes:
    changed, bit = bytearray(data), int(generator.integers(8 * len(data)))
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def _bare(subject: Subject) -> Subject:
    """Return the integer variant without its tag: an attacker does not ask the tag."""
    cipher = subject.cipher
    if not isinstance(cipher, IntegerCipher):
        return subject
    return Subject(
        name=subject.name, cipher=IntegerCipher(structure=cipher.structure), kind=subject.kind
    )


def key_avalanche(
    subject: Subject, pictures: NDArray[np.uint8], *, trials: int, generator: np.random.Generator
) -> dict[str, Any]:
    """Return what a decryption with one bit of the key changed gives, and how far ciphers differ.

    Of a cipher whose weights are the key, one bit of one weight is changed. ``p_value`` is small
    where the wrong key restores more than the mean image does, half a decibel at least.
    """
    own = _bare(subject)
    mean = pictures.astype(np.float64).mean(0)
    truth: list[Bytes] = []
    guesses: list[Bytes] = []
    bits: list[float] = []
    refused = 0
    for number in range(trials):
        image = pictures[number % len(pictures)]
        key, nonce = own.key(generator), own.nonce(generator)
        try:
            guessed, share = _with_changed_key(own, image, key, nonce, generator)
        except CipherError:
            refused += 1
            continue
        truth.append(image)
        guesses.append(guessed)
        bits.append(share)
    found: dict[str, Any] = {"trials": trials, "refused": refused, "p_value": 1.0}
    if len(truth) > 1:
        found |= gain_over_mean(np.stack(truth), np.stack(guesses).astype(np.float64), mean)
        found["cipher_bits_changed"] = float(np.mean(bits))
    return found


def _with_changed_key(
    subject: Subject, image: Bytes, key: bytes, nonce: bytes, generator: np.random.Generator
) -> tuple[Bytes, float]:
    """Return the decryption under the changed key, and the share of cipher bits that change.

    Raises
    ------
    CipherError
        The cipher refuses.
    """
    cipher = subject.cipher
    hidden = cipher.encrypt(image, key, nonce)
    if isinstance(cipher, LearnedCipher):
        wrong = LearnedCipher([with_flipped_bit(cipher.pair(key), generator=generator)])
        shape = (image.shape[0], image.shape[1])
        return wrong.decrypt(hidden, wrong.keys[0], nonce, shape=shape), 0.0
    # Where a key is costly, the wrong one is another of those there are.
    others = [each for each in subject.keys if each != key]
    other = others[0] if others else _one_bit(key, generator)
    first, second = (subject.pixels(image, each, nonce) for each in (key, other))
    if first.shape != second.shape:
        raise CipherKeyError("the sizes differ")
    plain = cipher.decrypt(hidden, other, nonce, shape=(image.shape[0], image.shape[1]))
    return plain, avalanche(first, second).value


def rounds_table(
    rounds: Sequence[int], draws: int, generator: np.random.Generator
) -> dict[str, Any]:
    """Return for each backbone and number of rounds whether diffusion is that of a perfect cipher.

    With and without whitening, which changes nothing about diffusion under one nonce: XOR with a
    stream neither spreads a change nor hides how far it spread.
    """
    found: dict[str, Any] = {}
    for backbone in BACKBONES:
        for bits in (_BITS, 2 * _BITS):
            control = reference_diffusion((32, 32), max(draws, 200), generator, bits=bits)
            for number in rounds:
                for whiten in (True, False):
                    structure = Structure(backbone=backbone, rounds=number, whiten=whiten)
                    table = compared(_diffused(structure, draws, bits, generator), control)
                    tests = [row for row in table.values() if "accept" in row]
                    name = f"{backbone}, {bits} bits, {'' if whiten else 'not '}whitened"
                    found.setdefault(name, {})[str(number)] = {
                        "npcr_percent": table["npcr_percent"]["mean"],
                        "accepted": all(row["accept"]["is_accepted"] for row in tests),
                        "p_value": min(row["p_value"] for row in tests),
                    }
    return found
