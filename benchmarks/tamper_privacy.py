"""What a trained decoder sees of an image in the robust part of its fingerprint.

The record is encrypted wherever it is kept; this is what it shows to somebody who opened it. The
decoder is trained on training patients and measured on test patients, beside predictors that see
less: the mean of all images, and the coarse picture alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tamper_trials import one_image, sample
from medseal.datasets.material import Material, test_files, training_files
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import CanonicalGrid, brightness, resampled
from medseal.protection.tamper.reference.codes import MODULUS, Readout
from medseal.protection.tamper.reference.inference import Networks, load
from medseal.protection.tamper.reference.picture import CoarsePicture

__all__ = ["Decoder", "Seen", "decoded", "privacy", "seen"]

_TILES = 32
# Places a side of a tile in the picture that is decoded.
_CELLS = 4
_CHANNELS = 96
_WHITE = 255.0
_BATCH, _RATE = 16, 1e-3
_SEED = 5

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """An image and what its record shows.

    Attributes
    ----------
    picture
        (128, 128), means of the canonical plane, 0 to 1.
    coarse
        (1, 32, 32), the coarse picture, 0 to 1.
    codes
        (2 F, 32, 32), codes brought back to features by a known key, as cosines and sines.
    """

    picture: Plane
    coarse: Plane
    codes: Plane


def seen(plane: Plane, key: bytes, networks: Networks) -> Seen:
    """Return what the record of a square image shows to somebody who holds its key."""
    grid = CanonicalGrid(down=_TILES, across=_TILES)
    canonical = resampled(plane, grid.shape)
    picture = CoarsePicture.of(canonical)
    read = Readout.of(key, tiles=grid.tiles, features=networks.features)
    codes = read.codes(networks.read(canonical).features)
    phase = 2 * np.pi * (codes + 0.5 - read.offsets) / MODULUS
    maps = [
        np.einsum("tmf,tm->ft", read.signs, part) / np.sqrt(codes.shape[1])
        for part in (np.cos(phase), np.sin(phase))
    ]
    side = _TILES * _CELLS
    cell = grid.shape[0] // side
    small = canonical.reshape(side, cell, side, cell).mean(axis=(1, 3))
    return Seen(
        picture=np.asarray(small / _WHITE, np.float32),
        coarse=np.asarray(picture.coarse[None] / _WHITE, np.float32),
        codes=np.concatenate(maps).reshape(-1, _TILES, _TILES).astype(np.float32),
    )


class Decoder(nn.Module):
    """Maps of tiles to a picture of four places a side of each."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inside, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_CHANNELS, _CELLS**2, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return pictures (B, 1, 128, 128) for maps (B, C, 32, 32), the coarse one first."""
        coarse = functional.interpolate(
            maps[:, :1], scale_factor=float(_CELLS), mode="bilinear", align_corners=False
        )
        detail: Tensor = functional.pixel_shuffle(self.layers(maps), _CELLS)
        return coarse + detail


def _psnr(found: Plane, wanted: Plane) -> float:
    return float(-10 * np.log10(max(float(np.mean((found - wanted) ** 2)), 1e-12)))


def decoded(
    training: Sequence[Seen], test: Sequence[Seen], given: Callable[[Seen], Plane], *, steps: int
) -> float:
    """Return the mean peak signal-to-noise ratio in dB that a decoder reaches on the test images.

    Parameters
    ----------
    training, test
        Images of different patients.
    given
        Returns the maps that the decoder sees.
    steps
        Of its training.
    """
    torch.manual_seed(_SEED)
    rng = np.random.default_rng(_SEED)
    network = Decoder(given(training[0]).shape[0])
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        drawn = [training[place] for place in rng.integers(len(training), size=_BATCH)]
        maps = torch.tensor(np.stack([given(one) for one in drawn]))
        wanted = torch.tensor(np.stack([one.picture for one in drawn]))[:, None]
        loss = functional.mse_loss(network(maps), wanted)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        pictures = [network(torch.tensor(given(one))[None])[0, 0].numpy() for one in test]
    return fmean(_psnr(picture, one.picture) for picture, one in zip(pictures, test, strict=True))


def _read(files: Sequence[Material], data: Path, images: int) -> list[Seen]:
    rng, networks = np.random.default_rng(_SEED), load()
    found = []
    for item in sample(files, data, images=images):
        plane = brightness(levels_of(one_image(item.path), frame=0))
        side = min(plane.shape)
        top, left = ((length - side) // 2 for length in plane.shape)
        square = np.ascontiguousarray(plane[top : top + side, left : left + side])
        found.append(seen(square, rng.bytes(32), networks))
    return found


def privacy(data: Path, *, images: int, steps: int) -> dict[str, Any]:
    """Return the PSNR of pictures of 128 x 128 by what is known of the image, in dB.

    Parameters
    ----------
    data
        As for `datasets.material.training_files`.
    images
        Most of each folder to train on; an eighth of that to test on.
    steps
        Of each decoder's training.
    """
    torch.set_num_threads(1)
    training = _read(training_files(data), data, images)
    test = _read(test_files(data), data, max(images // 8, 1))
    mean = np.mean([one.picture for one in training], axis=0)
    return {
        "training_images": len(training),
        "test_images": len(test),
        "mean_of_all_images_db": fmean(_psnr(mean, one.picture) for one in test),
        "decoder_of_the_coarse_picture_db": decoded(
            training, test, lambda one: one.coarse, steps=steps
        ),
        "decoder_with_codes_and_key_db": decoded(
            training, test, lambda one: np.concatenate([one.coarse, one.codes]), steps=steps
        ),
    }
