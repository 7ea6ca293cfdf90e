"""Attackers that restore or recognise images: known plaintexts, cipher images alone, other keys.

What a restoring attacker has to beat is the mean of the known images: it knows nothing of the
cipher. No security claim rests on a learned method.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.encryption_subjects import Subject
from medseal.metrics.tails import binomial_tail, normal_tail
from medseal.protection.encryption.baselines.learned.cipher import LearnedCipher
from medseal.protection.encryption.baselines.learned.train import as_tensor

__all__ = ["GAIN_DB", "gain_over_mean", "known_plaintext", "other_keys", "recognise"]

GAIN_DB = 0.5
_PENALTIES = (1e-3, 1e-1, 1e1, 1e3)
_CHANNELS, _EPOCHS, _BATCH, _RATE = 16, 25, 20, 2e-3
_GRID = 8
_BLOCK = 16

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


def _decibels(truth: Images, guessed: Floats) -> Floats:
    """Return the PSNR of each image."""
    error = ((truth.astype(np.float64) - guessed) ** 2).reshape(len(truth), -1).mean(1)
    return np.asarray(10 * np.log10(255**2 / np.maximum(error, 1e-3)))


def gain_over_mean(truth: Images, guessed: Floats, mean: Floats) -> dict[str, float]:
    """Return how far guesses beat the mean image, (rows, columns), and how surely.

    Returns
    -------
    dict
        ``psnr_db``, ``mean_image_db``, ``gain_db`` (means over images), and ``p_value``: of a gain
        of nothing, 1 unless the gain reaches half a decibel.
    """
    own, least = _decibels(truth, guessed), _decibels(truth, np.broadcast_to(mean, truth.shape))
    gains = own - least
    gain, error = float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(len(gains)) + 1e-9
    return {
        "psnr_db": float(own.mean()),
        "mean_image_db": float(least.mean()),
        "gain_db": gain,
        "p_value": normal_tail(gain / error) / 2 if gain >= GAIN_DB else 1.0,
    }


def _ridge(known: Floats, plain: Floats, unseen: Floats) -> Floats:
    """Return guesses by ridge regression in its dual form; the penalty by leaving one out."""
    centre, middle = known.mean(0), plain.mean(0)
    left, right = known - centre, plain - middle
    values, vectors = np.linalg.eigh(left @ left.T)
    rotated = vectors.T @ right
    least, best = math.inf, rotated
    for penalty in _PENALTIES:
        weight = 1 / (np.maximum(values, 0) + penalty * len(known))
        dual = vectors @ (weight[:, None] * rotated)
        # Leaving one out, each error is the dual coefficient over the inverse's diagonal.
        inverse = (vectors**2) @ weight
        error = float(((dual / inverse[:, None]) ** 2).mean())
        if error < least:
            least, best = error, dual
    return np.asarray(middle + ((unseen - centre) @ left.T) @ best)


def _bits(images: Images) -> Floats:
    return np.unpackbits(images.reshape(len(images), -1), axis=1).astype(np.float64) - 0.5


def _bytes(images: Images) -> Floats:
    return images.reshape(len(images), -1).astype(np.float64) / 255 - 0.5


def _by_ridge(form: Callable[[Images], Floats], hidden: Images, plain: Images) -> Floats:
    count = len(plain)
    found = _ridge(
        form(hidden[:count]), plain.reshape(count, -1).astype(np.float64), form(hidden[count:])
    )
    return np.clip(found, 0, 255).reshape(-1, *plain.shape[1:])


def _by_network(hidden: Images, plain: Images, *, seed: int = 1) -> Floats:
    """Return guesses of four convolutional layers, trained on the known pairs."""
    count = len(plain)
    inputs, targets = as_tensor(hidden) - 0.5, as_tensor(plain)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: list[nn.Module] = []
        for channels in (1, _CHANNELS, _CHANNELS):
            parts += [nn.Conv2d(channels, _CHANNELS, 3, padding=1), nn.ReLU()]
        network = nn.Sequential(*parts, nn.Conv2d(_CHANNELS, 1, 3, padding=1))
        # It starts from the mean image, so that it never does much worse.
        mean = targets.mean(0, keepdim=True)
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
        for _ in range(_EPOCHS):
            for chosen in torch.split(torch.randperm(count), _BATCH):
                loss = functional.mse_loss(network(inputs[chosen]) + mean, targets[chosen])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    with torch.no_grad():
        guessed = (network(inputs[count:]) + mean).clamp(0, 1)[:, 0] * 255
    return np.asarray(guessed.numpy(), np.float64)


def known_plaintext(
    subject: Subject, known: Images, unseen: Images, *, generator: np.random.Generator
) -> dict[str, Any]:
    """Return the gain of each attacker who knows pairs under one key.

    Parameters
    ----------
    subject
        The cipher as it is used.
    known, unseen
        (n, rows, columns) and (m, rows, columns), of different patients.
    generator
        Of key and nonces.
    """
    key = subject.key(generator)
    both = np.concatenate([known, unseen])
    hidden = np.stack([subject.pixels(image, key, subject.nonce(generator)) for image in both])
    hidden = hidden.reshape(both.shape)
    mean = known.astype(np.float64).mean(0)
    guesses = {
        "ridge on values": _by_ridge(_bytes, hidden, known),
        "ridge on bits": _by_ridge(_bits, hidden, known),
        "network of four layers": _by_network(hidden, known),
    }
    return {name: gain_over_mean(unseen, found, mean) for name, found in guesses.items()}


def _spread(images: Images) -> Floats:
    """Return the standard deviation in each cell of a grid, as ranks: (n, cells)."""
    count, rows, columns = images.shape
    cells = images.astype(np.float64).reshape(count, _GRID, rows // _GRID, _GRID, columns // _GRID)
    found = cells.std((2, 4)).reshape(count, -1)
    ranks = found.argsort(1).argsort(1).astype(np.float64)
    return np.asarray(ranks - ranks.mean())


def _repeats(images: Images) -> Floats:
    """Return for each block of 16 values the place where it stood first: (n, blocks)."""
    flat = images.reshape(len(images), -1, _BLOCK)
    found = np.empty(flat.shape[:2])
    for number, blocks in enumerate(flat):
        first: dict[bytes, int] = {}
        found[number] = [first.setdefault(block.tobytes(), k) for k, block in enumerate(blocks)]
    return found


def _folded(images: Images) -> Floats:
    flat = images.reshape(len(images), -1).astype(np.int16)
    return np.sort(np.minimum(flat, 255 - flat), axis=1).astype(np.float64)


# What an attacker without the key compares with the images of a gallery.
_SIGNATURES: dict[str, Callable[[Images], Floats]] = {
    "histogram": lambda images: np.sort(images.reshape(len(images), -1), 1).astype(np.float64),
    "folded histogram": _folded,
    "repeated blocks": _repeats,
    "busy and quiet places": _spread,
    "values": lambda images: images.reshape(len(images), -1).astype(np.float64),
}


def recognise(
    subject: Subject, gallery: Images, *, trials: int, generator: np.random.Generator
) -> dict[str, Any]:
    """Return how often a cipher image under an unknown key is matched with its image.

    Parameters
    ----------
    subject
        The cipher; each trial has a key of its own.
    gallery
        (n, rows, columns), all different.
    trials
        Cipher images.
    generator
        Of images, keys and nonces.
    """
    chosen = generator.integers(0, len(gallery), trials)
    hidden = np.stack(
        [
            subject.pixels(gallery[number], subject.key(generator), subject.nonce(generator))
            for number in chosen
        ]
    ).reshape(trials, *gallery.shape[1:])
    found = {}
    for name, signature in _SIGNATURES.items():
        own, all_of_them = signature(hidden), signature(gallery)
        distances = np.abs(own[:, None] - all_of_them[None]).mean(2)
        # Equal distances are decided by lot, or constant signatures would find the first image.
        distances += generator.random(distances.shape) * 1e-9
        right = int(np.count_nonzero(distances.argmin(1) == chosen))
        found[name] = {
            "found": right / trials,
            "chance": 1 / len(gallery),
            "p_value": binomial_tail(right, trials, 1 / len(gallery)),
        }
    return found


def other_keys(cipher: LearnedCipher, known: Images, unseen: Images) -> dict[str, Any]:
    """Return what decoders of other keys restore of images under the first one: no key needed."""
    target, *others = cipher.keys
    mean = known.astype(np.float64).mean(0)
    hidden = cipher.encrypt_many(unseen, target)
    found = {}
    for number, key in enumerate(others, start=1):
        restored = cipher.decrypt_many(hidden, key).astype(np.float64)
        found[f"decoder of key {number}"] = gain_over_mean(unseen, restored, mean)
    shadow = np.concatenate([cipher.encrypt_many(known, key) for key in others])
    guessed = _by_network(np.concatenate([shadow, hidden]), np.concatenate([known] * len(others)))
    found["network trained on other keys"] = gain_over_mean(unseen, guessed, mean)
    return found
