"""What happens to a copy without ill intent: compression, noise, filters, geometry, grey values.

Every function takes a `MedicalImage` and returns a new one, all frames alike; what it does to the
levels of a frame is the function of the same name in `compression`, `filters`, `geometry`,
`grey_values` or `chains`. Functions that a viewer stands behind, such as `jpeg`, `clahe` and
`window_to_8_bit`, leave the stored values behind and return what it shows, in 8 bits; they say so.
"""

from collections.abc import Sequence

import imagecodecs
import numpy as np

from medseal.errors import InputError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.attacks import chains, compression, filters, geometry, grey_values
from medseal.protection.attacks.levels import black_values, change_levels, change_shown

__all__ = [
    "bilateral",
    "blur",
    "brightness",
    "clahe",
    "contrast",
    "crop",
    "crop_black",
    "crop_resized",
    "flip",
    "gamma",
    "gaussian_noise",
    "invert",
    "jpeg",
    "jpeg2000",
    "jpeg2000_shown",
    "median",
    "motion_blur",
    "non_local_means",
    "posterise",
    "print_and_scan",
    "quarter_turn",
    "resize",
    "resize_and_back",
    "resize_to",
    "rotate",
    "rotate_expanded",
    "salt_and_pepper",
    "screenshot",
    "sharpen",
    "transpose",
    "twelve_to_8_bits",
    "window_percentiles",
    "window_to_8_bit",
]

_EIGHT_BITS = 8


# --- Compression ------------------------------------------------------------------------------


def jpeg(image: MedicalImage, *, quality: int) -> MedicalImage:
    """Return what a viewer shows of the image after JPEG at a quality of 1 to 100."""
    return change_shown(image, lambda levels: compression.jpeg(levels, quality=quality))


def jpeg2000_shown(image: MedicalImage, *, ratio: float) -> MedicalImage:
    """Return what a viewer shows of the image after lossy JPEG 2000 at a compression ratio."""
    return change_shown(image, lambda levels: compression.jpeg2000(levels, ratio=ratio))


def jpeg2000(image: MedicalImage, *, psnr_db: int) -> MedicalImage:
    """Return the stored values after lossy JPEG 2000 at a signal-to-noise ratio.

    Raises
    ------
    InputError
        The values do not fit 16 bits.
    """
    least, _ = image.storable_range
    dtype = image.stored_values.dtype
    if dtype.kind == "f" or image.bits_stored > 2 * _EIGHT_BITS:
        raise InputError("JPEG 2000 takes whole numbers of at most 16 bits")
    cell = np.uint8 if image.bits_stored <= _EIGHT_BITS else np.uint16
    frames = []
    for frame in image.stored_values:
        shifted = (frame.astype(np.int64) - int(least)).astype(cell)
        data = imagecodecs.jpeg2k_encode(
            shifted[:, :, 0] if image.samples == 1 else shifted,
            level=psnr_db,
            bitspersample=image.bits_stored,
            reversible=False,
        )
        decoded = imagecodecs.jpeg2k_decode(data).reshape(frame.shape)
        frames.append((decoded.astype(np.int64) + int(least)).astype(dtype))
    return image.with_stored_values(frozen(np.stack(frames)))


# --- Noise and filters ------------------------------------------------------------------------


def gaussian_noise(image: MedicalImage, *, sigma: float, rng: np.random.Generator) -> MedicalImage:
    """Return the image with white noise of `sigma` levels added."""
    return change_levels(image, lambda levels: filters.gaussian_noise(levels, sigma=sigma, rng=rng))


def salt_and_pepper(image: MedicalImage, *, share: float, rng: np.random.Generator) -> MedicalImage:
    """Return the image with a share of its places set to black or white at random."""
    return change_levels(
        image, lambda levels: filters.salt_and_pepper(levels, share=share, rng=rng)
    )


def blur(image: MedicalImage, *, sigma: float) -> MedicalImage:
    """Return the image after a Gaussian filter of `sigma` pixels."""
    return change_levels(image, lambda levels: filters.blur(levels, sigma=sigma))


