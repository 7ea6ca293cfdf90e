"""Grad-CAM: which places of an image spoke for a class, as a heat map and as an overlay."""

import numpy as np
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.errors import ImageMismatchError, InputError, ModelMismatchError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.preprocess import standardise

__all__ = ["explain", "overlay"]

# Colours of the heat from 0 to 1: black, violet, red, orange, light yellow.
_STOPS = np.linspace(0, 1, 5)
_RED, _GREEN, _BLUE = (
    np.array([0, 90, 205, 250, 255]),
    np.array([0, 20, 50, 160, 250]),
    np.array([0, 120, 60, 20, 190]),
)


def explain(
    image: MedicalImage, classifier: Classifier, *, frame: int = 0, label: str | None = None
) -> NDArray[np.float64]:
    """Return the Grad-CAM heat map of one frame.

    Parameters
    ----------
    image
        Of the model's modality.
    classifier
        A model with a network.
    frame
        Which frame, from 0.
    label
        The class that is asked about; the most probable one of this frame if none is given.

    Returns
    -------
    ndarray
        float64 in [0, 1], (rows, columns) of the display values; all 0 where nothing spoke for
        the class. It shows where the network looked, not where a lesion is.

    Raises
    ------
    ModelMismatchError
        The model has no network, or the image is of another modality.
    InputError
        The model has no such class, or the image no such frame.

    References
    ----------
    Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2, at the last convolution.
    """
    # Imported when used: the package is imported where torch is not installed, for serving.
    import torch  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    from medseal.classification.fit import to_batch  # noqa: PLC0415

    classifier.check(image)
    network = classifier.network
    if network is None:
        raise ModelMismatchError(f"{classifier.card.id} has no network that could be explained")
    classes = classifier.card.classes
    if label is not None and label not in classes:
        raise InputError(f"{classifier.card.id} knows the classes {', '.join(classes)}")
    if not 0 <= frame < image.frames:
        raise InputError(f"the image has frames 0 to {image.frames - 1}")
    display = display_values(image, frame=frame)
    standard = standardise(display, config=classifier.preprocess)
    network.eval()
    with torch.enable_grad():
        maps = network.features(to_batch(standard[None])).detach().requires_grad_(True)
        logits = network.head(maps)
        index = int(logits.argmax()) if label is None else classes.index(label)
        (slopes,) = torch.autograd.grad(logits[0, index], maps)
    importance = slopes.mean(dim=(2, 3), keepdim=True)  # (1, 128, 1, 1)
    heat = torch.relu((importance * maps.detach()).sum(dim=1, keepdim=True))  # (1, 1, H/16, W/16)
    size = [display.shape[0], display.shape[1]]
    heat = functional.interpolate(heat, size=size, mode="bilinear", align_corners=False)
    result = heat[0, 0].numpy().astype(np.float64)
    peak = float(result.max())
    return np.clip(result / peak, 0, 1) if peak > 0 else np.zeros_like(result)


def overlay(
    display: NDArray[np.uint8], heat: NDArray[np.float64], *, strength: float = 0.55
) -> NDArray[np.uint8]:
    """Return the image with the heat map drawn over it.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3).
    heat
        In [0, 1], (rows, columns).
    strength
        Share of the colour where the heat is 1, in [0, 1].

    Returns
    -------
    ndarray
        uint8, (rows, columns, 3), RGB; unchanged where the heat is 0.

    Raises
    ------
    ImageMismatchError
        Sizes differ.
    """
    if heat.ndim != 2 or display.shape[:2] != heat.shape:  # noqa: PLR2004  # (rows, columns)
        raise ImageMismatchError("image and heat map have different sizes")
    colour = display if display.ndim == 3 else np.repeat(display[:, :, None], 3, axis=2)  # noqa: PLR2004  # colour
    painted = np.stack([np.interp(heat, _STOPS, stops) for stops in (_RED, _GREEN, _BLUE)], axis=2)
    share = strength * heat[:, :, None]
    return np.rint(colour * (1 - share) + painted * share).astype(np.uint8)
