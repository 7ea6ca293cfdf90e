"""Calibrated averaging: the shares of the members, and their common answer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medseal.classification.calibrate import log_losses
from medseal.errors import InputError

__all__ = ["average_logits", "fit_shares"]

Values = NDArray[np.float64]
# Rounds of expectation and maximisation, and the change of the shares at which they end.
_ROUNDS, _SETTLED = 2000, 1e-7
# Keeps the logarithm finite where all members exclude a class.
_LEAST = 1e-12


def average_logits(probabilities: Sequence[Values], shares: Values) -> Values:
    """Return the logarithm of the weighted mean of the members' probabilities, (n, classes).

    Parameters
    ----------
    probabilities
        One of each member, (n, classes), calibrated.
    shares
        (members,), adding up to 1.

    Raises
    ------
    InputError
        Shapes or numbers differ.
    """
    if len({part.shape for part in probabilities}) != 1 or len(probabilities) != len(shares):
        raise InputError("an ensemble needs one share and equally many images of each member")
    mean = np.einsum("k,knc->nc", shares, np.stack(probabilities))
    result: Values = np.log(np.maximum(mean, _LEAST))
    return result


def fit_shares(
    probabilities: Sequence[Values],
    labels: NDArray[np.int64],
    *,
    weights: Values | None = None,
) -> Values:
    """Return the shares of the members, such that the average is not worse than any member.

    Tried are the shares of highest likelihood, equal shares, and each member alone; kept are
    those with the lowest cross-entropy among all that decide as often rightly as the member that
    decides best. So on these images the average is never worse than the best member.

    Parameters
    ----------
    probabilities
        One of each member, (n, classes), of images that no member was trained on.
    labels
        (n,), number of the true class.
    weights
        (n,), of the images; all alike where none are given.

    Returns
    -------
    ndarray
        float64, (members,), adding up to 1.

    Raises
    ------
    InputError
        No member, no image, or lengths differ.
    """
    if not probabilities or len(labels) == 0 or {len(p) for p in probabilities} != {len(labels)}:
        raise InputError("an ensemble needs members, and as many answers of each as labels")
    count = len(probabilities)
    share = np.ones(len(labels)) if weights is None else weights
    share = share / share.sum()
    candidates = [_likeliest(probabilities, labels, share), np.full(count, 1 / count)]
    candidates += list(np.eye(count))
    rows = []
    for candidate in candidates:
        logits = average_logits(probabilities, candidate)
        right = float(share @ (logits.argmax(axis=1) == labels))
        rows.append((right, float(share @ log_losses(logits, labels))))
    best_alone = max(right for right, _ in rows[-count:])
    # Sums in another order differ in the last bit.
    allowed = [i for i, (right, _) in enumerate(rows) if right >= best_alone - 1e-12]
    return candidates[min(allowed, key=lambda index: rows[index][1])]


def _likeliest(probabilities: Sequence[Values], labels: NDArray[np.int64], share: Values) -> Values:
    """Return the shares of highest likelihood; it is concave, so the steps lead there."""
    true = np.stack([part[np.arange(len(labels)), labels] for part in probabilities])
    true = np.maximum(true, _LEAST)
    shares = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(_ROUNDS):
        parts = shares[:, None] * true
        update = (parts / parts.sum(axis=0)) @ share
        settled = float(np.abs(update - shares).max()) < _SETTLED
        shares = update
        if settled:
            break
    result: Values = shares / shares.sum()
    return result
