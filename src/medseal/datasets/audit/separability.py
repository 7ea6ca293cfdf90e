"""How well a small classifier tells classes apart, against chance and against random labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

__all__ = ["MAX_IMAGES", "Separability", "separability"]

# Beyond this many images the interval hardly narrows and the time grows.
MAX_IMAGES = 4000
_FOLDS = 5
_MIN_GROUPS = 8
_PERMUTATIONS = 20
_RESAMPLES = 1000
_COMPONENTS = 150
_CLIP = 5.0
# Of the number of images, added to the diagonal of the covariance.
_RIDGE = 0.01

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Separability:
    """Balanced accuracy of a cross-validated classifier.

    Attributes
    ----------
    balanced_accuracy, low, high
        Mean of the classes' recall, with a 95 % bootstrap interval by group.
    chance
        One divided by the number of classes.
    random_labels
        The largest balanced accuracy with labels permuted between groups.
    images, groups
        How many were used.
    """

    balanced_accuracy: float
    low: float
    high: float
    chance: float
    random_labels: float
    images: int
    groups: int

    @property
    def is_above_chance(self) -> bool:
        """Whether the interval lies above chance and above every run with random labels."""
        return self.low > self.chance and self.balanced_accuracy > self.random_labels

    @property
    def gain(self) -> float:
        """Lower bound as a share of the way from chance to perfect; 0 for none."""
        return max(0.0, (self.low - self.chance) / (1 - self.chance))


def separability(
    features: NDArray[np.float32],
    labels: Labels,
    groups: Sequence[str],
    *,
    generator: np.random.Generator,
) -> Separability | None:
    """Return how well features tell labels apart on groups that were not fitted on.

    Parameters
    ----------
    features
        (n, features).
    labels
        (n,), any integers.
    groups
        Patient or cluster of each image; never on both sides of a fold.
    generator
        Draws folds, permutations and resamples.

    Returns
    -------
    Separability or None
        None if fewer than two classes have `_MIN_GROUPS` groups, or all images have the same
        features: then nothing can be read from them.

    Notes
    -----
    The classifier is a ridge regression, read by class means, on the features and on a Nystroem
    map of their radial kernel: near to a kernel machine, and quick enough for random labels.
    """
    kept = _usable(labels, groups)
    values = features[kept].astype(np.float64)
    values = values[:, np.ptp(values, axis=0) > 0] if len(values) else values
    if not values.size:
        return None
    if len(values) > MAX_IMAGES:
        chosen = np.sort(generator.choice(len(values), MAX_IMAGES, replace=False))
        values, kept = values[chosen], kept[chosen]
    names, number = np.unique(labels[kept], return_inverse=True)
    _, group = np.unique(np.asarray(groups)[kept], return_inverse=True)
    runs = np.stack([number, *(_permuted(number, group, generator) for _ in range(_PERMUTATIONS))])
    guessed = _cross_validated(values, runs, group, seed=int(generator.integers(2**31)))
    scores = [
        _balanced(_recalls(run, guess, len(names)))
        for run, guess in zip(runs, guessed, strict=True)
    ]
    low, high = _interval(number, guessed[0], group, len(names), generator)
    return Separability(
        balanced_accuracy=scores[0],
        low=low,
        high=high,
        chance=1 / len(names),
        random_labels=max(scores[1:]),
        images=len(values),
        groups=int(group.max()) + 1,
    )


def _usable(labels: Labels, groups: Sequence[str]) -> NDArray[np.int64]:
    """Return the places of images whose class has enough groups; none if one class is left."""
    array = np.asarray(groups)
    known = [
        name for name in np.unique(labels) if len(np.unique(array[labels == name])) >= _MIN_GROUPS
    ]
    wanted = np.isin(labels, known) if len(known) > 1 else np.zeros(len(labels), dtype=bool)
    return np.flatnonzero(wanted)


def _permuted(number: Labels, group: Labels, generator: np.random.Generator) -> Labels:
    """Return labels exchanged between groups of about equal size; a group keeps one pattern."""
    first = np.full(int(group.max()) + 1, -1, dtype=np.int64)
    first[group[::-1]] = number[::-1]
    permuted: Labels = generator.permutation(first)[group]
    return permuted


def _cross_validated(values: Matrix, runs: Labels, group: Labels, *, seed: int) -> Labels:
    """Return the guess for each image of each run, fitted on the other folds."""
    guessed = np.zeros_like(runs)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(values, runs[0], group):
        scaler = StandardScaler().fit(values[train])
        scaled = np.clip(scaler.transform(values), -_CLIP, _CLIP)
        components = min(_COMPONENTS, max(10, len(train) // 5))
        kernel = Nystroem(
            gamma=1 / scaled.shape[1], n_components=components, random_state=seed
        ).fit(scaled[train])
        mapped = np.hstack([scaled, np.sqrt(components) * kernel.transform(scaled)])
        guessed[:, test] = _nearest_centroids(mapped[train], runs[:, train], mapped[test])
    return guessed


def _nearest_centroids(fitted: Matrix, runs: Labels, others: Matrix) -> Labels:
    """Return the guess for `others` of each run: ridge scores, then the nearest class mean.

    All runs share one factorisation. Going by class means in the space of scores weighs each class
    alike, however rare it is.
    """
    classes = int(runs.max()) + 1
    centre = fitted.mean(axis=0)
    seen, unseen = fitted - centre, others - centre
    covariance = seen.T @ seen + _RIDGE * len(seen) * np.eye(seen.shape[1])
    # One column a run and class.
    wanted = (runs[:, :, None] == np.arange(classes)).astype(np.float64)
    targets = wanted.transpose(1, 0, 2).reshape(len(seen), -1)
    solution = np.linalg.solve(covariance, seen.T @ (targets - targets.mean(axis=0)))
    shape = (-1, len(runs), classes)
    scores, other_scores = (seen @ solution).reshape(shape), (unseen @ solution).reshape(shape)
    guessed = np.empty((len(runs), len(others)), dtype=np.int64)
    for number in range(len(runs)):
        counts = wanted[number].sum(axis=0)
        means = wanted[number].T @ scores[:, number] / np.maximum(counts, 1)[:, None]
        distance = ((other_scores[:, number, None] - means) ** 2).sum(axis=2)
        # A class that a permutation left out of the fold is never guessed.
        guessed[number] = np.where(counts > 0, distance, np.inf).argmin(axis=1)
    return guessed


def _recalls(truth: Labels, guess: Labels, classes: int) -> Matrix:
    total = np.bincount(truth, minlength=classes)
    right = np.bincount(truth[truth == guess], minlength=classes)
    recalls: Matrix = right[total > 0] / total[total > 0]
    return recalls


def _balanced(recalls: Matrix) -> float:
    return float(recalls.mean())


def _interval(
    truth: Labels, guess: Labels, group: Labels, classes: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the balanced accuracy, resampling whole groups."""
    count = int(group.max()) + 1
    total = np.zeros((count, classes))
    right = np.zeros((count, classes))
    np.add.at(total, (group, truth), 1)
    np.add.at(right, (group, truth), truth == guess)
    draws = generator.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    seen = draws @ total
    recalls = np.divide(draws @ right, seen, out=np.full_like(seen, np.nan), where=seen > 0)
    low, high = np.percentile(np.nanmean(recalls, axis=1), [2.5, 97.5])
    return float(low), float(high)
