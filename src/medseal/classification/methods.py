"""Fit one model of each kind: network, linear SVM, ensemble; what is stored, and its answers."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from medseal.classification.baselines import LinearSvm, fit_svm
from medseal.classification.config import TrainConfig
from medseal.classification.ensemble import average_logits, fit_shares
from medseal.classification.examples import Examples, check_classes, read_examples
from medseal.classification.fit import fit, logits_of
from medseal.classification.gan import fill_up
from medseal.classification.generator import load_generator
from medseal.classification.initial import first_network, model_folder
from medseal.classification.networks import Network, NetworkConfig
from medseal.classification.predict import Classifier, load, load_folder
from medseal.classification.sampling import balanced_weights
from medseal.classification.storage import pack, unpack
from medseal.datasets import Dataset, Split
from medseal.datasets.split import Part
from medseal.digest import Digest
from medseal.errors import ConfigurationError
from medseal.imaging.preprocess import PreprocessConfig

__all__ = ["Fitted", "Run", "fit_ensemble", "fit_machine", "fit_network"]

_RUN_DOMAIN = "medseal/run/v1"

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every kind of model is fitted with.

    Attributes
    ----------
    config
        Of the run.
    dataset, split
        Images, and which of them are for what.
    folder
        Takes checkpoint and log.
    config_dir, output_dir
        Where files of weights and models of earlier runs are looked for.
    """

    config: TrainConfig
    dataset: Dataset
    split: Split
    folder: Path
    config_dir: Path
    output_dir: Path

    def examples(self, part: Part, *, preprocess: PreprocessConfig) -> Examples:
        """Return the images of a part; InputError if it lacks a class."""
        records = self.dataset.select(self.split.names(part))
        examples = read_examples(self.dataset, records, config=preprocess)
        check_classes(examples, self.dataset.classes, part=part)
        return examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What comes out of a fit.

    Attributes
    ----------
    tensors
        As they are stored.
    preprocess
        What the model takes.
    network
        For the card, under [network].
    notes
        For the card, under [training].
    validation
        Images that the choice was made on.
    logits
        Of the stored model, on them, (n, classes).
    calibrated
        Whether their softmax is calibrated already.
    """

    tensors: Tensors
    preprocess: PreprocessConfig
    network: Mapping[str, Any]
    notes: Mapping[str, Any]
    validation: Examples
    logits: NDArray[np.float64]
    calibrated: bool = False


def fit_network(run: Run) -> Fitted:
    """Train the network that the configuration names; errors as `medseal train`."""
    config = run.config
    training = run.examples("train", preprocess=config.preprocess)
    real = len(training.labels)
    if config.data.synthetic:
        maker = load_generator(
            run.output_dir / config.data.synthetic,
            classes=run.dataset.classes,
            preprocess=config.preprocess,
            split=run.split,
        )
        drawn = np.random.default_rng(config.train.seed)
        training = fill_up(training, maker, generator=drawn)
    validation = run.examples("validation", preprocess=config.preprocess)
    settings = dataclasses.replace(
        config.network,
        rows=config.preprocess.rows,
        columns=config.preprocess.columns,
        channels=training.channels,
        classes=len(run.dataset.classes),
    )
    network, origin = first_network(
        config, settings, config_dir=run.config_dir, output_dir=run.output_dir
    )
    state = fit(
        training,
        validation,
        network=network,
        config=config.train,
        augmentation=config.augment,
        folder=run.folder,
        run_digest=str(_run_digest(run, training, validation, settings=settings, origin=origin)),
    )
    own = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    tensors = pack(own, config=config.storage)
    logits, storage = _stored_answers(network, tensors, validation)
    best = state.best_row
    notes = {
        "storage": {"precision": config.storage.precision, **storage},
        "epochs": len(state.rows),
        "best_epoch": best.epoch,
        "validation_loss": best.validation_loss,
        "validation_accuracy": best.validation_accuracy,
        **({"initial": dict(origin)} if origin else {}),
        **({"synthetic_images": len(training.labels) - real} if config.data.synthetic else {}),
        "settings": dataclasses.asdict(config.train),
        "augmentation": config.augment.to_dict(),
    }
    return Fitted(
        tensors=tensors,
        preprocess=config.preprocess,
        network=settings.to_dict(),
        notes=notes,
        validation=validation,
        logits=logits,
    )


def _stored_answers(
    network: Network, tensors: Tensors, validation: Examples
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return the logits of the stored weights, and what storing them has changed."""
    exact = logits_of(network, validation.images)
    network.load_state_dict({name: torch.tensor(t) for name, t in unpack(tensors).items()})
    stored = logits_of(network, validation.images)
    change = (torch.softmax(exact, dim=1) - torch.softmax(stored, dim=1)).abs().max()
    changed = (exact.argmax(dim=1) != stored.argmax(dim=1)).sum()
    figures = {
        "changed_decisions": int(changed),
        "largest_probability_change": float(change),
    }
    return stored.numpy().astype(np.float64), figures


