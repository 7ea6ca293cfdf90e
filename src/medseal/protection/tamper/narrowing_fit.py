"""Fit the narrowing of proven tiles on forged copies that nothing else was done to."""

import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from medseal.errors import InputError
from medseal.imaging import MedicalImage
from medseal.protection.attacks.levels import levels_of
from medseal.protection.tamper.canonical import brightness
from medseal.protection.tamper.narrowing import HIDDEN, TENSORS, features_of
from medseal.protection.tamper.reference.codes import Readout
from medseal.protection.tamper.reference.inference import Networks
from medseal.protection.tamper.reference.record import FrameRecord
from medseal.protection.tamper.tiles import TileGrid
from medseal.protection.tamper.unmoved import seen_unmoved

__all__ = ["Examples", "fitted"]

_PLACES_A_COPY = 400
_PENALTY, _RATE, _BATCH, _ROUNDS = 1e-2, 2e-3, 512, 25

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Examples:
    """Places of proven tiles, and whether they changed."""

    features: list[NDArray[np.float32]] = field(default_factory=list)
    changed: list[Flags] = field(default_factory=list)

    def add(
        self,
        networks: Networks,
        record: tuple[FrameRecord, Readout],
        image: MedicalImage,
        forged: MedicalImage,
        *,
        mask: Flags,
        rng: np.random.Generator,
    ) -> None:
        """Add places of the tiles of a forged copy that differ from the image.

        Nothing is added of a copy that is not seen as the record has it. Where the copy is seen
        smaller than it is, a place changed if the one in its middle did.
        """
        grid = TileGrid.of(1, image.rows, image.columns)
        differs = grid.any_in_tile(
            np.asarray((image.stored_values != forged.stored_values)[0].any(axis=2))
        )
        if not differs.any():
            return
        plane = brightness(levels_of(forged, frame=0))
        seen = seen_unmoved(networks, plane, *record, differs=differs, grid=grid)
        if seen is None:
            return
        features, where = features_of(seen)
        chosen = rng.permutation(len(where))[:_PLACES_A_COPY]
        rows, columns = np.divmod(where[chosen], seen.plane.shape[1])
        rows = (2 * rows + 1) * mask.shape[0] // (2 * seen.plane.shape[0])
        columns = (2 * columns + 1) * mask.shape[1] // (2 * seen.plane.shape[1])
        self.features.append(features[chosen])
        self.changed.append(mask[rows, columns])


def fitted(examples: Examples) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a narrowing.

    Parameters
    ----------
    examples
        Of many images.

    Raises
    ------
    InputError
        There is no example, or all are alike.
    """
    changed = np.concatenate(examples.changed) if examples.changed else np.zeros(0, np.bool_)
    if np.unique(changed).size < 2:  # noqa: PLR2004
        raise InputError("no forged copies to fit the narrowing of tiles on")
    features = np.concatenate(examples.features)
    middle, unit = features.mean(axis=0), features.std(axis=0) + 1e-3
    model = MLPClassifier(
        HIDDEN,
        alpha=_PENALTY,
        learning_rate_init=_RATE,
        batch_size=min(_BATCH, len(features)),
        max_iter=_ROUNDS,
        # A round changes less than this only when nothing is learnt any more.
        tol=0.0,
        n_iter_no_change=_ROUNDS,
        random_state=0,
    )
    with warnings.catch_warnings():
        # The number of rounds is given: to stop there is no failure.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((features - middle) / unit, changed)
    layers, offsets = list(model.coefs_), list(model.intercepts_)
    # Features come as they are: their scale becomes part of the first layer.
    offsets[0] = offsets[0] - (middle / unit) @ layers[0]
    layers[0] = layers[0] / unit[:, None]
    tensors = {}
    for number, (weight, offset) in enumerate(zip(layers, offsets, strict=True)):
        tensors[f"{TENSORS}{number}.weight"] = np.asarray(weight, np.float32)
        tensors[f"{TENSORS}{number}.bias"] = np.asarray(offset, np.float32)
    return tensors