def median(image: MedicalImage, *, size: int) -> MedicalImage:
    """Return the image after a median filter of 3 x 3 or 5 x 5."""
    return change_levels(image, lambda levels: filters.median(levels, size=size))


def sharpen(image: MedicalImage, *, sigma: float, amount: float) -> MedicalImage:
    """Return the image with `amount` times its detail finer than `sigma` pixels added."""
    return change_levels(image, lambda levels: filters.sharpen(levels, sigma=sigma, amount=amount))


def motion_blur(image: MedicalImage, *, length: int, degrees: float) -> MedicalImage:
    """Return the image smeared along a line of `length` pixels at an angle."""
    return change_levels(
        image, lambda levels: filters.motion_blur(levels, length=length, degrees=degrees)
    )


def bilateral(image: MedicalImage, *, sigma_levels: float, sigma_pixels: float) -> MedicalImage:
    """Return the image smoothed where neighbours are alike, edges kept."""
    return change_levels(
        image,
        lambda levels: filters.bilateral(
            levels, sigma_levels=sigma_levels, sigma_pixels=sigma_pixels
        ),
    )


def non_local_means(image: MedicalImage, *, strength: float) -> MedicalImage:
    """Return what a viewer shows after denoising by non-local means of `strength` levels."""
    return change_shown(image, lambda levels: filters.non_local_means(levels, strength=strength))


# --- Geometry ---------------------------------------------------------------------------------


def resize(image: MedicalImage, *, factor: float) -> MedicalImage:
    """Return the image scaled in both directions, by area means down and cubic up."""
    rows, columns = (max(round(side * factor), 1) for side in (image.rows, image.columns))
    return resize_to(image, rows=rows, columns=columns)


def resize_to(image: MedicalImage, *, rows: int, columns: int) -> MedicalImage:
    """Return the image scaled to a given size."""
    return change_levels(
        image, lambda levels: geometry.resize_to(levels, rows=rows, columns=columns), moves=True
    )


def resize_and_back(image: MedicalImage, *, factor: float) -> MedicalImage:
    """Return the image scaled by a factor in both directions, then to its size again."""
    return change_levels(image, lambda levels: geometry.resize_and_back(levels, factor=factor))


def crop(image: MedicalImage, *, top: int, left: int, rows: int, columns: int) -> MedicalImage:
    """Return a rectangle of the image, untouched inside.

    Raises
    ------
    InputError
        The rectangle does not lie inside the image.
    """
    inside = top >= 0 and left >= 0 and rows > 0 and columns > 0
    if not inside or top + rows > image.rows or left + columns > image.columns:
        raise InputError("the rectangle to keep does not lie inside the image")
    part = image.stored_values[:, top : top + rows, left : left + columns]
    return image.with_stored_values(frozen(part.copy()))


def crop_black(
    image: MedicalImage, *, keep: float, place: Sequence[float] = geometry.CENTRE
) -> MedicalImage:
    """Return the image at its size with all but a rectangle black, untouched inside.

    `keep` is the share of each side that stays and `place` where it lies; see
    `geometry.kept_rectangle`.
    """
    inside = geometry.kept_rectangle(image.rows, image.columns, keep=keep, place=place)
    values = np.empty_like(image.stored_values)
    values[:] = black_values(image)
    values[:, *inside] = image.stored_values[:, *inside]
    return image.with_stored_values(frozen(values))


def crop_resized(
    image: MedicalImage, *, keep: float, place: Sequence[float] = geometry.CENTRE
) -> MedicalImage:
    """Return a rectangle of the image enlarged to the old size; arguments as `crop_black`."""
    return change_levels(
        image, lambda levels: geometry.crop_resized(levels, keep=keep, place=place), moves=True
    )


def rotate(
    image: MedicalImage,
    *,
    degrees: float,
    scale: float = 1.0,
    shift: Sequence[float] = (0.0, 0.0),
) -> MedicalImage:
    """Return the image turned counter-clockwise about its centre, scaled and shifted.

    The size stays; what comes in from outside is black. `shift` is in pixels down and right.
    """
    return change_levels(
        image,
        lambda levels: geometry.rotate(levels, degrees=degrees, scale=scale, shift=shift),
        moves=True,
    )