def _run_digest(
    run: Run,
    training: Examples,
    validation: Examples,
    *,
    settings: NetworkConfig,
    origin: Mapping[str, str],
) -> Digest:
    """Return the digest of everything that decides the weights after an epoch.

    How many epochs there are is left out where nothing before the end depends on it, so that a
    run can be given more of them.
    """
    fitting = dataclasses.replace(run.config.train, patience=1)
    if fitting.schedule == "constant":
        fitting = dataclasses.replace(fitting, max_epochs=1)
    parts = (run.config.preprocess, run.config.augment, fitting, settings)
    described = [run.config.method, dict(origin), *(dataclasses.asdict(part) for part in parts)]
    return Digest.of(
        _RUN_DOMAIN,
        json.dumps(described, sort_keys=True).encode(),
        run.split.digest.value,
        *(
            array.tobytes()
            for part in (training, validation)
            for array in (part.images, part.labels, part.sources)
        ),
    )


def fit_machine(run: Run) -> Fitted:
    """Fit the linear SVM."""
    config = run.config
    training = run.examples("train", preprocess=config.preprocess)
    validation = run.examples("validation", preprocess=config.preprocess)
    machine, notes = fit_svm(
        training, validation, config=config.svm, balanced=config.calibration.balanced
    )
    settings = {**dataclasses.asdict(config.svm), "costs": list(config.svm.costs)}
    tensors = dict(machine.to_tensors())
    return Fitted(
        tensors=cast(Tensors, tensors),
        preprocess=config.preprocess,
        network={},
        notes={**notes, "settings": settings},
        validation=validation,
        logits=LinearSvm.from_tensors(tensors).logits(validation.images),
        calibrated=True,  # its sigmoid has been fitted to the same images
    )


def fit_ensemble(run: Run) -> Fitted:
    """Fit the shares of the members, which stay as they are.

    Raises
    ------
    ConfigurationError
        A member has other classes or was trained on another split, so that it may know the
        validation images.
    """
    members = [_member(name, run) for name in run.config.ensemble.members]
    probabilities = []
    for member in members:
        validation = run.examples("validation", preprocess=member.preprocess)
        probabilities.append(member.probabilities(validation.images))
    labels = validation.labels
    balanced = (
        balanced_weights(labels, validation.sources) if run.config.calibration.balanced else None
    )
    groups = [record.group for record in run.dataset.select(run.split.names("validation"))]
    shares = fit_shares(probabilities, labels, weights=balanced, groups=groups)
    rounded = shares.values.astype(np.float32)
    ids = [member.card.id for member in members]
    alone = [float((p.argmax(axis=1) == labels).mean()) for p in probabilities]
    logits = average_logits(probabilities, rounded.astype(np.float64))
    return Fitted(
        tensors={"shares": rounded},
        preprocess=members[0].preprocess,
        network={
            "members": ids,
            "sha256": [member.card.sha256.value.hex() for member in members],
        },
        notes={
            "shares": dict(zip(ids, shares.values.tolist(), strict=True)),
            "validation_gain": [shares.gain, shares.standard_error],
            "validation_accuracy": float((logits.argmax(axis=1) == labels).mean()),
            "validation_accuracy_alone": dict(zip(ids, alone, strict=True)),
        },
        validation=validation,
        logits=logits,
        calibrated=shares.alone,
    )


def _member(name: str, run: Run) -> Classifier:
    folder = model_folder(name, run.output_dir)
    member = load(name) if folder is None else load_folder(folder)
    if member.card.classes != run.dataset.classes or member.members:
        raise ConfigurationError(f"{name} cannot be a member: it has other classes or members")
    if member.card.training.get("split_digest") != str(run.split.digest):
        raise ConfigurationError(
            f"{name} was trained on another split and may know the validation images: train it on "
            f"{run.dataset.name} with split_seed {run.config.split_seed} and the same [data]"
        )
    return member
