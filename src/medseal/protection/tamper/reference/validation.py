"""Figures of the comparison on pairs of validation images, while it is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from medseal.metrics.ranking import auroc
from medseal.protection.tamper.reference.config import FitConfig
from medseal.protection.tamper.reference.losses import image_logit, total_loss
from medseal.protection.tamper.reference.pair import Batch, Pair

__all__ = ["Checked", "validate"]

_FALSE_ALARMS = 0.02
_SEVERAL = "several"
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What validation pairs show; pairs too faint to count are left out of all but the loss.

    Attributes
    ----------
    loss
        Mean over the batches.
    auroc
        Of telling forged copies from others.
    caught
        Share of the forged copies above a threshold that 2 % of the others reach.
    overlap
        Mean F1 of the masks of forged copies.
    pairs
        How many there were, faint ones among them.
    by_family
        Share of the copies above that threshold, by family; under the empty name false alarms.
    """

    loss: float
    auroc: float
    caught: float
    overlap: float
    pairs: int
    by_family: dict[str, float]


@dataclass(slots=True)
class _Seen:
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    forged: list[bool] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    families: list[str] = field(default_factory=list)


def _add(seen: _Seen, batch: Batch, logits: tuple[Tensor, Tensor, Tensor]) -> None:
    outside = batch.maps[:, 2:]
    seen.losses.append(float(total_loss(logits, batch.mask, outside, batch.counts)))
    kept = batch.counts > 0
    truth, found = batch.mask >= _HALF, logits[1] > 0
    both = (truth & found).sum((1, 2, 3)).float()
    either = (truth.sum((1, 2, 3)) + found.sum((1, 2, 3))).float()
    is_forged = torch.tensor([bool(name) for name in batch.families])
    seen.overlaps += (2 * both / either.clamp(min=1))[kept & is_forged].tolist()
    seen.scores += image_logit(logits[0], 1 - outside)[kept].tolist()
    seen.forged += is_forged[kept].tolist()
    for name, keep in zip(batch.families, kept, strict=True):
        seen.families += [_SEVERAL if " + " in name else name] if keep else []


def validate(pair: Pair, held: Sequence[Batch], config: FitConfig) -> Checked:
    """Return figures on validation pairs, the same each time."""
    generator = torch.Generator().manual_seed(config.seed)
    seen = _Seen()
    pair.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        for batch in held:
            _add(seen, batch, pair(batch, generator))
    pair.train()
    scores, forged, names = map(np.array, (seen.scores, seen.forged, seen.families))
    above = scores > np.quantile(scores[~forged], 1 - _FALSE_ALARMS)
    return Checked(
        loss=float(np.mean(seen.losses)),
        auroc=auroc(forged.astype(np.int64), scores),
        caught=float(above[forged].mean()),
        overlap=float(np.mean(seen.overlaps)),
        pairs=sum(len(batch.record) for batch in held),
        by_family={
            str(name): float(above[names == name].mean()) for name in sorted(set(seen.families))
        },
    )
