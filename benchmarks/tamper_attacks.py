"""Attackers who know the method and the weights, not the key: places, tiny edits, search, gradient.

Each plants a lesion in the levels of an image, hides it as well as he can, and saves the image as
JPEG. `caught` is the share that the check with the true key calls tampered.
"""

import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.tamper_trials import Sample, one_image
from medseal import weights
from medseal.imaging import MedicalImage
from medseal.protection.attacks import distortions
from medseal.protection.attacks.levels import Levels, change_levels, levels_of
from medseal.protection.tamper import Fingerprint, check, fingerprint
from medseal.protection.tamper.canonical import TILE, brightness
from medseal.protection.tamper.reference.config import NetworkConfig
from medseal.protection.tamper.reference.networks import ReferenceNetwork

__all__ = [
    "attacks",
    "features_of",
    "hidden_by_gradient",
    "hidden_by_search",
    "lesion",
    "surrogate_network",
    "tiny",
]

_SIDE = 512
_QUALITY = 85
_RADIUS, _CONTRAST = 7.0, 0.2
_TINY, _TINY_RADIUS, _TINY_CONTRAST = 40, 2.0, 0.12
# What hides a lesion may change each place by so much, in levels, within a window around it.
_MOST_CHANGE = 12.0
_WINDOW = 64
_SEARCH_STEPS, _SEARCH_GRAIN = 24, 3.0
_GRADIENT_STEPS, _RATE = 80, 0.6
# Planes as the network takes them: levels less 128 in units of 64.
_MIDDLE, _UNIT = 128.0, 64.0

Plane = NDArray[np.float32]
Place = tuple[float, float]


def lesion(shape: tuple[int, int], place: Place, *, radius: float, contrast: float) -> Plane:
    """Return a bump with a cosine profile, `contrast` of the range at its top: (rows, columns)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(rows - place[0], columns - place[1]) / radius
    height = np.where(distance < 1, (1 + np.cos(np.pi * np.minimum(distance, 1))) / 2, 0)
    return np.asarray(height * contrast * 255, np.float32)


def tiny(shape: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Return many small faint bumps, dark and bright ones: (rows, columns)."""
    change = np.zeros(shape, np.float32)
    for _ in range(_TINY):
        place = (rng.uniform(16, shape[0] - 16), rng.uniform(16, shape[1] - 16))
        sign = 1 if rng.integers(2) else -1
        change += sign * lesion(shape, place, radius=_TINY_RADIUS, contrast=_TINY_CONTRAST)
    return change


def _with_change(image: MedicalImage, change: Plane) -> MedicalImage:
    def changed(levels: Levels) -> Levels:
        added = change if levels.ndim == change.ndim else change[:, :, None]
        return np.asarray(np.clip(levels + added, 0, 255), np.float32)

    return change_levels(image, changed)


def _saved(image: MedicalImage) -> MedicalImage:
    return distortions.jpeg(image, quality=_QUALITY)


