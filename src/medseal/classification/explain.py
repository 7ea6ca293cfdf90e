"""Which places of an image spoke for a class: Grad-CAM, gradients, occlusion; their overlay."""

from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.errors import ConfigurationError, ImageMismatchError, InputError, ModelMismatchError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.preprocess import PreprocessConfig, placement, standardise

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Method", "asked_class", "explain", "heat_map", "margins", "overlay", "to_display"]

Method = Literal["grad-cam", "hires-cam", "integrated-gradients", "occlusion"]
Heat = NDArray[np.float64]
# Methods whose networks compare places with each other.
_COMPARING = frozenset({"side-comparison"})
# Occlusion: windows a side of the grid, and the side of a window as a share of the input's.
_WINDOWS, _WINDOW_SHARE = 8, 1 / 5
# Integrated gradients: steps of the path, and the blur that makes single pixels visible.
_STEPS, _SMOOTHING_SHARE = 24, 1 / 40
# Colours of the heat from 0 to 1: black, violet, red, orange, light yellow.
_STOPS = np.linspace(0, 1, 5)
_RED, _GREEN, _BLUE = (
    np.array([0, 90, 205, 250, 255]),
    np.array([0, 20, 50, 160, 250]),
    np.array([0, 120, 60, 20, 190]),
)


def explain(
    image: MedicalImage,
    classifier: Classifier,
    *,
    frame: int = 0,
    label: str | None = None,
    method: Method | None = None,
) -> Heat:
    """Return the heat map of one frame.

    Parameters
    ----------
    image
        Of the model's modality.
    classifier
        Any model; without a network only occlusion works. Of an ensemble the maps of its members
        are averaged.
    frame
        Which frame, from 0.
    label
        The class that is asked about; the most probable one of this frame if none is given.
    method
        ``grad-cam``, ``hires-cam``, ``integrated-gradients`` or ``occlusion``. If none is given:
        Grad-CAM; HiResCAM of a network that compares places, whose slopes are 0 in the mean of a
        map; occlusion of a model without a network.

    Returns
    -------
    ndarray
        float64 in [0, 1], (rows, columns) of the display values; all 0 where nothing spoke for
        the class. It shows where the model looked, not where a lesion is; whether it shows even
        that, `medseal.classification.trust` tests.

    Raises
    ------
    ModelMismatchError
        The image is of another modality, or the model has no network for this method.
    InputError
        The model has no such class, the image no such frame, or the method is unknown.

    References
    ----------
    Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2, at the last convolution. HiResCAM:
    Draelos and Carin 2020, arXiv 2011.08891. Sundararajan et al. 2017, arXiv 1703.01365. Zeiler
    and Fergus 2014, arXiv 1311.2901, 4.2.
    """
    classifier.check(image)
    classes = classifier.card.classes
    if label is not None and label not in classes:
        raise InputError(f"{classifier.card.id} knows the classes {', '.join(classes)}")
    if not 0 <= frame < image.frames:
        raise InputError(f"the image has frames 0 to {image.frames - 1}")
    display = display_values(image, frame=frame)
    index = asked_class(display, classifier, label=label)
    if classifier.members:
        parts = [
            share * _shown_heat(display, member, index, method)
            for member, share in zip(classifier.members, classifier.shares, strict=True)
        ]
        return _to_unit(np.sum(parts, axis=0))
    return _shown_heat(display, classifier, index, method)


def asked_class(display: NDArray[np.uint8], classifier: Classifier, *, label: str | None) -> int:
    """Return the number of a class; of the most probable one of this frame if none is named."""
    if label is not None:
        return classifier.card.classes.index(label)
    return int(classifier.shown_probabilities([display])[0].argmax())


def _shown_heat(
    display: NDArray[np.uint8], classifier: Classifier, index: int, method: Method | None
) -> Heat:
    standard = standardise(display, config=classifier.preprocess)
    heat = heat_map(standard, classifier, index=index, method=method)
    return to_display(heat, display, config=classifier.preprocess)


def heat_map(
    standard: NDArray[np.uint8],
    classifier: Classifier,
    *,
    index: int,
    method: Method | None = None,
) -> Heat:
    """Return the heat map of a standardised image; errors as `explain`.

    Parameters
    ----------
    standard
        uint8, (rows, columns) or (rows, columns, 3), as the model takes it.
    classifier, method
        As for `explain`; no ensemble.
    index
        Number of the class.

    Returns
    -------
    ndarray
        float64 in [0, 1], (rows, columns).
    """
    chosen = method or _usual_method(classifier)
    if chosen not in get_args(Method):
        raise ConfigurationError(f"a heat map is made by one of {', '.join(get_args(Method))}")
    if chosen == "occlusion":
        return _to_unit(_occlusion(standard, classifier, index))
    if classifier.network is None:
        raise ModelMismatchError(f"{classifier.card.id} has no network: only occlusion explains it")
    if chosen == "integrated-gradients":
        return _to_unit(_integrated_gradients(standard, classifier.network, index))
    is_local = chosen == "hires-cam"
    return _to_unit(_activation_map(standard, classifier.network, index, is_local=is_local))


def _usual_method(classifier: Classifier) -> Method:
    if classifier.network is None:
        return "occlusion"
    return "hires-cam" if classifier.card.method in _COMPARING else "grad-cam"


