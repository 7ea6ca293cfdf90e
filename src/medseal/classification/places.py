"""The loss of finding a drawn lesion where it lies, beside that of naming the image."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["place_loss"]

# A place with half of its area in a lesion, or more, counts as found in full.
_FULL = 1.5
# Places with a lesion are few: they weigh up to as much more.
_EXTRA = 4.0


def place_loss(places: Tensor, masks: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over the places where the truth is known.

    It pulls a network towards the lesion within fewer images than the label of the image alone.

    Parameters
    ----------
    places
        float32, (B, classes, h, w), logits of each place; the first class is healthy.
    masks
        float32, (B, 1, H, W), opacity of the lesion in [0, 1]; negative where it is not known.

    Returns
    -------
    Tensor
        Scalar; 0 where nothing is known.
    """
    known = (masks.amin(dim=(1, 2, 3)) >= 0).to(places.dtype)[:, None, None, None]
    size = (places.shape[2], places.shape[3])
    shares = functional.adaptive_avg_pool2d(masks.clamp(min=0), size)
    truth = (shares * _FULL).clamp(max=1)  # (B, 1, h, w)
    # Of all classes but the first against the first.
    found = torch.logsumexp(places[:, 1:], dim=1, keepdim=True) - places[:, :1]
    losses = functional.binary_cross_entropy_with_logits(found, truth, reduction="none")
    weights = known * (1 + _EXTRA * truth)
    total: Tensor = (losses * weights).sum() / weights.sum().clamp(min=1)
    return total
