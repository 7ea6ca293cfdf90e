"""What the comparison is taught: which tiles, which places, and whether at all."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["image_logit", "place_loss", "tile_loss", "total_loss"]

# A tile counts as forged from this share of its places on; below, it teaches nothing.
_FORGED_SHARE = 0.02
_TILE = 8
_HALF = 0.5
_UNSEEN_LOGIT = -20.0
_FORGED_WEIGHT = 4.0
_PLACE_WEIGHT, _OVERLAP_WEIGHT, _IMAGE_WEIGHT, _RESIDUAL_WEIGHT = 1.0, 0.5, 0.3, 0.5
_SHARPNESS = 4.0
_PART = 16
# Mean over tiles of a loss that few tiles carry: bring it to the size of the others.
_TILE_GAIN = 10.0


def image_logit(tile_logits: Tensor, seen: Tensor) -> Tensor:
    """Return the logit of a whole copy: a soft maximum over its tiles, (B,).

    Parameters
    ----------
    tile_logits
        (B, 1, h, w).
    seen
        (B, 1, h, w), share of each tile that lies in the copy.
    """
    hidden = torch.where(seen > _HALF, tile_logits, _UNSEEN_LOGIT).flatten(1)
    return torch.logsumexp(hidden * _SHARPNESS, 1) / _SHARPNESS


def tile_loss(logits: Tensor, share: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy of tiles; those forged in a trace only are left out."""
    forged = (share >= _FORGED_SHARE).float()
    counts = ((share == 0) | (share >= _FORGED_SHARE)).float() * weights
    counts = counts * (1 + (_FORGED_WEIGHT - 1) * forged)
    each = functional.binary_cross_entropy_with_logits(logits, forged, reduction="none")
    return (each * counts).sum() / logits.numel()


def place_loss(logits: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
    """Return cross-entropy and one less the overlap (Dice) of the mask."""
    target = (mask >= _HALF).float()
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    entropy = (each * weights * (1 + (_FORGED_WEIGHT - 1) * target)).mean()
    found = torch.sigmoid(logits) * weights
    both = (found * target).sum((1, 2, 3))
    either = found.sum((1, 2, 3)) + (target * weights).sum((1, 2, 3))
    forged = (target * weights).sum((1, 2, 3)) > 0
    overlap = 1 - (2 * both + 4) / (either + 4)
    return _TILE_GAIN * entropy + _OVERLAP_WEIGHT * (overlap * forged).sum() / len(logits)


def _parts(maps: Tensor, side: int) -> Tensor:
    """Return the squares of maps that are larger: (B, 1, n side, m side) to (B n m, 1, ...)."""
    count, _, rows, columns = maps.shape
    cut = maps.reshape(count, 1, rows // side, side, columns // side, side)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, 1, side, side)


def total_loss(
    logits: tuple[Tensor, Tensor, Tensor], mask: Tensor, outside: Tensor, counts: Tensor
) -> Tensor:
    """Return the loss of a batch; of larger pairs each part of 16 x 16 tiles counts as a copy.

    Parameters
    ----------
    logits
        Of tiles (B, 1, h, w), of places (B, 1, 8 h, 8 w), and of tiles by the residual
        alone, which teaches the features to stay and to move.
    mask
        (B, 1, 8 h, 8 w), share of each place that was forged.
    outside
        (B, 1, h, w), share of each tile that the copy does not show.
    counts
        (B,), 0 for pairs that teach nothing.
    """
    side = min(_PART, *outside.shape[2:])
    tiles, residual, seen = (_parts(one, side) for one in (logits[0], logits[2], 1 - outside))
    places, mask = (_parts(one, side * _TILE) for one in (logits[1], mask))
    counts = counts.repeat_interleave(len(seen) // len(counts))
    share = functional.avg_pool2d(mask, _TILE)
    weights = (seen > _HALF).float() * counts[:, None, None, None]
    forged = (share.flatten(1).amax(1) >= _FORGED_SHARE).float()
    whole = functional.binary_cross_entropy_with_logits(
        image_logit(tiles, seen), forged, reduction="none"
    )
    wide = functional.interpolate(weights, scale_factor=float(_TILE), mode="nearest")
    return (
        _TILE_GAIN * tile_loss(tiles, share, weights)
        + _PLACE_WEIGHT * place_loss(places, mask, wide)
        + _RESIDUAL_WEIGHT * _TILE_GAIN * tile_loss(residual, share, weights)
        + _IMAGE_WEIGHT * (whole * counts).mean()
    )
