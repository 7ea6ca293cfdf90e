"""From a configuration and a folder of images to a weights folder with its card, once tested."""

import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.baselines import fit_svm
from medseal.classification.calibrate import abstention_threshold, fit_temperature, softmax
from medseal.classification.config import TrainConfig, read_config
from medseal.classification.evaluation import outcome_of, score
from medseal.classification.examples import Examples, read_examples
from medseal.classification.fit import build_network, fit, logits_of
from medseal.classification.networks import FiveLayerCNN, NetworkConfig
from medseal.classification.predict import classifier_from
from medseal.datasets import Dataset, Split, read_dataset
from medseal.datasets.split import PARTS
from medseal.digest import Digest
from medseal.weights import Card

__all__ = ["EVALUATION_NAME", "SPLIT_NAME", "TrainedModel", "train"]

SPLIT_NAME = "split.json"
EVALUATION_NAME = "evaluation.json"
_RUN_DOMAIN = "medseal/run/v1"
_LOGGER = logging.getLogger("medseal.train")
_CNN = "five-layer-cnn"

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
        Figures on the test part, as `medseal.classification.evaluation.score` gives them.
    """

    folder: Path
    run_folder: Path
    evaluation: Mapping[str, Any]


def train(config_path: Path, *, data_dir: Path, output_dir: Path) -> TrainedModel:
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

    Raises
    ------
    ConfigurationError
        The configuration is wrong, or `output_dir` holds a run of another one.
    InputError
        The data cannot be read.
    """
    # 1. Settings, images, split.
    config = read_config(config_path)
    dataset = read_dataset(config.dataset, data_dir)
    split = dataset.split(seed=config.split_seed)
    run_folder = output_dir / f"{config.id}.run"
    run_folder.mkdir(parents=True, exist_ok=True)
    split.write(run_folder / SPLIT_NAME)
    training, validation = (
        read_examples(dataset, dataset.select(split.names(part)), config=config.preprocess)
        for part in ("train", "validation")
    )
    _LOGGER.info(
        "%s: %d training and %d validation images; log in %s",
        config.id,
        len(training.labels),
        len(validation.labels),
        run_folder,
    )
    # 2. Fit on training images, choose on validation images.
    method = _fit_network if config.method == _CNN else _fit_machine
    tensors, notes = method(config, training, validation, split=split, folder=run_folder)
    # 3. Calibrate the weights as they are stored.
    card = _card(config, dataset, split, notes=notes)
    card = dataclasses.replace(
        card, calibration=_calibrate(card, tensors, validation, share=config.abstain_share)
    )
    # 4. Test once.
    classifier = classifier_from(card, tensors)
    outcome = outcome_of(classifier, dataset, dataset.select(split.names("test")))
    evaluation = score(outcome, classes=card.classes)
    card = dataclasses.replace(card, metrics=_metrics(evaluation))
    # 5. Write.
    text = json.dumps(evaluation, indent=2) + "\n"
    (run_folder / EVALUATION_NAME).write_text(text, encoding="utf-8")
    weights.save(output_dir, card=card, tensors=tensors)
    return TrainedModel(folder=output_dir / card.id, run_folder=run_folder, evaluation=evaluation)


def _fit_network(
    config: TrainConfig, training: Examples, validation: Examples, *, split: Split, folder: Path
) -> tuple[Tensors, dict[str, Any]]:
    """Return the stored tensors of the network, and notes for the card."""
    settings = NetworkConfig(rows=config.preprocess.rows, columns=config.preprocess.columns)
    network = build_network(settings, seed=config.train.seed)
    state = fit(
        training,
        validation,
        network=network,
        config=config.train,
        augmentation=config.augment,
        folder=folder,
        run_digest=str(_run_digest(config, training, validation, split=split)),
    )
    tensors = {name: _stored(tensor) for name, tensor in network.state_dict().items()}
    best = state.best_row
    notes = {
        "storage": _rounding(network, tensors, validation, settings=settings),
        "epochs": len(state.rows),
        "best_epoch": best.epoch,
        "validation_loss": best.validation_loss,
        "validation_accuracy": best.validation_accuracy,
        "settings": dataclasses.asdict(config.train),
        "augmentation": dataclasses.asdict(config.augment),
    }
    return tensors, notes


