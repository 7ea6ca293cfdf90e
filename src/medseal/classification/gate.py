"""The export gate: by how much another runtime may change what a model says, measured on images."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.digest import JsonValue
from medseal.errors import ConfigurationError, InputError
from medseal.metrics.classification import figures_of

__all__ = ["GateBounds", "GateOutcome", "compare"]

Probabilities = NDArray[np.float64]
_MIN_CLASSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GateBounds:
    """What an exported model may differ by from the trained one on validation images.

    Attributes
    ----------
    least_images
        Fewer real images than this are no evidence.
    changed_share
        Share of the images whose decision may change, in [0, 1].
    probability_change
        Largest change of the probability of any class of any image, in [0, 1].
    accuracy_loss, auroc_loss
        By how much each may fall; a rise is no reason to refuse.

    Raises
    ------
    ConfigurationError
        A bound is out of its range.
    """

    least_images: int = 100
    changed_share: float = 0.005
    probability_change: float = 0.1
    accuracy_loss: float = 0.003
    auroc_loss: float = 0.002

    def __post_init__(self) -> None:
        shares = (self.changed_share, self.probability_change, self.accuracy_loss, self.auroc_loss)
        if self.least_images < 1 or not all(0 <= share <= 1 for share in shares):
            raise ConfigurationError("gate bounds are shares in [0, 1], of at least one image")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutcome:
    """What was found on validation images; `before` is the trained model, `after` the exported one.

    Attributes
    ----------
    images
        How many were compared.
    changed_decisions
        Images whose most probable class is another one.
    probability_change
        Largest, over images and classes.
    accuracy_before, accuracy_after, auroc_before, auroc_after
        In [0, 1]. AUROC is NaN where a class has no image; of several classes it is the mean.
    """

    images: int
    changed_decisions: int
    probability_change: float
    accuracy_before: float
    accuracy_after: float
    auroc_before: float
    auroc_after: float

    def reasons(self, bounds: GateBounds) -> tuple[str, ...]:
        """Return why these bounds are not kept, one text a bound; empty if all are."""
        allowed = bounds.changed_share * self.images
        found = (
            (
                self.images < bounds.least_images,
                f"{self.images} images, at least {bounds.least_images} are needed",
            ),
            (
                self.changed_decisions > allowed,
                f"{self.changed_decisions} of {self.images} decisions changed, "
                f"at most {bounds.changed_share:.1%} may",
            ),
            (
                not self.probability_change <= bounds.probability_change,
                f"a probability changed by {self.probability_change:.4f}, "
                f"at most {bounds.probability_change} may",
            ),
            (
                not self.accuracy_before - self.accuracy_after <= bounds.accuracy_loss,
                f"accuracy fell from {self.accuracy_before:.4f} to {self.accuracy_after:.4f}, "
                f"at most {bounds.accuracy_loss} may be lost",
            ),
            (
                # NaN is refused too: without both classes the order of images is not tested.
                not self.auroc_before - self.auroc_after <= bounds.auroc_loss,
                f"AUROC went from {self.auroc_before:.4f} to {self.auroc_after:.4f}, "
                f"at most {bounds.auroc_loss} may be lost",
            ),
        )
        return tuple(text for failed, text in found if failed)

    def to_dict(self) -> dict[str, JsonValue]:
        """Return the fields for canonical JSON, which holds no floats: these are texts."""
        return as_texts(asdict(self))


def as_texts(values: dict[str, int | float]) -> dict[str, JsonValue]:
    """Return the same with each float as the shortest text that reads as the same number."""
    return {
        name: repr(value) if isinstance(value, float) else value for name, value in values.items()
    }


def compare(before: Probabilities, after: Probabilities, labels: NDArray[np.int64]) -> GateOutcome:
    """Return what changed between two sets of calibrated probabilities.

    Parameters
    ----------
    before, after
        (n, classes), rows adding up to 1, of the trained and of the exported model.
    labels
        (n,), number of the true class.

    Raises
    ------
    InputError
        Shapes differ, no image, or a probability is no number.
    """
    same = before.shape == after.shape and before.shape[:1] == labels.shape
    if not same or before.ndim != _MIN_CLASSES or len(labels) == 0:
        raise InputError("the gate compares two equal tables of probabilities, not empty")
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise InputError("the gate compares numbers, and a probability is none")
    decisions = before.argmax(axis=1), after.argmax(axis=1)
    figures = [
        figures_of(labels, table, predicted=decided)
        for table, decided in zip((before, after), decisions, strict=True)
    ]
    return GateOutcome(
        images=len(labels),
        changed_decisions=int((decisions[0] != decisions[1]).sum()),
        probability_change=float(np.abs(before - after).max()),
        accuracy_before=figures[0]["accuracy"],
        accuracy_after=figures[1]["accuracy"],
        auroc_before=figures[0]["auroc"],
        auroc_after=figures[1]["auroc"],
    )
