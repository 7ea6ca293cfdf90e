"""From a run to a generator's folder, with its check against copies on the card."""

import dataclasses
from pathlib import Path
from typing import Any

from medseal import weights
from medseal.classification.generator import fit_generator
from medseal.classification.methods import Run
from medseal.classification.training_card import stored_card

__all__ = ["train_generator"]


def train_generator(run: Run) -> tuple[Path, dict[str, Any]]:
    """Train, check and write a generator; return its folder and the check.

    Parameters
    ----------
    run
        Of method ``gan``.

    Raises
    ------
    ConfigurationError
        Images of a size that cannot be made, or the folder holds another run.
    InputError
        A class has no image in the training or validation part.
    """
    preprocess = run.config.preprocess
    fitted = fit_generator(
        run.examples("train", preprocess=preprocess),
        run.examples("validation", preprocess=preprocess),
        classes=run.dataset.classes,
        config=run.config,
        folder=run.folder,
    )
    check = {name: dataclasses.asdict(found) for name, found in fitted.memorisation.items()}
    card = stored_card(run, preprocess=preprocess, network=fitted.network, notes=fitted.notes)
    # Without classes it is never taken for a classifier.
    card = dataclasses.replace(
        card, classes=(), metrics={"part": "validation", "memorisation": check}
    )
    weights.save(run.output_dir, card=card, tensors=fitted.tensors)
    return run.output_dir / card.id, {"part": "validation", "memorisation": check}
