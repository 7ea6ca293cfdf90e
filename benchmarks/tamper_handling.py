"""What copies go through in good faith in the tamper benchmark, and where a mask lies then.

Settings are drawn for each copy over their whole range. What stands under ``beyond`` changes an
image more than benign handling is expected to, and is reported apart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError
from medseal.imaging import MedicalImage, WrittenFormat, encode, read_bytes
from medseal.imaging.image import frozen
from medseal.protection.attacks import distortions

__all__ = ["BEYOND", "EXACT_GROUPS", "HANDLED", "Handled", "moved"]

BEYOND = "beyond"
# Groups of handling that keep every value.
EXACT_GROUPS = frozenset({"none", "lossless", "turn"})
# Level from which a place of a mask that was resampled belongs to it.
_HALF = 127

Flags = NDArray[np.bool_]
Apply = Callable[[MedicalImage, np.random.Generator], MedicalImage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """A step or a chain.

    Attributes
    ----------
    name
        Unique.
    group
        ``none``, ``lossless`` and ``turn`` keep every value; all others do not.
    processing
        What it is counted under.
    apply
        Returns the copy; all that is random comes from the generator.
    geometry
        The part of it that moves places or changes the size, with the same draws; None if none
        does.
    is_named
        Whether it is among what edits of 8 px must be found behind.
    """

    name: str
    group: str
    processing: str
    apply: Apply
    geometry: Apply | None = None
    is_named: bool = False


def moved(handled: Handled, mask: Flags, seed: int, copy: MedicalImage) -> Flags:
    """Return where a mask lies on a copy that was made with this seed.

    Raises
    ------
    ImageMismatchError
        The copy has another size than the mask afterwards.
    """
    there = mask
    if handled.geometry is not None:
        white = MedicalImage(
            stored_values=frozen(np.where(mask, 255, 0).astype(np.uint8)[None, :, :, None]),
            bits_stored=8,
            is_signed=False,
            photometric_interpretation="MONOCHROME2",
            source_format="png",
            decoder="mask",
        )
        shown = handled.geometry(white, np.random.default_rng(seed))
        there = np.asarray(shown.stored_values[0, :, :, 0] > _HALF, np.bool_)
    if there.shape != (copy.rows, copy.columns):
        raise ImageMismatchError(f"{handled.name}: the mask does not lie on the copy")
    return there


def _again(name: WrittenFormat) -> Apply:
    return lambda image, _: read_bytes(encode(image, name), name="copy")


def _drawn(change: Callable[..., MedicalImage], **ranges: tuple[float, float]) -> Apply:
    """Return a distortion whose settings are drawn uniformly, in the order given."""

    def apply(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
        return change(image, **{name: rng.uniform(*ends) for name, ends in ranges.items()})

    return apply


def _noisy(change: Callable[..., MedicalImage], **ranges: tuple[float, float]) -> Apply:
    def apply(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
        drawn = {name: rng.uniform(*ends) for name, ends in ranges.items()}
        return change(image, **drawn, rng=rng)

    return apply


def _jpeg(low: int, high: int) -> Apply:
    return lambda image, rng: distortions.jpeg(image, quality=int(rng.integers(low, high + 1)))


def _jpeg2000(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    return distortions.jpeg2000(image, psnr_db=int(rng.integers(38, 53)))


def _crop(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    """Cut up to a tenth of each side away, more on the one border than on the other."""
    keep, place = 1 - rng.uniform(0.01, 0.1, 2), rng.random(2)
    rows, columns = (round(s * k) for s, k in zip((image.rows, image.columns), keep, strict=True))
    top, left = round((image.rows - rows) * place[0]), round((image.columns - columns) * place[1])
    return distortions.crop(image, top=top, left=left, rows=rows, columns=columns)


def _crop_resized(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    keep, place = float(rng.uniform(0.9, 0.99)), rng.random(2).tolist()
    return distortions.crop_resized(image, keep=keep, place=place)


def _scaled(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    return distortions.resize(image, factor=float(2 ** rng.uniform(-1, 1)))


def _turned(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    sign = 1 if rng.random() < 0.5 else -1  # noqa: PLR2004  either way
    return distortions.rotate(image, degrees=sign * rng.uniform(0.3, 7))


def _turned_any(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
    turned = distortions.quarter_turn(image, turns=int(rng.integers(4)))
    return distortions.flip(turned, axis="rows") if rng.integers(2) else turned


def _quarter(turns: int) -> Apply:
    return lambda image, _: distortions.quarter_turn(image, turns=turns)


def _then(*steps: Apply) -> Apply:
    """Return steps in sequence, each with a generator of its own."""

    def apply(image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
        for step, seed in zip(steps, rng.integers(2**63, size=len(steps)), strict=True):
            image = step(image, np.random.default_rng(seed))
        return image

    return apply


def _stay(image: MedicalImage, _: np.random.Generator) -> MedicalImage:
    return image


def _exact() -> tuple[Handled, ...]:
    turns: Mapping[str, Apply] = {
        **{f"turn by {90 * turns} degrees": _quarter(turns) for turns in (1, 2, 3)},
        "rows in reverse": lambda image, _: distortions.flip(image, axis="rows"),
        "columns in reverse": lambda image, _: distortions.flip(image, axis="columns"),
        "transposition": lambda image, _: distortions.transpose(image),
    }
    formats: tuple[WrittenFormat, ...] = ("png", "tiff", "dicom")
    return (
        Handled(name="none", group="none", processing="none", apply=_stay),
        *(
            Handled(
                name=f"saved as {name}", group="lossless", processing="lossless", apply=_again(name)
            )
            for name in formats
        ),
        *(
            Handled(name=name, group="turn", processing="turn", apply=apply, geometry=apply)
            for name, apply in turns.items()
        ),
    )


def _compressed() -> tuple[Handled, ...]:
    found = {
        "JPEG 90 to 98": (_jpeg(90, 98), "JPEG", True),
        "JPEG 70 to 89": (_jpeg(70, 89), "JPEG", True),
        "JPEG 50 to 69": (_jpeg(50, 69), "JPEG", True),
        "JPEG 2000, 38 to 52 dB": (_jpeg2000, "JPEG 2000", False),
        "JPEG 2000 of 8 bits, 4 to 15 : 1": (
            _drawn(distortions.jpeg2000_shown, ratio=(4.0, 15.0)),
            "JPEG 2000",
            False,
        ),
    }
    return tuple(
        Handled(name=name, group="compression", processing=kind, apply=apply, is_named=named)
        for name, (apply, kind, named) in found.items()
    )


def _values() -> tuple[Handled, ...]:
    d = distortions
    found: Mapping[str, tuple[Apply, str, bool]] = {
        "8 bits as shown": (lambda image, _: d.window_to_8_bit(image), "window", True),
        "narrower window": (
            _drawn(d.window_to_8_bit, low=(0.0, 0.08), high=(0.92, 1.0)),
            "window",
            True,
        ),
        "wider window": (
            _drawn(d.window_to_8_bit, low=(-0.15, 0.0), high=(1.0, 1.2)),
            "window",
            True,
        ),
        "gamma 0.7 to 1.4": (_drawn(d.gamma, exponent=(0.7, 1.4)), "gamma", True),
        "contrast 0.8 to 1.25": (_drawn(d.contrast, factor=(0.8, 1.25)), "contrast", False),
        "brightness to 12 %": (_drawn(d.brightness, share=(-0.12, 0.12)), "contrast", False),
        "inversion": (lambda image, _: d.invert(image), "contrast", False),
        "noise 1 to 5": (_noisy(d.gaussian_noise, sigma=(1.0, 5.0)), "noise", False),
        "12 bits, then 8": (lambda image, rng: d.twelve_to_8_bits(image, rng=rng), "window", False),
        "blur 0.4 to 1.2": (_drawn(d.blur, sigma=(0.4, 1.2)), "blur", False),
        "resize down and back": (_drawn(d.resize_and_back, factor=(0.5, 0.9)), "resize", True),
    }
    return tuple(
        Handled(name=name, group="values", processing=kind, apply=apply, is_named=named)
        for name, (apply, kind, named) in found.items()
    )


def _geometry() -> tuple[Handled, ...]:
    found = {
        "resize 0.5 to 2": (_scaled, "resize", True),
        "rotation to 7 degrees": (_turned, "rotation", True),
        "crop to 10 %": (_crop, "crop", True),
        "crop to 10 %, resized back": (_crop_resized, "crop", True),
    }
    return tuple(
        Handled(
            name=name,
            group="geometry",
            processing=kind,
            apply=apply,
            geometry=apply,
            is_named=named,
        )
        for name, (apply, kind, named) in found.items()
    )


def _chains() -> tuple[Handled, ...]:
    """Return chains; in the geometry of each, the steps that keep every place do nothing."""
    jpeg, gamma = _jpeg(60, 95), _drawn(distortions.gamma, exponent=(0.8, 1.25))
    noise = _noisy(distortions.gaussian_noise, sigma=(1.0, 3.0))
    window = _drawn(distortions.window_to_8_bit, low=(0.0, 0.05), high=(0.95, 1.0))
    found = {
        "turn or flip, JPEG": ((_turned_any, jpeg), (0,)),
        "rotation, JPEG": ((_turned, jpeg), (0,)),
        "crop, resize, JPEG": ((_crop, _scaled, jpeg), (0, 1)),
        "window, resize": ((window, _scaled), (1,)),
        "gamma, rotation, JPEG": ((gamma, _turned, jpeg), (1,)),
        "JPEG twice": ((jpeg, jpeg), ()),
        "noise, JPEG": ((noise, jpeg), ()),
        "window, crop, JPEG": ((window, _crop, jpeg), (1,)),
    }
    return tuple(
        Handled(
            name=name,
            group="chain",
            processing="chain",
            apply=_then(*steps),
            geometry=_then(*(s if i in moving else _stay for i, s in enumerate(steps)))
            if moving
            else None,
        )
        for name, (steps, moving) in found.items()
    )


def _beyond() -> tuple[Handled, ...]:
    d = distortions
    found: Mapping[str, Apply] = {
        "CLAHE": lambda image, _: d.clahe(image),
        "sharpened": _drawn(d.sharpen, sigma=(0.7, 1.5), amount=(0.3, 1.0)),
        "median 3 x 3": lambda image, _: d.median(image, size=3),
        "bilateral filter": lambda image, _: d.bilateral(image, sigma_levels=12, sigma_pixels=2),
        "non-local means": lambda image, _: d.non_local_means(image, strength=5),
        "32 levels": lambda image, _: d.posterise(image, count=32),
        "JPEG 30": _jpeg(30, 30),
        "noise 10": _noisy(d.gaussian_noise, sigma=(10.0, 10.0)),
    }
    moving: Mapping[str, Apply] = {
        "columns 5 % wider": lambda image, _: d.resize_to(
            image, rows=image.rows, columns=round(image.columns * 1.05)
        ),
        "rotation by 15 degrees": lambda image, _: d.rotate(image, degrees=15),
        "screenshot": lambda image, _: d.screenshot(image),
        "print and scan": lambda image, rng: d.print_and_scan(image, rng=rng),
    }
    return tuple(
        Handled(
            name=name,
            group=BEYOND,
            processing=BEYOND,
            apply=apply,
            geometry=apply if name in moving else None,
        )
        for name, apply in {**found, **moving}.items()
    )


HANDLED: tuple[Handled, ...] = (
    *_exact(),
    *_compressed(),
    *_values(),
    *_geometry(),
    *_chains(),
    *_beyond(),
)
