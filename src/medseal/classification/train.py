"""From a configuration and a folder of images to a weights folder with its card, once tested."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.baselines import fit_svm
from medseal.classification.calibrate import (
    abstention_threshold,
    fit_offsets,
    fit_temperature,
    softmax,
)
from medseal.classification.config import TrainConfig, read_config
from medseal.classification.evaluation import outcome_of, score
from medseal.classification.examples import Examples, check_classes, read_examples
from medseal.classification.fit import fit, logits_of
from medseal.classification.initial import first_network
from medseal.classification.networks import Network, NetworkConfig
from medseal.classification.predict import Classifier, classifier_from
from medseal.classification.sampling import balanced_weights
from medseal.classification.storage import pack, unpack
from medseal.classification.training_card import card_of, metrics_of
from medseal.datasets import Dataset, Split, read_dataset
from medseal.digest import Digest
from medseal.weights import Card

__all__ = ["EVALUATION_NAME", "SPLIT_NAME", "TrainedModel", "train"]

SPLIT_NAME = "split.json"
EVALUATION_NAME = "evaluation.json"
_RUN_DOMAIN = "medseal/run/v1"
_LOGGER = logging.getLogger("medseal.train")

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What a run has written.

    Attributes
    ----------
    folder
        ``card.toml`` and ``weights.safetensors``, as the package ships them.
    run_folder
        Checkpoint, log, split and evaluation.
    evaluation
        Figures on the test part, as `medseal.classification.evaluation.score` gives them; under
        ``left_out`` those on the sources that the configuration leaves out.
    """

    folder: Path
    run_folder: Path
    evaluation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What every method is fitted with."""

    config: TrainConfig
    classes: tuple[str, ...]
    split: Split
    training: Examples
    validation: Examples
    folder: Path
    config_dir: Path
    output_dir: Path


def train(
    config_path: Path, *, data_dir: Path, output_dir: Path, test: bool = True
) -> TrainedModel:
    """Train a model, calibrate it, test it once, and write it.

    A run that was stopped goes on where it was when the same command is given again.

    Parameters
    ----------
    config_path
        TOML, as in ``configs/``.
    data_dir
        Folder with the data set that the configuration names.
    output_dir
        Created if missing; takes the model folder ``<id>`` and ``<id>.run`` beside it.
    test
        Whether the figures come from the test part; else from the validation part, and the test
        part and the left-out sources stay unseen, for runs that compare settings.

    Raises
    ------
    ConfigurationError
        The configuration is wrong, or `output_dir` holds a run of another one.
    InputError
        The data cannot be read, or a class has no image in the training or validation part.
    """
    # 1. Settings, images, split.
    config = read_config(config_path)
    whole = read_dataset(config.dataset, data_dir)
    dataset = _restricted(whole, config)
    split = dataset.split(seed=config.split_seed)
    run_folder = output_dir / f"{config.id}.run"
    run_folder.mkdir(parents=True, exist_ok=True)
    split.write(run_folder / SPLIT_NAME)
    training, validation = (_examples(dataset, split, part, config) for part in _FITTED)
    run = _Run(
        config=config,
        classes=dataset.classes,
        split=split,
        training=training,
        validation=validation,
        folder=run_folder,
        config_dir=config_path.parent,
        output_dir=output_dir,
    )
    _LOGGER.info(
        "%s: %d training and %d validation images; log in %s",
        config.id,
        len(training.labels),
        len(validation.labels),
        run_folder,
    )
    # 2. Fit on training images, choose on validation images.
    method = _fit_machine if config.method == "linear-svm" else _fit_network
    tensors, network_table, notes = method(run)
    # 3. Calibrate the weights as they are stored.
    card = card_of(config, dataset, split, network=network_table, notes=notes)
    card = dataclasses.replace(card, calibration=_calibrate(card, tensors, run))
    # 4. Test once.
    classifier = classifier_from(card, tensors)
    evaluation = (
        _tested(classifier, whole, dataset, run) if test else _validated(classifier, dataset, run)
    )
    card = dataclasses.replace(card, metrics=metrics_of(evaluation))
    # 5. Write.
    text = json.dumps(evaluation, indent=2) + "\n"
    (run_folder / EVALUATION_NAME).write_text(text, encoding="utf-8")
    weights.save(output_dir, card=card, tensors=tensors)
    return TrainedModel(folder=output_dir / card.id, run_folder=run_folder, evaluation=evaluation)


_FITTED = ("train", "validation")


def _restricted(whole: Dataset, config: TrainConfig) -> Dataset:
    data = config.data
    if not (data.sources or data.without):
        return whole
    return whole.restrict(sources=data.sources or None, without=data.without)


def _examples(dataset: Dataset, split: Split, part: Any, config: TrainConfig) -> Examples:
    records = dataset.select(split.names(part))
    examples = read_examples(dataset, records, config=config.preprocess)
    check_classes(examples, dataset.classes, part=part)
    return examples


def _fit_network(run: _Run) -> tuple[Tensors, dict[str, Any], dict[str, Any]]:
    """Return the stored tensors of the network, its settings, and notes for the card."""
    config = run.config
    settings = dataclasses.replace(
        config.network,
        rows=config.preprocess.rows,
        columns=config.preprocess.columns,
        channels=run.training.channels,
        classes=len(run.classes),
    )
    network, origin = first_network(
        config, settings, config_dir=run.config_dir, output_dir=run.output_dir
    )
    state = fit(
        run.training,
        run.validation,
        network=network,
        config=config.train,
        augmentation=config.augment,
        folder=run.folder,
        run_digest=str(_run_digest(run, settings, origin)),
    )
    state_tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    tensors = pack(state_tensors, config=config.storage)
    best = state.best_row
    notes = {
        "storage": _rounding(network, tensors, run),
        "epochs": len(state.rows),
        "best_epoch": best.epoch,
        "validation_loss": best.validation_loss,
        "validation_accuracy": best.validation_accuracy,
        **({"initial": dict(origin)} if origin else {}),
        "settings": dataclasses.asdict(config.train),
        "augmentation": config.augment.to_dict(),
    }
    return tensors, settings.to_dict(), notes


def _rounding(network: Network, tensors: Tensors, run: _Run) -> dict[str, Any]:
    """Return what the storage changes on the validation images."""
    exact = torch.softmax(logits_of(network, run.validation.images), dim=1)
    own = network.state_dict()
    network.load_state_dict({name: torch.tensor(t) for name, t in unpack(tensors).items()})
    stored = torch.softmax(logits_of(network, run.validation.images), dim=1)
    network.load_state_dict(own)
    return {
        "precision": run.config.storage.precision,
        "changed_decisions": int((exact.argmax(dim=1) != stored.argmax(dim=1)).sum()),
        "largest_probability_change": float((exact - stored).abs().max()),
    }


def _fit_machine(run: _Run) -> tuple[Tensors, dict[str, Any], dict[str, Any]]:
    """Return the tensors of the SVM, no settings of a network, and notes for the card."""
    config = run.config
    machine, notes = fit_svm(
        run.training, run.validation, config=config.svm, balanced=config.calibration.balanced
    )
    settings = {**dataclasses.asdict(config.svm), "costs": list(config.svm.costs)}
    return dict(machine.to_tensors()), {}, {**notes, "settings": settings}


def _run_digest(run: _Run, settings: NetworkConfig, origin: Mapping[str, str]) -> Digest:
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
            for part in (run.training, run.validation)
            for array in (part.images, part.labels, part.sources)
        ),
    )


def _calibrate(card: Card, tensors: Tensors, run: _Run) -> dict[str, Any]:
    """Return temperature, offsets and abstention threshold of the stored weights."""
    settings, validation = run.config.calibration, run.validation
    logits, labels = classifier_from(card, tensors).logits(validation.images), validation.labels
    balanced = balanced_weights(labels, validation.sources) if settings.balanced else None
    offsets = np.zeros(len(card.classes))
    if card.method == "linear-svm":
        temperature = 1.0  # its sigmoid has been fitted to the same images already
    elif settings.offsets:
        temperature, offsets = fit_offsets(
            logits, labels, weights=balanced, penalty=settings.penalty
        )
    else:
        temperature = fit_temperature(logits, labels, weights=balanced)
    probabilities = softmax(logits / temperature + offsets)
    return {
        "temperature": temperature,
        **({"offsets": offsets.tolist()} if offsets.any() else {}),
        **({"balanced": True} if settings.balanced else {}),
        "abstain_below": abstention_threshold(probabilities, share=run.config.abstain_share),
        "fitted_on": "validation",
    }


def _tested(classifier: Classifier, whole: Dataset, dataset: Dataset, run: _Run) -> dict[str, Any]:
    """Return the figures of the test part, and of the left-out sources where there are some."""
    classes = classifier.card.classes
    outcome = outcome_of(classifier, dataset, dataset.select(run.split.names("test")))
    evaluation = {"part": "test", **score(outcome, classes=classes)}
    if run.config.data.without:
        outside = whole.restrict(sources=run.config.data.without)
        outcome = outcome_of(classifier, outside, outside.records)
        evaluation["left_out"] = score(outcome, classes=classes)
    return evaluation


def _validated(classifier: Classifier, dataset: Dataset, run: _Run) -> dict[str, Any]:
    """Return the figures of the validation part, which flatter: choices rest on it."""
    records = dataset.select(run.split.names("validation"))
    outcome = outcome_of(classifier, dataset, records)
    return {"part": "validation", **score(outcome, classes=classifier.card.classes)}
