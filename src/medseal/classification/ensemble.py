"""Calibrated averaging: the shares of the members, and their common answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.classification.calibrate import log_losses
from medseal.errors import InputError

__all__ = ["Shares", "average_logits", "fit_shares"]

Values = NDArray[np.float64]
# Rounds of expectation and maximisation, and the change of the shares at which they end.
_ROUNDS, _SETTLED = 2000, 1e-7
# Keeps the logarithm finite where all members exclude a class.
_LEAST = 1e-12
# Parts into which the groups are drawn for shares that have not seen an image, and how often.
_FOLDS, _DRAWS, _SEED = 10, 10, 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """Shares of the members, and why.

    Attributes
    ----------
    values
        float64, (members,), adding up to 1.
    gain
        By how much the average has a lower cross-entropy than the best member, in nats, on images
        that its shares were not fitted on.
    standard_error
        Of the gain, over groups.
    """

    values: Values
    gain: float
    standard_error: float

    @property
    def alone(self) -> bool:
        """Whether one member has it all."""
        return bool(self.values.max() == 1)


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
    return _logarithm(mean)


def fit_shares(
    probabilities: Sequence[Values],
    labels: NDArray[np.int64],
    *,
    weights: Values | None = None,
    groups: Sequence[str] | None = None,
) -> Shares:
    """Return the shares of the members: of an average if it is surely better, else of one alone.

    Tried are the shares of highest likelihood and equal shares. The better one is kept where, on
    images that its shares were not fitted on, its cross-entropy is lower than that of the best
    member by more than a standard error of the difference, and it decides as often rightly. Else
    the best member, by cross-entropy, stands alone, and the ensemble says what it says.

    Parameters
    ----------
    probabilities
        One of each member, (n, classes), of images that no member was trained on.
    labels
        (n,), number of the true class.
    weights
        (n,), of the images; all alike where none are given.
    groups
        (n,), images of one group are fitted on or judged together; each its own if not given.

    Returns
    -------
    Shares
        With what the choice rests on.

    Raises
    ------
    InputError
        No member, no image, or lengths differ.

    References
    ----------
    One-standard-error rule: Breiman et al. 1984, Classification and Regression Trees, 3.4.3.
    """
    if not probabilities or len(labels) == 0 or {len(p) for p in probabilities} != {len(labels)}:
        raise InputError("an ensemble needs members, and as many answers of each as labels")
    names = [str(i) for i in range(len(labels))] if groups is None else list(groups)
    if len(names) != len(labels) or (weights is not None and len(weights) != len(labels)):
        raise InputError("an ensemble needs one weight and one group an image")
    share = np.ones(len(labels)) if weights is None else weights
    share = share / share.sum()
    alone = [_answers(_logarithm(part), labels) for part in probabilities]
    best = int(np.argmin([share @ losses for losses, _ in alone]))
    number = np.unique(names, return_inverse=True)[1]
    equal = np.full(len(alone), 1 / len(alone))
    tried = (
        (_unseen(probabilities, labels, share, number), _likeliest(probabilities, labels, share)),
        (_answers(average_logits(probabilities, equal), labels), equal),
    )
    (losses, right), values = min(tried, key=lambda row: float(share @ row[0][0]))
    gains = np.bincount(number, share * (alone[best][0] - losses))
    gain, count = float(gains.sum()), len(gains)
    spread = gains - gain * np.bincount(number, share)
    error = float(np.sqrt((spread**2).sum() * count / max(count - 1, 1)))
    # Sums in another order differ in the last bit.
    as_right = float(share @ right) >= float(share @ alone[best][1]) - 1e-12
    if count == 1 or gain <= error or not as_right:
        values = np.eye(len(alone))[best]
    return Shares(values=values, gain=gain, standard_error=error)


def _answers(logits: Values, labels: NDArray[np.int64]) -> tuple[Values, Values]:
    """Return the cross-entropy of each image, and 1 where it is decided rightly, else 0."""
    return log_losses(logits, labels), (logits.argmax(axis=1) == labels).astype(np.float64)


def _unseen(
    probabilities: Sequence[Values],
    labels: NDArray[np.int64],
    share: Values,
    groups: NDArray[np.int64],
) -> tuple[Values, Values]:
    """Return the answers under likeliest shares that were fitted without the image's fold.

    They are means over several draws of the folds: one draw can turn the choice.
    """
    generator = np.random.default_rng(_SEED)
    count = int(groups.max()) + 1
    losses, right = np.zeros(len(labels)), np.zeros(len(labels))
    for _ in range(_DRAWS):
        folds = generator.permutation(count)[groups] % min(_FOLDS, count)
        for fold in np.unique(folds):
            # One group alone is judged by its own shares; it is no evidence then.
            seen, other = (folds != fold) | (count == 1), folds == fold
            fitted = _likeliest([part[seen] for part in probabilities], labels[seen], share[seen])
            logits = average_logits([part[other] for part in probabilities], fitted)
            found = _answers(logits, labels[other])
            losses[other] += found[0] / _DRAWS
            right[other] += found[1] / _DRAWS
    return losses, right


def _logarithm(probabilities: Values) -> Values:
    result: Values = np.log(np.maximum(probabilities, _LEAST))
    return result


def _likeliest(probabilities: Sequence[Values], labels: NDArray[np.int64], share: Values) -> Values:
    """Return the shares of highest likelihood; it is concave, so the steps lead there."""
    true = np.stack([part[np.arange(len(labels)), labels] for part in probabilities])
    true, share = np.maximum(true, _LEAST), share / share.sum()
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
