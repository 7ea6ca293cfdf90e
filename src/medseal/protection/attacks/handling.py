"""What honest people do with an image, by name: saved again, turned, cut, compressed, windowed.

`HANDLING` is what a check of an untouched copy must not take for a forgery; `LOSSY_CHAINS` is what
a forgery may be followed by. Settings that are drawn come from the generator, and with them how a
mask goes through the same geometry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.protection.attacks import distortions, geometry, transcoding
from medseal.protection.attacks.levels import Levels

__all__ = ["HANDLING", "LOSSY_CHAINS", "Act", "Group", "Handling"]

Group = Literal["lossless", "geometric", "lossy"]
Mask = NDArray[np.bool_]

_HALF = 0.5
_MOST_DEGREES, _LEAST_DEGREES = 7.0, 1.0
_MOST_CUT = 0.1


def _same_places(mask: Mask) -> Mask:
    return mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One handling with its settings drawn; the same image gives the same copy each time.

    Attributes
    ----------
    image
        Returns the copy.
    mask
        Takes a mask (rows, columns) of the image and returns that of the copy. A place of the
        copy is marked if at least half of it comes from marked places; if no place is, those are
        that come closest.
    """

    image: Callable[[MedicalImage], MedicalImage]
    mask: Callable[[Mask], Mask] = _same_places


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """A benign operation.

    Attributes
    ----------
    name
        Unique within `HANDLING` and within `LOSSY_CHAINS`.
    group
        ``lossless``: equal values in another file, or an inversion that is declared;
        ``geometric``: places move or the size changes; ``lossy``: all else.
    draw
        Returns an `Act`; all that is random comes from the generator.
    """

    name: str
    group: Group
    draw: Callable[[np.random.Generator], Act]

    def apply(self, image: MedicalImage, rng: np.random.Generator) -> MedicalImage:
        """Return the copy.

        Raises
        ------
        UnsupportedImageError
            The format cannot hold the image, or it has no levels (palette).
        """
        return self.draw(rng).image(image)

    def apply_with_mask(
        self, image: MedicalImage, mask: Mask, rng: np.random.Generator
    ) -> tuple[MedicalImage, Mask]:
        """Return the copy and where the places of a mask went; errors as for `apply`."""
        act = self.draw(rng)
        return act.image(image), act.mask(mask)


def _carried(move: Callable[[Levels], Levels]) -> Callable[[Mask], Mask]:
    """Return how a mask goes through a change of places."""

    def carry(mask: Mask) -> Mask:
        share = move(mask.astype(np.float32))
        most = float(share.max(initial=0.0))
        if most <= 0:
            return np.zeros(share.shape, np.bool_)
        return np.asarray(share >= min(_HALF, most), np.bool_)

    return carry


def _fixed(image: Callable[[MedicalImage], MedicalImage]) -> Callable[[np.random.Generator], Act]:
    """Return the draw of a handling without settings that leaves places where they are."""
    return lambda _: Act(image=image)


# --- Geometry ---------------------------------------------------------------------------------


def _turn(_: np.random.Generator, *, turns: int) -> Act:
    return Act(
        image=lambda image: distortions.quarter_turn(image, turns=turns),
        mask=lambda mask: np.ascontiguousarray(np.rot90(mask, turns)),
    )


def _flip(_: np.random.Generator, *, axis: str) -> Act:
    number = {"rows": 0, "columns": 1}[axis]
    return Act(
        image=lambda image: distortions.flip(image, axis=axis),
        mask=lambda mask: np.ascontiguousarray(np.flip(mask, number)),
    )


def _scaled(factor: float) -> Act:
    def carry(mask: Levels) -> Levels:
        rows, columns = (max(round(side * factor), 1) for side in mask.shape)
        return geometry.resize_to(mask, rows=rows, columns=columns)

    return Act(image=lambda image: distortions.resize(image, factor=factor), mask=_carried(carry))


def _scale(_: np.random.Generator, *, factor: float) -> Act:
    return _scaled(factor)


def _any_scale(rng: np.random.Generator) -> Act:
    return _scaled(float(np.exp(rng.uniform(np.log(0.5), np.log(2)))))


def _degrees(rng: np.random.Generator) -> float:
    sign = 1 if rng.random() < _HALF else -1
    return sign * float(rng.uniform(_LEAST_DEGREES, _MOST_DEGREES))


def _rotated(degrees: float) -> Act:
    return Act(
        image=lambda image: distortions.rotate(image, degrees=degrees),
        mask=_carried(lambda mask: geometry.rotate(mask, degrees=degrees)),
    )


def _rotation(rng: np.random.Generator) -> Act:
    return _rotated(_degrees(rng))


def _rotation_expanded(rng: np.random.Generator) -> Act:
    degrees = _degrees(rng)
    return Act(
        image=lambda image: distortions.rotate_expanded(image, degrees=degrees),
        mask=_carried(lambda mask: geometry.rotate_expanded(mask, degrees=degrees)),
    )


