"""Conditions under which marks are measured: a name, what is done to the copy, the rate wanted.

Each is one row of a table of results. `STANDARD` is what a copy must be expected to go through;
`EXTRA` is never trained on, so that it shows what a method makes of the unforeseen.

A crop of p % cuts p % of each *side* away, the harder reading: 10, 25 and 50 % keep 81, 56 and
25 % of the area. The 50 % crop is there in the other reading too, where half of the area stays.
The rectangle that is kept has the aspect of the image; where it lies is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medseal.imaging import MedicalImage
from medseal.protection.attacks import distortions
from medseal.protection.attacks.draws import random_distortion
from medseal.protection.attacks.levels import change_shown

__all__ = ["EXTRA", "STANDARD", "Distortion"]

Apply = Callable[[MedicalImage, np.random.Generator], MedicalImage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distortion:
    """A condition.

    Attributes
    ----------
    name
        Unique among all of them.
    group
        Conditions that are reported together.
    apply
        Returns the distorted copy; all that is random comes from the generator.
    blind_geometry
        True if places move or the size changes and the reader is not told how.
    least_exact_rate
        Share of messages that must be read without an error, 0 to 1; None where none is stated.
    """

    name: str
    group: str
    apply: Apply
    blind_geometry: bool = False
    least_exact_rate: float | None = None


def _crop(keep: float, *, black: bool) -> Apply:
    crop = distortions.crop_black if black else distortions.crop_resized
    return lambda image, rng: crop(image, keep=keep, place=rng.random(2).tolist())


def _random(*, count: int, moves: bool) -> Apply:
    def apply(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
        drawn = random_distortion(rng, strength=1.0, moves=moves, count=count)
        return change_shown(image, drawn.apply)

    return apply


def _grey_values() -> tuple[Distortion, ...]:
    applied: dict[str, Apply] = {
        "none": lambda image, _: image,
        "noise 5": lambda image, rng: distortions.gaussian_noise(image, sigma=5, rng=rng),
        "brightness +20 %": lambda image, _: distortions.brightness(image, share=0.2),
        "brightness -20 %": lambda image, _: distortions.brightness(image, share=-0.2),
        "contrast +20 %": lambda image, _: distortions.contrast(image, factor=1.2),
        "contrast -20 %": lambda image, _: distortions.contrast(image, factor=0.8),
        "gamma 0.7": lambda image, _: distortions.gamma(image, exponent=0.7),
        "gamma 1.4": lambda image, _: distortions.gamma(image, exponent=1.4),
        "CLAHE": lambda image, _: distortions.clahe(image),
        "window, percentiles 5 to 95": lambda image, _: distortions.window_percentiles(image),
        "12 to 8 bits": lambda image, rng: distortions.twelve_to_8_bits(image, rng=rng),
    }
    return tuple(
        Distortion(name=name, group="grey values", apply=apply, least_exact_rate=0.999)
        for name, apply in applied.items()
    )


def _compression() -> tuple[Distortion, ...]:
    def jpeg(quality: int) -> Apply:
        return lambda image, _: distortions.jpeg(image, quality=quality)

    def jpeg2000(ratio: float) -> Apply:
        return lambda image, _: distortions.jpeg2000_shown(image, ratio=ratio)

    rates = {90: 0.99, 70: 0.98, 50: 0.97, 30: 0.90}
    return (
        *(
            Distortion(name=f"JPEG {q}", group="JPEG", apply=jpeg(q), least_exact_rate=rate)
            for q, rate in rates.items()
        ),
        *(
            Distortion(name=f"JPEG 2000, {ratio} : 1", group="JPEG 2000", apply=jpeg2000(ratio))
            for ratio in (10, 25)
        ),
    )


def _noise_and_sampling() -> tuple[Distortion, ...]:
    applied: dict[str, Apply] = {
        "noise 10": lambda image, rng: distortions.gaussian_noise(image, sigma=10, rng=rng),
        "median 3 x 3": lambda image, _: distortions.median(image, size=3),
        "salt and pepper 1 %": lambda image, rng: distortions.salt_and_pepper(
            image, share=0.01, rng=rng
        ),
        "resize 0.5 and back": lambda image, _: distortions.resize_and_back(image, factor=0.5),
        "resize 0.75 and back": lambda image, _: distortions.resize_and_back(image, factor=0.75),
    }
    return tuple(
        Distortion(name=name, group="noise and sampling", apply=apply, least_exact_rate=0.97)
        for name, apply in applied.items()
    )


def _blurs() -> tuple[Distortion, ...]:
    def blur(sigma: float) -> Apply:
        return lambda image, _: distortions.blur(image, sigma=sigma)

    return tuple(
        Distortion(name=f"blur {sigma}", group="blur", apply=blur(sigma), least_exact_rate=rate)
        for sigma, rate in ((1, 0.99), (2, 0.97))
    )


def _crops() -> tuple[Distortion, ...]:
    kept = {
        "crop 10 % of each side": 0.9,
        "crop 25 % of each side": 0.75,
        "crop 50 % of each side": 0.5,
        "crop 50 % of the area": 0.5**0.5,
    }
    return tuple(
        Distortion(
            name=f"{name}, {'black' if black else 'resized back'}",
            group="crop",
            apply=_crop(keep, black=black),
            blind_geometry=not black,
            least_exact_rate=0.98,
        )
        for black in (True, False)
        for name, keep in kept.items()
    )


def _turns() -> tuple[Distortion, ...]:
    def rotate(degrees: float) -> Apply:
        return lambda image, _: distortions.rotate(image, degrees=degrees)

    applied: dict[str, tuple[Apply, float | None]] = {
        "rotation 1": (rotate(1), 0.98),
        "rotation 5": (rotate(5), 0.98),
        "rotation 15": (rotate(15), 0.98),
        "rotation 90": (lambda image, _: distortions.quarter_turn(image, turns=1), 0.98),
        "rotation 180": (lambda image, _: distortions.quarter_turn(image, turns=2), None),
        "flip of rows": (lambda image, _: distortions.flip(image, axis="rows"), 0.98),
        "flip of columns": (lambda image, _: distortions.flip(image, axis="columns"), 0.98),
        "transposition": (lambda image, _: distortions.transpose(image), None),
    }
    return tuple(
        Distortion(
            name=name, group="turns", apply=apply, blind_geometry=True, least_exact_rate=rate
        )
        for name, (apply, rate) in applied.items()
    )


def _combinations() -> tuple[Distortion, ...]:
    def turned(image: MedicalImage, _: np.random.Generator) -> MedicalImage:
        return distortions.jpeg(distortions.rotate(image, degrees=5), quality=70)

    def cropped(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
        return distortions.jpeg(_crop(0.75, black=False)(image, rng), quality=50)

    def windowed(image: MedicalImage, _: np.random.Generator) -> MedicalImage:
        small = distortions.resize_and_back(distortions.window_percentiles(image), factor=0.5)
        return distortions.jpeg(small, quality=70)

    applied: dict[str, tuple[Apply, bool]] = {
        "rotation 5, JPEG 70": (turned, True),
        "crop 25 % of each side, resized back, JPEG 50": (cropped, True),
        "window, resize 0.5 and back, JPEG 70": (windowed, False),
    }
    return tuple(
        Distortion(
            name=name,
            group="combinations",
            apply=apply,
            blind_geometry=blind,
            least_exact_rate=0.9,
        )
        for name, (apply, blind) in applied.items()
    )


def _unseen_in_place() -> dict[str, Apply]:
    return {
        "sharpen": lambda image, _: distortions.sharpen(image, sigma=1.0, amount=1.0),
        "inversion": lambda image, _: distortions.invert(image),
        "motion blur 7": lambda image, rng: distortions.motion_blur(
            image, length=7, degrees=rng.uniform(0, 180)
        ),
        "resize 0.35 and back": lambda image, _: distortions.resize_and_back(image, factor=0.35),
        "32 levels": lambda image, _: distortions.posterise(image, count=32),
        "bilateral filter": lambda image, _: distortions.bilateral(
            image, sigma_levels=12, sigma_pixels=2
        ),
        "non-local means": lambda image, _: distortions.non_local_means(image, strength=6),
        "two at random": _random(count=2, moves=False),
    }


def _unseen_moving() -> dict[str, Apply]:
    def corner(image: MedicalImage, _: np.random.Generator) -> MedicalImage:
        cropped = distortions.crop_resized(image, keep=0.65, place=(0.1, 0.9))
        return distortions.rotate(cropped, degrees=-7)

    return {
        "print and scan": lambda image, rng: distortions.print_and_scan(image, rng=rng),
        "columns 5 % wider": lambda image, _: distortions.resize_to(
            image, rows=image.rows, columns=round(image.columns * 1.05)
        ),
        "translation by 11 and 7": lambda image, _: distortions.rotate(
            image, degrees=0, shift=(11, -7)
        ),
        "screenshot": lambda image, _: distortions.screenshot(image),
        "crop near a corner, rotation -7": corner,
        "two at random, moving too": _random(count=2, moves=True),
    }


STANDARD: tuple[Distortion, ...] = (
    *_grey_values(),
    *_compression(),
    *_noise_and_sampling(),
    *_blurs(),
    *_crops(),
    *_turns(),
    *_combinations(),
)
EXTRA: tuple[Distortion, ...] = tuple(
    Distortion(name=name, group="unseen", apply=apply, blind_geometry=blind)
    for blind, applied in ((False, _unseen_in_place()), (True, _unseen_moving()))
    for name, apply in applied.items()
)
