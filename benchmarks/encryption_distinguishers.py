"""Chosen-plaintext distinguishers: which of two images is in a cipher image, by features or a CNN.

The attacker chooses two images and sees cipher images of both under one key, each with the nonce
that the cipher's use gives it. Half of them train a classifier; on the other half it must do better
than chance. No security claim rests on a learned method.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.encryption_subjects import Subject
from medseal.metrics.tails import binomial_tail
from medseal.protection.encryption.baselines import Bytes

__all__ = [
    "NOISE",
    "QUESTIONS",
    "Questions",
    "cnn_accuracy",
    "distinguish",
    "feature_accuracy",
    "features",
]

_LAGS = (1, 2, 3, 4, 8, 16, 32, 33)
_BLOCKS = (4, 16)
_BINS, _POOL = 16, 8
_RIDGE, _NEWTON_STEPS = 1.0, 8
_EPOCHS, _BATCH, _RATE = 6, 50, 2e-3

Features = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Two chosen images, or pairs of images, that shall be told apart.

    Attributes
    ----------
    name
        In tables.
    makes
        Takes the pictures of the attack and returns what is encrypted for answer 0 and for 1: one
        image, or two whose cipher images are XORed.
    """

    name: str
    makes: Callable[[NDArray[np.uint8]], tuple[tuple[Bytes, ...], tuple[Bytes, ...]]]


QUESTIONS = (
    Questions(
        name="black image or picture",
        makes=lambda pictures: ((np.zeros_like(pictures[0]),), (pictures[0],)),
    ),
    Questions(name="one picture or another", makes=lambda p: ((p[0],), (p[1],))),
    Questions(
        name="the same picture twice or two pictures",
        makes=lambda pictures: ((pictures[0], pictures[0]), (pictures[0], pictures[1])),
    ),
)

# Neither image compresses, so a form that compresses before it seals gives both one size.
NOISE = Questions(
    name="one noise or another",
    makes=lambda pictures: tuple(  # type: ignore[arg-type,return-value]
        (np.random.default_rng(seed).integers(0, 256, pictures[0].shape, dtype=np.uint8),)
        for seed in (1, 2)
    ),
)


def _seen(
    subject: Subject, images: tuple[Bytes, ...], key: bytes, generator: np.random.Generator
) -> Bytes:
    hidden = [subject.pixels(image, key, subject.nonce(generator)) for image in images]
    return hidden[0] if len(hidden) == 1 else np.asarray(hidden[0] ^ hidden[1], np.uint8)


def answers(
    subject: Subject,
    question: Questions,
    pictures: NDArray[np.uint8],
    trials: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.uint8], Labels]:
    """Return what the attacker sees, (trials, rows, columns), and which image it came from."""
    key, choices = subject.key(generator), question.makes(pictures)
    labels = generator.permutation(np.arange(trials) % 2)
    seen = [_seen(subject, choices[label], key, generator) for label in labels]
    return np.stack(seen).reshape(trials, *pictures.shape[1:]), labels.astype(np.int64)