def _rounding(
    network: FiveLayerCNN, tensors: Tensors, validation: Examples, *, settings: NetworkConfig
) -> dict[str, Any]:
    """Return what half precision changes on the validation images."""
    rounded = FiveLayerCNN(settings)
    rounded.load_state_dict({name: torch.tensor(tensor) for name, tensor in tensors.items()})
    exact, stored = (
        torch.softmax(logits_of(model, validation.images), dim=1) for model in (network, rounded)
    )
    return {
        "precision": "float16",
        "changed_decisions": int((exact.argmax(dim=1) != stored.argmax(dim=1)).sum()),
        "largest_probability_change": float((exact - stored).abs().max()),
    }


def _stored(tensor: torch.Tensor) -> NDArray[Any]:
    """Return weights in half precision; the few statistics and offsets stay as they are."""
    values: NDArray[Any] = tensor.detach().contiguous().numpy()
    return values.astype(np.float16) if values.ndim > 1 else values.copy()


def _fit_machine(
    config: TrainConfig,
    training: Examples,
    validation: Examples,
    *,
    split: Split,  # noqa: ARG001  # same call as _fit_network
    folder: Path,  # noqa: ARG001  # same call as _fit_network
) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors of the SVM, and notes for the card."""
    machine, notes = fit_svm(training, validation, config=config.svm)
    settings = {**dataclasses.asdict(config.svm), "costs": list(config.svm.costs)}
    return dict(machine.to_tensors()), {**notes, "settings": settings}


def _run_digest(
    config: TrainConfig, training: Examples, validation: Examples, *, split: Split
) -> Digest:
    """Return the digest of everything that decides the weights after an epoch.

    How many epochs there are is left out, so that a run can be given more of them.
    """
    parts = (
        config.preprocess,
        config.augment,
        dataclasses.replace(config.train, max_epochs=1, patience=1),
    )
    settings = json.dumps([dataclasses.asdict(part) for part in parts], sort_keys=True)
    return Digest.of(
        _RUN_DOMAIN,
        settings.encode(),
        split.digest.value,
        *(part.images.tobytes() for part in (training, validation)),
        *(part.labels.tobytes() for part in (training, validation)),
    )


def _card(config: TrainConfig, dataset: Dataset, split: Split, *, notes: Mapping[str, Any]) -> Card:
    settings: dict[str, Any] = {
        **config.preprocess.to_dict(),
        "digest": str(config.preprocess.digest),
    }
    sources = Counter((record.source, record.licence) for record in dataset.records)
    training: dict[str, Any] = {
        "dataset": dataset.name,
        "sources": [source or "not stated" for source, _ in sorted(sources)],
        "licences": [licence or "not stated" for _, licence in sorted(sources)],
        "split_seed": config.split_seed,
        "split_digest": str(split.digest),
        **{f"{part}_images": len(split.members[part]) for part in PARTS},
        **{f"{part}_groups": len({m.group for m in split.members[part]}) for part in PARTS},
        **notes,
    }
    return Card(
        id=config.id,
        version=config.version,
        task=config.task,
        modality=config.modality,
        method=config.method,
        sha256=Digest.plain(b""),  # set by weights.save
        default=config.default,
        limits=config.limits,
        classes=dataset.classes,
        preprocess=settings,
        training=training,
    )


def _calibrate(
    card: Card, tensors: Tensors, validation: Examples, *, share: float
) -> dict[str, Any]:
    """Return temperature and abstention threshold of the stored weights."""
    logits = classifier_from(card, tensors).logits(validation.images)
    # Platt's sigmoid inside the SVM has been fitted to the same images already.
    temperature = fit_temperature(logits, validation.labels) if card.method == _CNN else 1.0
    probabilities = softmax(logits, temperature=temperature)
    return {
        "temperature": temperature,
        "abstain_below": abstention_threshold(probabilities, share=share),
        "fitted_on": "validation",
    }


def _metrics(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of the test part for the card: [estimate, low, high] each."""
    figures = {
        name: list(value.values())
        for name, value in evaluation["figures"].items()
        if None not in value.values()
    }
    return {
        "part": "test",
        "images": evaluation["images"],
        "groups": evaluation["groups"],
        "interval": "95 % bootstrap by group",
        "confusion_matrix": evaluation["confusion_matrix"],
        **figures,
    }