def _window(place: Place, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return the places around a lesion, aligned to tiles and inside of the image."""
    starts = (
        int(np.clip((p - _WINDOW / 2) // TILE * TILE, 0, side - _WINDOW))
        for p, side in zip(place, shape, strict=True)
    )
    down, across = starts
    return slice(down, down + _WINDOW), slice(across, across + _WINDOW)


def _smooth(rng: np.random.Generator) -> Plane:
    """Return noise of one level with details of a few places: (window, window)."""
    spectrum = np.fft.rfft2(rng.normal(size=(_WINDOW, _WINDOW)))
    frequency = np.hypot(np.fft.fftfreq(_WINDOW)[:, None], np.fft.rfftfreq(_WINDOW)[None])
    field = np.fft.irfft2(spectrum * np.exp(-((frequency * 6) ** 2)), s=(_WINDOW, _WINDOW))
    return np.asarray(field / field.std(), np.float32)


def hidden_by_search(
    image: MedicalImage, change: Plane, place: Place, rng: np.random.Generator
) -> Plane:
    """Return the change with noise around it that lowers the score under a key of one's own.

    The attacker enrols the original himself and climbs: a random field is kept if the score of
    the saved copy falls.
    """
    key = secrets.token_bytes(32)
    record = fingerprint(image, key)

    def score(tried: Plane) -> float:
        return check(_saved(_with_change(image, tried)), record, key).score

    inside = _window(place, (image.rows, image.columns))
    best, lowest = change, score(change)
    for _ in range(_SEARCH_STEPS):
        tried = best.copy()
        moved = tried[inside] - change[inside] + _SEARCH_GRAIN * _smooth(rng)
        tried[inside] = change[inside] + np.clip(moved, -_MOST_CHANGE, _MOST_CHANGE)
        found = score(tried)
        if found < lowest:
            best, lowest = tried, found
    return best


def surrogate_network() -> ReferenceNetwork:
    """Return the shipped networks with gradients, as an attacker builds them."""
    _, tensors = weights.load(weights.default_for("tamper"))

    def size(name: str) -> int:
        return len(tensors[f"{name}.bias"])

    scales = ("trunk.halves", "trunk.quarters", "trunk.eighths", "trunk.tile")
    config = NetworkConfig(
        channels=tuple(map(size, scales)),
        features=size("features"),
        inner=size("compare"),
        blocks=sum(name.startswith("inner.") and name.endswith("first.bias") for name in tensors),
    )
    network = ReferenceNetwork(config)
    known = {name: torch.tensor(np.array(tensors[name])) for name in network.state_dict()}
    network.load_state_dict(known)
    return network.eval().requires_grad_(requires_grad=False)


def features_of(network: ReferenceNetwork, plane: Tensor) -> Tensor:
    """Return the features of the tiles of a plane of levels."""
    found: Tensor = network.read(((plane - _MIDDLE) / _UNIT)[None, None])[1]
    return found


def hidden_by_gradient(
    network: ReferenceNetwork, image: MedicalImage, change: Plane, place: Place
) -> Plane:
    """Return the change with what brings all features of its tiles back to those of the original.

    No key is needed for that: it is the strongest thing that an attacker with the weights can aim
    at, since every readout is a sum of these features.
    """
    plane = brightness(levels_of(image, frame=0))
    inside = _window(place, (image.rows, image.columns))
    # Wider than the window, so that its own features are right.
    around = tuple(
        slice(max(part.start - 2 * TILE, 0), min(part.stop + 2 * TILE, _SIDE)) for part in inside
    )
    there = tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(inside, around, strict=True)
    )
    original = torch.tensor(plane[around])
    planted = torch.tensor(np.clip(plane[around] + change[around], 0, 255))
    wanted = features_of(network, original)
    hiding = torch.zeros((_WINDOW, _WINDOW), requires_grad=True)
    optimiser = torch.optim.Adam([hiding], lr=_RATE)
    for _ in range(_GRADIENT_STEPS):
        tried = planted.clone()
        tried[there] = tried[there] + hiding.clamp(-_MOST_CHANGE, _MOST_CHANGE)
        loss = (features_of(network, tried) - wanted).square().sum()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    result = change.copy()
    result[inside] += np.clip(hiding.detach().numpy(), -_MOST_CHANGE, _MOST_CHANGE)
    return result


def _places(rng: np.random.Generator) -> dict[str, Place]:
    """Return the centre of a tile well inside of the image, and the corner of four tiles."""
    down, across = (int(rng.integers(6, _SIDE // TILE - 6)) * TILE for _ in range(2))
    half = TILE / 2
    return {"centre": (down + half, across + half), "corner": (float(down), float(across))}


def _variants(
    image: MedicalImage, rng: np.random.Generator, network: ReferenceNetwork, *, searches: bool
) -> dict[str, Callable[[], Plane]]:
    shape = (image.rows, image.columns)
    places = _places(rng)
    here = places["centre"]
    plain = lesion(shape, here, radius=_RADIUS, contrast=_CONTRAST)
    at_corner = lesion(shape, places["corner"], radius=_RADIUS, contrast=_CONTRAST)
    variants: dict[str, Callable[[], Plane]] = {
        "no edit": lambda: np.zeros(shape, np.float32),
        "lesion in the middle of a tile": lambda: plain,
        "lesion where four tiles meet": lambda: at_corner,
        "many tiny edits": lambda: tiny(shape, rng),
        "hidden by a gradient on all features": lambda: hidden_by_gradient(
            network, image, plain, here
        ),
    }
    if searches:
        variants["hidden by a search under another key"] = lambda: hidden_by_search(
            image, plain, here, rng
        )
    return variants


def attacks(items: Sequence[Sample], *, searches: int) -> dict[str, Any]:
    """Return for each attack how many copies are caught, undecided, and the mean score.

    Parameters
    ----------
    items
        Images; those whose middle is not 512 x 512 are left out, so that places of the canonical
        plane are places of the image.
    searches
        Images on which the search is made, which takes a check for each of its steps.
    """
    torch.set_num_threads(1)
    network = surrogate_network()
    found: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
    used = 0
    for item in items:
        image = one_image(item.path)
        if (image.rows, image.columns) != (_SIDE, _SIDE):
            continue
        key = secrets.token_bytes(32)
        record = Fingerprint.from_bytes(fingerprint(image, key).to_bytes())
        rng = np.random.default_rng(used)
        for name, change in _variants(image, rng, network, searches=used < searches).items():
            report = check(_saved(_with_change(image, change())), record, key)
            flags = (report.outcome == "tampered", report.outcome == "unverifiable")
            found[name].append((*flags, report.score))
        used += 1
    return {
        name: {
            "images": len(rows),
            "caught": sum(row[0] for row in rows),
            "undecided": sum(row[1] for row in rows),
            "mean_score": fmean(row[2] for row in rows),
        }
        for name, rows in found.items()
    }