def _to_unit(heat: Heat) -> Heat:
    """Return what spoke for the class, from 0 to 1; all 0 where nothing did."""
    peak = float(heat.max())
    return np.clip(heat / peak, 0, 1) if peak > 0 else np.zeros_like(heat)


def margins(
    standard: NDArray[np.uint8], classifier: Classifier, *, index: int
) -> NDArray[np.float64]:
    """Return the log-odds of a class against all others of standardised images, (n,)."""
    shares = np.clip(classifier.probabilities(standard)[:, index], 1e-12, 1 - 1e-12)
    odds: NDArray[np.float64] = np.log(shares / (1 - shares))
    return odds


def _activation_map(
    standard: NDArray[np.uint8], network: "nn.Module", index: int, *, is_local: bool
) -> Heat:
    """Return maps times slopes: at each place, or with the mean slope of each map."""
    # Imported when used: the package is imported where torch is not installed, for serving.
    import torch  # noqa: PLC0415

    network.eval()
    with torch.enable_grad():
        maps = network.features(_batch(standard)).detach().requires_grad_(True)  # type: ignore[operator]  # every network has it
        logits = network.head(maps)  # type: ignore[operator]  # every network has it
        (slopes,) = torch.autograd.grad(logits[0, index], maps)
    importance = slopes if is_local else slopes.mean(dim=(2, 3), keepdim=True)  # (1, filters, 1, 1)
    heat = torch.relu((importance * maps.detach()).sum(dim=1))[0].numpy()  # (h, w)
    rows, columns = standard.shape[:2]
    return np.asarray(cv2.resize(heat, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float64)


def _batch(standard: NDArray[np.uint8]) -> "Tensor":
    from medseal.classification.fit import to_batch  # noqa: PLC0415  # needs torch

    return to_batch(standard[None])


def _integrated_gradients(standard: NDArray[np.uint8], network: "nn.Module", index: int) -> Heat:
    """Return the slopes along the way from the image's mean value, times the way."""
    import torch  # noqa: PLC0415

    network.eval()
    image = _batch(standard)
    baseline = image.mean(dim=(2, 3), keepdim=True).expand_as(image)
    total = torch.zeros_like(image)
    for step in range(_STEPS):
        share = (step + 0.5) / _STEPS
        with torch.enable_grad():
            point = (baseline + share * (image - baseline)).detach().requires_grad_(True)
            shares = torch.log_softmax(network(point), dim=1)
            (slopes,) = torch.autograd.grad(shares[0, index], point)
        total += slopes / _STEPS
    spoken = (total * (image - baseline)).sum(dim=1)[0].detach().numpy().astype(np.float64)
    sigma = _SMOOTHING_SHARE * max(spoken.shape)
    return np.asarray(cv2.GaussianBlur(np.maximum(spoken, 0), (0, 0), sigma), np.float64)


def _occlusion(standard: NDArray[np.uint8], classifier: Classifier, index: int) -> Heat:
    """Return how far the log-odds fall where a window of the mean value hides the image."""
    rows, columns = standard.shape[:2]
    height, width = (max(round(side * _WINDOW_SHARE), 1) for side in (rows, columns))
    tops, lefts = (
        np.linspace(0, side - part, _WINDOWS).round().astype(int)
        for side, part in ((rows, height), (columns, width))
    )
    places = [(top, left) for top in tops for left in lefts]
    covered = np.repeat(standard[None], len(places), axis=0)
    fill = standard.mean(axis=(0, 1))
    for number, (top, left) in enumerate(places):
        covered[number, top : top + height, left : left + width] = fill
    whole = margins(standard[None], classifier, index=index)[0]
    falls = whole - margins(covered, classifier, index=index)
    total, times = np.zeros((rows, columns)), np.zeros((rows, columns))
    for fall, (top, left) in zip(falls, places, strict=True):
        total[top : top + height, left : left + width] += fall
        times[top : top + height, left : left + width] += 1
    return np.asarray(np.maximum(total / np.maximum(times, 1), 0))


def to_display(heat: Heat, display: NDArray[np.uint8], *, config: PreprocessConfig) -> Heat:
    """Return a heat map of the network input at its place in the image it was made from.

    Parameters
    ----------
    heat
        (config.rows, config.columns).
    display
        uint8, (rows, columns) or (rows, columns, 3), before `standardise`.
    config
        Says what the network input shows.

    Returns
    -------
    ndarray
        float64, (rows, columns) of `display`; 0 where the network saw nothing of it.
    """
    region, (inner_rows, inner_columns) = placement(display, config=config)
    top, left = (config.rows - inner_rows) // 2, (config.columns - inner_columns) // 2
    inner = heat[top : top + inner_rows, left : left + inner_columns]
    height, width = region.bottom - region.top, region.right - region.left
    box = cv2.resize(inner, (width, height), interpolation=cv2.INTER_LINEAR)
    rows, columns = display.shape[:2]
    result = np.zeros((rows, columns))
    first_row, first_column = max(region.top, 0), max(region.left, 0)
    last_row, last_column = min(region.bottom, rows), min(region.right, columns)
    result[first_row:last_row, first_column:last_column] = box[
        first_row - region.top : last_row - region.top,
        first_column - region.left : last_column - region.left,
    ]
    return np.clip(result, 0, 1)


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