def features(seen: NDArray[np.uint8]) -> Features:
    """Return the numbers that the attacker looks at, of each image: (n, features).

    Histogram, bit planes, correlations and equal values at several distances, distinct blocks, and
    means over a grid of 8 x 8.
    """
    count, rows, columns = seen.shape
    flat = seen.reshape(count, -1)
    size = flat.shape[1]
    values = flat.astype(np.float64)
    centred = values - values.mean(1, keepdims=True)
    spread = (centred**2).mean(1) + 1e-9
    columns_found = [
        np.stack([(flat >> 4 == level).mean(1) for level in range(_BINS)], 1),
        np.stack([(flat >> bit & 1).mean(1) for bit in range(8)], 1),
        values.mean(1)[:, None] / 255,
        np.sqrt(spread)[:, None] / 255,
    ]
    for lag in _LAGS:
        product = (centred[:, lag:] * centred[:, :-lag]).mean(1) / spread
        equal = (flat[:, lag:] == flat[:, :-lag]).mean(1)
        columns_found += [product[:, None], equal[:, None]]
    for block in _BLOCKS:
        whole = np.ascontiguousarray(flat[:, : size // block * block])
        words = whole.view(f"V{block}")
        distinct = [len({bytes(word) for word in row}) / words.shape[1] for row in words]
        columns_found.append(np.array(distinct)[:, None])
    pooled = values.reshape(count, _POOL, rows // _POOL, _POOL, columns // _POOL).mean((2, 4))
    columns_found.append(pooled.reshape(count, -1) / 255)
    return np.concatenate(columns_found, axis=1)


def _standardised(first: Features, second: Features) -> tuple[Features, Features]:
    mean, spread = first.mean(0), first.std(0) + 1e-9
    ones = (np.ones((len(part), 1)) for part in (first, second))
    parts = ((part - mean) / spread for part in (first, second))
    # What was constant in training and is not in the test would count without a limit.
    found = [np.hstack([one, np.clip(part, -5, 5)]) for one, part in zip(ones, parts, strict=True)]
    return found[0], found[1]


def feature_accuracy(seen: NDArray[np.uint8], labels: Labels) -> int:
    """Return how many of the second half a logistic regression, fitted on the first, gets right."""
    half = len(labels) // 2
    found = features(seen)
    train, test = _standardised(found[:half], found[half:])
    weights = np.zeros(train.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(train @ weights, -30, 30)))
        curvature = train.T @ (train * (chance * (1 - chance))[:, None])
        gradient = train.T @ (chance - labels[:half]) + _RIDGE * weights
        weights -= np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
    return int(np.count_nonzero((test @ weights > 0) == (labels[half:] == 1)))


def _network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),  # (B, 16, H/2, W/2)
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),  # (B, 32, H/4, W/4)
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),  # (B, 32, 4, 4)
        nn.Flatten(),
        nn.Linear(512, 1),
    )


def cnn_accuracy(seen: NDArray[np.uint8], labels: Labels, *, seed: int = 1) -> int:
    """Return how many of the second half a small CNN, trained on the first, gets right."""
    half = len(labels) // 2
    inputs = torch.from_numpy(seen.astype(np.float32) / 127.5 - 1)[:, None]
    targets = torch.from_numpy(labels.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network()
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
        for _ in range(_EPOCHS):
            for chosen in torch.split(torch.randperm(half), _BATCH):
                loss = functional.binary_cross_entropy_with_logits(
                    network(inputs[chosen])[:, 0], targets[chosen]
                )
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    with torch.no_grad():
        decided = torch.cat([network(part)[:, 0] > 0 for part in torch.split(inputs[half:], 500)])
    return int((decided == (targets[half:] == 1)).sum())


def distinguish(
    subject: Subject,
    pictures: NDArray[np.uint8],
    *,
    trials: int,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """Return accuracy and p-value of both classifiers for every question.

    A cipher that compresses first is asked about images of one compressed size alone: that its
    size tells the content is a finding of its own.

    Parameters
    ----------
    subject
        The cipher as it is used.
    pictures
        (n, 32, 32) of uint8, the first two of which are asked for.
    trials
        Cipher images, half of them for training.
    generator
        Of keys, nonces and order.
    """
    found: dict[str, Any] = {}
    for question in (NOISE,) if subject.compresses else (*QUESTIONS, NOISE):
        seen, labels = answers(subject, question, pictures, trials, generator)
        tested = len(labels) - len(labels) // 2
        for judge, right in (
            ("features", feature_accuracy(seen, labels)),
            ("cnn", cnn_accuracy(seen, labels)),
        ):
            found[f"{question.name}, {judge}"] = {
                "accuracy": right / tested,
                "tested": tested,
                "p_value": binomial_tail(right, tested, 0.5),
            }
    return found
