"""The classical baseline: linear SVM on edges (HOG) and texture (LBP, GLCM), Platt-calibrated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops, hog, local_binary_pattern
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from medseal.classification.calibrate import log_losses
from medseal.classification.examples import Examples
from medseal.classification.sampling import balanced_weights
from medseal.errors import ConfigurationError, WeightsError
from medseal.imaging.preprocess import to_grey

__all__ = ["LinearSvm", "SvmConfig", "features", "fit_svm"]

# HOG over 7x7 cells in blocks of 2x2; LBP histograms over a 3x3 grid; GLCM of 32 grey levels.
_HOG_CELLS, _HOG_BINS = 7, 9
_LBP_GRID, _LBP_POINTS, _LBP_RADIUS = 3, 8, 1
_LBP_PATTERNS = 59  # non-rotation-invariant uniform patterns of 8 points
_GLCM_LEVELS, _GLCM_DISTANCES = 32, (1, 3)
_GLCM_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_GLCM_FIGURES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "ASM")
_COLOUR_NDIM, _COLOUR_BINS = 3, 32
_TENSORS = frozenset({"mean", "scale", "weights", "offsets"})

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SvmConfig:
    """Settings of the fit.

    Attributes
    ----------
    costs
        Values of C that are tried; the one with the lowest validation loss is kept.
    max_iterations
        Of the solver.
    seed
        Of the solver's order of the examples.

    Raises
    ------
    ConfigurationError
        No cost, or a value is not positive.
    """

    costs: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2)
    max_iterations: int = 20_000
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.costs or min(self.costs) <= 0 or self.max_iterations < 1 or self.seed < 0:
            raise ConfigurationError("the settings in [svm] must be positive")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearSvm:
    """A fitted model; predicting needs NumPy and the features only.

    Attributes
    ----------
    mean, scale
        Of the features over the training images, (f,).
    weights
        Of the standardised features: (f,) with two classes, else (classes, f), one against the
        rest each.
    offsets
        With two classes: offset of the hyperplane, then slope and offset of Platt's sigmoid, (3,).
        Else (classes, classes + 2): the offset of each hyperplane, then the matrix and the offset
        that turn the distances from all of them into the logit of each class.
    """

    mean: Vector
    scale: Vector
    weights: Vector
    offsets: Vector

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> "LinearSvm":
        """Return the model in stored tensors; WeightsError if they are not those of an SVM."""
        if set(tensors) != _TENSORS:
            raise WeightsError("these are not the weights of a linear SVM")
        planes, offsets = tensors["weights"], tensors["offsets"].shape
        classes = planes.shape[:-1]
        if offsets != ((classes[0], classes[0] + 2) if classes else (3,)):
            raise WeightsError("these are not the weights of a linear SVM")
        if {tensors["mean"].shape, tensors["scale"].shape} != {planes.shape[-1:]}:
            raise WeightsError("the weights of the linear SVM do not fit each other")
        return cls(**{name: tensors[name].astype(np.float64) for name in _TENSORS})

    def to_tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return what is stored: float32."""
        return {name: getattr(self, name).astype(np.float32) for name in sorted(_TENSORS)}

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return (n, classes) logits whose softmax is Platt's probability.

        Parameters
        ----------
        images
            uint8, (n, rows, columns) or (n, rows, columns, 3), standardised.
        """
        table = np.stack([features(image) for image in images])
        if table.shape[1] != self.weights.shape[-1]:
            raise WeightsError("the linear SVM was made for other features")
        return self.logits_of_features(table)

    def logits_of_features(self, table: Vector) -> Vector:
        """Return (n, classes) logits for a feature table (n, f)."""
        if self.weights.ndim > 1:
            bias, slopes, offset = self.offsets[:, 0], self.offsets[:, 1:-1], self.offsets[:, -1]
            distances = ((table - self.mean) / self.scale) @ self.weights.T + bias
            logits: Vector = distances @ slopes.T + offset
            return logits
        bias, slope, offset = self.offsets
        distance = ((table - self.mean) / self.scale) @ self.weights + bias
        positive = slope * distance + offset
        result: Vector = np.stack([np.zeros_like(positive), positive], axis=1)
        return result


def features(image: NDArray[np.uint8]) -> Vector:
    """Return the features of one standardised image.

    Parameters
    ----------
    image
        uint8, (rows, columns) or (rows, columns, 3), at least 56 a side.

    Returns
    -------
    ndarray
        float64, (1875,): 1296 of HOG, 531 of LBP, 48 of GLCM, all of the luminance; for colour
        images 96 more, the histograms of hue, saturation and value. Finite, also for flat images.

    References
    ----------
    Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177; Ojala et al. 2002,
    doi:10.1109/TPAMI.2002.1017623; Haralick et al. 1973, doi:10.1109/TSMC.1973.4309314.
    """
    if image.ndim == _COLOUR_NDIM:
        return np.concatenate([features(to_grey(image)), _colours(image)])
    rows, columns = image.shape
    edges = hog(
        image,
        orientations=_HOG_BINS,
        pixels_per_cell=(rows // _HOG_CELLS, columns // _HOG_CELLS),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
    )
    patterns = local_binary_pattern(image, _LBP_POINTS, _LBP_RADIUS, method="nri_uniform")
    texture = [
        np.bincount(tile.ravel().astype(np.int64), minlength=_LBP_PATTERNS) / tile.size
        for band in np.array_split(patterns, _LBP_GRID, axis=0)
        for tile in np.array_split(band, _LBP_GRID, axis=1)
    ]
    matrix = graycomatrix(
        image // (256 // _GLCM_LEVELS),
        distances=_GLCM_DISTANCES,
        angles=_GLCM_ANGLES,
        levels=_GLCM_LEVELS,
        symmetric=True,
        normed=True,
    )
    haralick = [graycoprops(matrix, figure).ravel() for figure in _GLCM_FIGURES]
    return np.concatenate([edges, *texture, *haralick]).astype(np.float64)


def _colours(image: NDArray[np.uint8]) -> Vector:
    """Return the histograms of hue, saturation and value, (96,), each with the sum 1."""
    # OpenCV's full range puts hue into 0 to 255 like the others.
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV_FULL)
    counts = [
        np.bincount(hsv[:, :, channel].ravel() // (256 // _COLOUR_BINS), minlength=_COLOUR_BINS)
        for channel in range(3)
    ]
    result: Vector = np.concatenate(counts) / (image.shape[0] * image.shape[1])
    return result


def fit_svm(
    train: Examples, validation: Examples, *, config: SvmConfig, balanced: bool = False
) -> tuple[LinearSvm, dict[str, float]]:
    """Return the model with the best C, and what the choice rests on.

    Parameters
    ----------
    train
        Standardisation and hyperplane come from these.
    validation
        C and the sigmoid come from these.
    config
        Settings.
    balanced
        Whether each class and source has the same weight in the fit, the choice and the sigmoid.

    Returns
    -------
    tuple
        The model; ``cost`` and ``validation_loss`` (nats).
    """
    table = np.stack([features(image) for image in train.images])
    mean = table.mean(axis=0)
    deviation = table.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    held_out = np.stack([features(image) for image in validation.images])
    shares, shares_held_out = (
        balanced_weights(part.labels, part.sources) if balanced else None
        for part in (train, validation)
    )
    found: list[tuple[float, float, LinearSvm]] = []
    for cost in config.costs:
        machine = LinearSVC(C=cost, max_iter=config.max_iterations, random_state=config.seed)
        machine.fit((table - mean) / scale, train.labels, sample_weight=shares)
        distances = ((held_out - mean) / scale) @ machine.coef_.T + machine.intercept_
        weights, offsets = _calibrated(machine, distances, validation.labels, shares_held_out)
        model = LinearSvm(mean=mean, scale=scale, weights=weights, offsets=offsets)
        losses = log_losses(model.logits_of_features(held_out), validation.labels)
        found.append((float(np.average(losses, weights=shares_held_out)), cost, model))
    loss, cost, model = min(found, key=lambda item: item[:2])
    return model, {"cost": cost, "validation_loss": loss}


def _calibrated(
    machine: LinearSVC, distances: Vector, labels: NDArray[np.int64], shares: Vector | None
) -> tuple[Vector, Vector]:
    """Return planes and offsets, with the sigmoid (Platt 1999) or its form for many classes."""
    # A penalty keeps the slope finite where validation is separated without error.
    sigmoid = LogisticRegression(C=100.0).fit(distances, labels, sample_weight=shares)
    if len(machine.coef_) == 1:
        numbers = [machine.intercept_[0], sigmoid.coef_[0, 0], sigmoid.intercept_[0]]
        return machine.coef_[0], np.array(numbers, dtype=np.float64)
    parts = [machine.intercept_[:, None], sigmoid.coef_, sigmoid.intercept_[:, None]]
    return machine.coef_, np.concatenate(parts, axis=1)