def _rotation_cropped(rng: np.random.Generator) -> Act:
    degrees = _degrees(rng)

    def inside(rows: int, columns: int) -> tuple[slice, slice]:
        keep = geometry.share_inside(rows, columns, degrees=degrees)
        return geometry.kept_rectangle(rows, columns, keep=keep, place=geometry.CENTRE)

    def carry(mask: Levels) -> Levels:
        return geometry.rotate(mask, degrees=degrees)[inside(*mask.shape)]

    def cut(image: MedicalImage) -> MedicalImage:
        turned = distortions.rotate(image, degrees=degrees)
        return _cut_to(turned, inside(image.rows, image.columns))

    return Act(image=cut, mask=_carried(carry))


def _cut_to(image: MedicalImage, inside: tuple[slice, slice]) -> MedicalImage:
    down, across = inside
    return distortions.crop(
        image,
        top=down.start,
        left=across.start,
        rows=down.stop - down.start,
        columns=across.stop - across.start,
    )


def _border(rng: np.random.Generator) -> Callable[[int, int], tuple[slice, slice]]:
    """Return what a cut of up to a tenth leaves on each of the four sides."""
    top, bottom, left, right = rng.uniform(0, _MOST_CUT, 4).tolist()
    return lambda rows, columns: (
        slice(round(rows * top), max(rows - round(rows * bottom), round(rows * top) + 1)),
        slice(
            round(columns * left), max(columns - round(columns * right), round(columns * left) + 1)
        ),
    )


def _crop(rng: np.random.Generator) -> Act:
    inside = _border(rng)
    return Act(
        image=lambda image: _cut_to(image, inside(image.rows, image.columns)),
        mask=lambda mask: np.ascontiguousarray(mask[inside(*mask.shape)]),
    )


def _crop_resized(rng: np.random.Generator) -> Act:
    inside = _border(rng)

    def cut(image: MedicalImage) -> MedicalImage:
        part = _cut_to(image, inside(image.rows, image.columns))
        return distortions.resize_to(part, rows=image.rows, columns=image.columns)

    def carry(mask: Levels) -> Levels:
        part = np.ascontiguousarray(mask[inside(*mask.shape)])
        return geometry.resize_to(part, rows=mask.shape[0], columns=mask.shape[1])

    return Act(image=cut, mask=_carried(carry))


# --- Grey values, noise and compression -------------------------------------------------------


def _noise(rng: np.random.Generator, *, sigma: float) -> Act:
    seed = int(rng.integers(2**63))
    return Act(
        image=lambda image: distortions.gaussian_noise(
            image, sigma=sigma, rng=np.random.default_rng(seed)
        )
    )


def _any_jpeg(rng: np.random.Generator) -> Act:
    quality = int(rng.integers(50, 96))
    return Act(image=lambda image: distortions.jpeg(image, quality=quality))


def _window(rng: np.random.Generator) -> Act:
    low, high = float(rng.uniform(0, 0.06)), float(rng.uniform(0.9, 1))
    return Act(image=lambda image: distortions.window_to_8_bit(image, low=low, high=high))


def _any_gamma(rng: np.random.Generator) -> Act:
    exponent = float(np.exp(rng.uniform(np.log(0.7), np.log(1.4))))
    return Act(image=lambda image: distortions.gamma(image, exponent=exponent))


def _jpeg_of(quality: int) -> Callable[[np.random.Generator], Act]:
    return _fixed(lambda image: distortions.jpeg(image, quality=quality))


Draw = Callable[[np.random.Generator], Act]


def _in_sequence(first: Act, second: Act) -> Act:
    return Act(
        image=lambda image: second.image(first.image(image)),
        mask=lambda mask: second.mask(first.mask(mask)),
    )


def _chain(one: Draw, other: Draw) -> Draw:
    """Return the draw of one handling after the other."""

    def draw(rng: np.random.Generator) -> Act:
        first = one(rng)
        return _in_sequence(first, other(rng))

    return draw


def _in_either_order(one: Draw, other: Draw) -> Draw:
    def draw(rng: np.random.Generator) -> Act:
        chain = _chain(one, other) if rng.random() < _HALF else _chain(other, one)
        return chain(rng)

    return draw


# --- Registries -------------------------------------------------------------------------------


def _of(group: Group, draws: dict[str, Draw]) -> tuple[Handling, ...]:
    return tuple(Handling(name=name, group=group, draw=draw) for name, draw in draws.items())