def rotate_expanded(image: MedicalImage, *, degrees: float) -> MedicalImage:
    """Return the image turned counter-clockwise on a canvas that holds all of it; else black."""
    return change_levels(
        image, lambda levels: geometry.rotate_expanded(levels, degrees=degrees), moves=True
    )


def quarter_turn(image: MedicalImage, *, turns: int) -> MedicalImage:
    """Return the image turned by quarter turns counter-clockwise, every value kept."""
    return image.with_stored_values(frozen(np.rot90(image.stored_values, turns, (1, 2)).copy()))


def flip(image: MedicalImage, *, axis: str) -> MedicalImage:
    """Return the image with its ``rows`` or its ``columns`` in reverse order, every value kept.

    Raises
    ------
    InputError
        Another axis.
    """
    frames = [geometry.flip(frame, axis=axis) for frame in image.stored_values]
    return image.with_stored_values(frozen(np.stack(frames)))


def transpose(image: MedicalImage) -> MedicalImage:
    """Return the image with rows and columns exchanged, every value kept."""
    return image.with_stored_values(frozen(np.swapaxes(image.stored_values, 1, 2).copy()))


# --- Grey values ------------------------------------------------------------------------------


def brightness(image: MedicalImage, *, share: float) -> MedicalImage:
    """Return the image with a share of the value range added; 0.2 is 20 % brighter."""
    return change_levels(image, lambda levels: grey_values.brightness(levels, share=share))


def contrast(image: MedicalImage, *, factor: float) -> MedicalImage:
    """Return the image with its distance from mid grey multiplied."""
    return change_levels(image, lambda levels: grey_values.contrast(levels, factor=factor))


def gamma(image: MedicalImage, *, exponent: float) -> MedicalImage:
    """Return the image with each level between black and white raised to a power."""
    return change_levels(image, lambda levels: grey_values.gamma(levels, exponent=exponent))


def invert(image: MedicalImage) -> MedicalImage:
    """Return the negative of the image, as if MONOCHROME1 were taken for MONOCHROME2."""
    return change_levels(image, grey_values.invert)


def posterise(image: MedicalImage, *, count: int) -> MedicalImage:
    """Return what a viewer shows of the image in `count` evenly spaced levels."""
    return change_shown(image, lambda levels: grey_values.posterise(levels, count=count))


def clahe(image: MedicalImage, *, clip_limit: float = 2.0) -> MedicalImage:
    """Return what a viewer shows after contrast limited adaptive histogram equalisation."""
    return change_shown(image, lambda levels: grey_values.clahe(levels, clip_limit=clip_limit))


def window_to_8_bit(image: MedicalImage, *, low: float = 0.0, high: float = 1.0) -> MedicalImage:
    """Return what a viewer shows after its window is narrowed to a share of the shown range."""
    return change_shown(image, lambda levels: grey_values.window(levels, low=low, high=high))


def window_percentiles(
    image: MedicalImage, *, low: float = 5.0, high: float = 95.0
) -> MedicalImage:
    """Return what a viewer shows after a stretch of what lies between two percentiles."""
    return change_shown(
        image, lambda levels: grey_values.window_percentiles(levels, low=low, high=high)
    )


def twelve_to_8_bits(image: MedicalImage, *, rng: np.random.Generator) -> MedicalImage:
    """Return what a viewer shows after a way over 12 bits: dithered, then windowed to 8 bits."""
    return change_shown(image, lambda levels: grey_values.twelve_to_8_bits(levels, rng=rng))


# --- Chains -----------------------------------------------------------------------------------


def print_and_scan(image: MedicalImage, *, rng: np.random.Generator) -> MedicalImage:
    """Return what a viewer shows of the image after printing and scanning."""
    return change_shown(image, lambda levels: chains.print_and_scan(levels, rng=rng))


def screenshot(image: MedicalImage) -> MedicalImage:
    """Return what a viewer's window on the screen holds of the image, 0.8 of each side."""
    return change_shown(image, chains.screenshot)
