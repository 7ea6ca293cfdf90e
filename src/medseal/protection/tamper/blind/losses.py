"""What the blind network is trained on: the map, the score of a tile, forged before clean."""

import torch
from torch import Tensor
from torch.nn import functional

from medseal.protection.tamper.blind.networks import Found

__all__ = ["blind_loss"]

# Share of the whole loss.
_SCORE_WEIGHT, _ORDER_WEIGHT, _TRUST_WEIGHT = 1.0, 0.5, 0.1
# How much more a changed place counts in what the reliability is fitted to.
_TRUST_POSITIVE = 5.0


def _dice(forged: Tensor, masks: Tensor) -> Tensor:
    """Return 1 minus the soft Dice overlap of each map with its mask: (B)."""
    shown = torch.sigmoid(forged)
    shared = (shown * masks).sum((1, 2, 3))
    both = shown.sum((1, 2, 3)) + masks.sum((1, 2, 3))
    return 1 - (2 * shared + 1) / (both + 1)


def blind_loss(found: Found, masks: Tensor, *, positive_weight: float) -> Tensor:
    """Return the loss of a batch: forged tiles first, as many clean ones behind.

    Parameters
    ----------
    found
        Of 2 n tiles.
    masks
        (n, 1, H, W) of the forged tiles, 1 where they were changed; a mask may be empty, where
        the change does not lie in the tile.
    positive_weight
        Of the mean over the changed places of a forged tile, against the mean over all others: an
        edit of few places counts as much as one of many.
    """
    count = len(masks)
    targets = torch.cat([masks, torch.zeros_like(masks)])
    wrong = functional.binary_cross_entropy_with_logits(found.forged, targets, reduction="none")
    is_forged = (masks.amax((1, 2, 3)) > 0).float()
    forged = is_forged.sum().clamp(min=1)
    changed = (wrong[:count] * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp(min=1)
    places = (wrong * (1 - targets)).mean() + positive_weight * changed.sum() / forged
    overlap = (_dice(found.forged[:count], masks) * is_forged).sum() / forged
    labels = torch.cat([is_forged, torch.zeros_like(is_forged)])
    score = functional.binary_cross_entropy_with_logits(found.score, labels)
    # Each forged tile against each clean one, its twin among them: what the AUROC counts.
    ahead = found.score[:count, None] - found.score[None, count:]
    order = (functional.softplus(-ahead) * is_forged[:, None]).mean()
    right = 1 - (torch.sigmoid(found.forged.detach()) - targets).abs()
    trust = functional.binary_cross_entropy_with_logits(
        found.trusted, right, weight=1 + _TRUST_POSITIVE * targets
    )
    return places + overlap + _SCORE_WEIGHT * score + _ORDER_WEIGHT * order + _TRUST_WEIGHT * trust
