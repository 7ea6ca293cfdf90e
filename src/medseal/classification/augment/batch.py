"""All operations on a batch in the order in which light, device and archive cause them."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from medseal.classification.augment import acquisition, colour, framing, intensity, mixing, sequence
from medseal.classification.augment.config import AugmentConfig
from medseal.classification.augment.geometry import flip_vertically, rotate_zoom_flip, warp
from medseal.classification.augment.lesion import insert_lesions
from medseal.classification.augment.retina import insert_retinopathy
from medseal.errors import ImageMismatchError

__all__ = ["augment", "augment_labelled"]

# Scene and camera first, then the device, then the window of the viewer, at last the file.
_STEPS: Mapping[str, Callable[..., Tensor]] = {
    "sequence": sequence.sequence,
    "fourier_mix": mixing.fourier_mix,
    "histogram_match": mixing.histogram_match,
    "bias_field": acquisition.bias_field,
    "white_balance": colour.white_balance,
    "channel_gamma": colour.channel_gamma,
    "saturation": colour.saturation,
    "hue": colour.hue,
    "vignette": acquisition.vignette,
    "blur": acquisition.blur,
    "sharpen": acquisition.sharpen,
    "resolution": acquisition.resolution,
    "noise": acquisition.noise,
    "gamma": intensity.gamma,
    "brightness": intensity.brightness,
    "contrast": intensity.contrast,
    "curve": intensity.curve,
    "disc_mask": framing.disc_mask,
    "crop_margin": framing.crop_margin,
    "border": framing.border,
    "marks": framing.marks,
    "jpeg": acquisition.jpeg,
    "erase": framing.erase,
}
_OF_COLOUR = ("white_balance", "channel_gamma", "saturation", "hue")
_CHANNELS = 3


def augment(images: Tensor, *, config: AugmentConfig, generator: np.random.Generator) -> Tensor:
    """Return the images changed, one draw an image and operation.

    Lesions, `mixup` and `cutmix` change labels too and are left to `augment_labelled`.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1], on the CPU; not changed.
    config
        How often and how far.
    generator
        Source of the draws; the same state gives the same result. Operations that are off draw
        nothing.

    Returns
    -------
    Tensor
        Same shape and dtype, values in [0, 1].

    Raises
    ------
    ImageMismatchError
        The images are no float32 batch, or grey where an operation on colour is on.
    """
    return _acquired(_placed(images, config, generator), config, generator)


def augment_labelled(
    images: Tensor, targets: Tensor, *, config: AugmentConfig, generator: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the images changed as by `augment`, where labels may change with them.

    Lesions are drawn after the geometry and before the device; blends of two images come last.

    Parameters
    ----------
    images, config, generator
        As in `augment`.
    targets
        float32, (B, classes), the share of each class; the first class is healthy.

    Returns
    -------
    images, targets, masks
        `masks` as `insert_lesions` or `insert_retinopathy` gives them; None without lesions, or
        after a blend.

    Raises
    ------
    ImageMismatchError
        As in `augment`, or lesions are on and the images do not suit them.
    """
    images, masks = _placed(images, config, generator), None
    if config.lesion or config.lesion_spots:
        images, targets, masks = insert_lesions(
            images,
            targets,
            probability=config.lesion,
            spots=config.lesion_spots,
            generator=generator,
        )
    if any(config.retinopathy):
        images, targets, masks = insert_retinopathy(
            images,
            targets,
            probability=config.retinopathy[0],
            replaced=config.retinopathy[1],
            generator=generator,
        )
    images = _acquired(images, config, generator)
    mixed, shares = mixing.mix_labels(images, targets, config=config, generator=generator)
    return mixed, shares, masks if mixed is images else None


def _placed(images: Tensor, config: AugmentConfig, generator: np.random.Generator) -> Tensor:
    """Return the images after all steps of geometry."""
    if images.ndim != 4 or images.dtype != torch.float32:  # noqa: PLR2004  # (B, channels, H, W)
        raise ImageMismatchError("a batch must be float32 of shape (B, channels, H, W)")
    if images.shape[1] != _CHANNELS and any(getattr(config, name)[0] for name in _OF_COLOUR):
        raise ImageMismatchError(f"{', '.join(_OF_COLOUR)} need images of three channels")
    images = rotate_zoom_flip(
        images,
        share=config.share,
        rotation_degrees=config.rotation_degrees,
        zoom=config.zoom,
        flip=config.flip,
        generator=generator,
    )
    if config.vertical_flip:
        images = flip_vertically(images, probability=config.vertical_flip, generator=generator)
    return warp(images, geometry=config.geometry, generator=generator)


def _acquired(images: Tensor, config: AugmentConfig, generator: np.random.Generator) -> Tensor:
    """Return the images after all steps of device, viewer and file."""
    for name, step in _STEPS.items():
        probability, strength = getattr(config, name)
        if probability:
            images = step(images, probability=probability, strength=strength, generator=generator)
    if config.invert:
        images = intensity.invert(images, probability=config.invert, generator=generator)
    return images