_LOSSLESS: dict[str, Draw] = {
    "PNG": _fixed(partial(transcoding.saved_again, format_name="png")),
    "TIFF": _fixed(partial(transcoding.saved_again, format_name="tiff")),
    "DICOM": _fixed(partial(transcoding.saved_again, format_name="dicom")),
    "DICOM JPEG-LS": _fixed(transcoding.jpeg_ls),
    "DICOM JPEG 2000": _fixed(transcoding.jpeg2000_lossless),
    "DICOM RLE": _fixed(transcoding.rle),
    "inversion declared": _fixed(transcoding.rewritten_inverted),
}
_GEOMETRIC: dict[str, Draw] = {
    "quarter turn": partial(_turn, turns=1),
    "half turn": partial(_turn, turns=2),
    "three quarter turns": partial(_turn, turns=3),
    "flip of rows": partial(_flip, axis="rows"),
    "flip of columns": partial(_flip, axis="columns"),
    "rotation, size kept": _rotation,
    "rotation, canvas enlarged": _rotation_expanded,
    "rotation, corners cut": _rotation_cropped,
    "scale 0.5": partial(_scale, factor=0.5),
    "scale 0.75": partial(_scale, factor=0.75),
    "scale 1.5": partial(_scale, factor=1.5),
    "scale 2": partial(_scale, factor=2.0),
    "crop": _crop,
    "crop and resize back": _crop_resized,
}
_LOSSY: dict[str, Draw] = {
    "JPEG-LS, error 2": _fixed(partial(transcoding.jpeg_ls_near, error=2)),
    "JPEG 2000, 45 dB": _fixed(partial(distortions.jpeg2000, psnr_db=45)),
    "8 bits as shown": _fixed(distortions.window_to_8_bit),
    "window": _window,
    **{f"JPEG {quality}": _jpeg_of(quality) for quality in (95, 90, 80, 70, 50)},
    "resize 0.5 and back": _fixed(partial(distortions.resize_and_back, factor=0.5)),
    "resize 0.75 and back": _fixed(partial(distortions.resize_and_back, factor=0.75)),
    "contrast +20 %": _fixed(partial(distortions.contrast, factor=1.2)),
    "contrast -20 %": _fixed(partial(distortions.contrast, factor=0.8)),
    "contrast stretch": _fixed(partial(distortions.window_percentiles, low=1.0, high=99.0)),
    "brightness +10 %": _fixed(partial(distortions.brightness, share=0.1)),
    "brightness -10 %": _fixed(partial(distortions.brightness, share=-0.1)),
    "gamma 0.7": _fixed(partial(distortions.gamma, exponent=0.7)),
    "gamma 1.4": _fixed(partial(distortions.gamma, exponent=1.4)),
    "CLAHE, mild": _fixed(partial(distortions.clahe, clip_limit=1.2)),
    "noise 2": partial(_noise, sigma=2.0),
    "noise 5": partial(_noise, sigma=5.0),
    "blur 0.5": _fixed(partial(distortions.blur, sigma=0.5)),
    "blur 1": _fixed(partial(distortions.blur, sigma=1.0)),
    "median 3 x 3": _fixed(partial(distortions.median, size=3)),
    "grey to RGB": _fixed(transcoding.grey_to_rgb),
    "window + JPEG 90": _chain(_window, _jpeg_of(90)),
    "gamma + JPEG 70": _chain(_any_gamma, _jpeg_of(70)),
    "JPEG 90 + JPEG 70": _chain(_jpeg_of(90), _jpeg_of(70)),
    "noise 2 + blur 0.5": _chain(
        partial(_noise, sigma=2.0), _fixed(partial(distortions.blur, sigma=0.5))
    ),
}
_MOVED_AND_LOSSY: dict[str, Draw] = {
    "quarter turn + JPEG 90": _chain(partial(_turn, turns=1), _jpeg_of(90)),
    "scale 0.5 + JPEG 80": _chain(partial(_scale, factor=0.5), _jpeg_of(80)),
    "crop + JPEG 90": _chain(_crop, _jpeg_of(90)),
    "rotation + JPEG 80": _chain(_rotation, _jpeg_of(80)),
    "rotation + crop": _chain(_rotation, _crop),
    "crop + scale 0.75": _chain(_crop, partial(_scale, factor=0.75)),
    "window + rotation": _chain(_window, _rotation),
}

HANDLING: tuple[Handling, ...] = (
    *_of("lossless", _LOSSLESS),
    *_of("geometric", _GEOMETRIC),
    *_of("lossy", _LOSSY),
    *_of("geometric", _MOVED_AND_LOSSY),
)

_AFTER_AN_EDIT: dict[str, Draw] = {
    "JPEG": _any_jpeg,
    "scale": _any_scale,
    "rotation": _rotation,
    "crop": _crop,
    "window": _window,
    "gamma": _any_gamma,
}
_MOVING = frozenset({"scale", "rotation", "crop"})


def _lossy_chains() -> tuple[Handling, ...]:
    worst: dict[str, Draw] = {
        "JPEG 50": _jpeg_of(50),
        "scale 0.5": partial(_scale, factor=0.5),
        "scale 2": partial(_scale, factor=2.0),
        "rotation 7": lambda _: _rotated(_MOST_DEGREES),
    }
    pairs = {
        f"{one} + {other}": _in_either_order(_AFTER_AN_EDIT[one], _AFTER_AN_EDIT[other])
        for one, other in combinations(_AFTER_AN_EDIT, 2)
    }
    draws = {**_AFTER_AN_EDIT, **worst, **pairs}
    return tuple(
        Handling(
            name=name,
            group="geometric" if _MOVING & set(name.split()) else "lossy",
            draw=draw,
        )
        for name, draw in draws.items()
    )


LOSSY_CHAINS: tuple[Handling, ...] = _lossy_chains()
