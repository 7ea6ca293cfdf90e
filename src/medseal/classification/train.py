"""From a configuration and a folder of images to a weights folder with its card, once tested."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseal import weights
from medseal.classification.calibrate import (
    abstention_threshold,
    fit_offsets,
    fit_temperature,
    softmax,
)
from medseal.classification.config import TrainConfig, read_config
from medseal.classification.evaluation import outcome_of, score
from medseal.classification.methods import Fitted, Run, fit_ensemble, fit_machine, fit_network
from medseal.classification.predict import Classifier, classifier_from
from medseal.classification.sampling import balanced_weights
from medseal.classification.train_generator import train_generator
from medseal.classification.train_pretrained import train_pretrained
from medseal.classification.training_card import card_of, metrics_of
from medseal.datasets import Dataset, read_dataset

__all__ = ["EVALUATION_NAME", "SPLIT_NAME", "TrainedModel", "train"]

SPLIT_NAME = "split.json"
EVALUATION_NAME = "evaluation.json"
_LOGGER = logging.getLogger("medseal.train")
_METHODS = {"linear-svm": fit_machine, "ensemble": fit_ensemble}


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
    if config.pretrain.datasets:
        folder, run_folder, evaluation = train_pretrained(
            config,
            data_dir=data_dir,
            config_dir=config_path.parent,
            output_dir=output_dir,
            split_name=SPLIT_NAME,
        )
        return TrainedModel(folder=folder, run_folder=run_folder, evaluation=evaluation)
    whole = read_dataset(config.dataset, data_dir)
    dataset = _restricted(whole, config)
    split = dataset.split(seed=config.split_seed)
    run_folder = output_dir / f"{config.id}.run"
    run_folder.mkdir(parents=True, exist_ok=True)
    split.write(run_folder / SPLIT_NAME)
    run = Run(
        config=config,
        dataset=dataset,
        split=split,
        folder=run_folder,
        config_dir=config_path.parent,
        output_dir=output_dir,
    )
    counts = split.counts
    _LOGGER.info(
        "%s: %d training and %d validation images; log in %s",
        config.id,
        counts["train"],
        counts["validation"],
        run_folder,
    )
    if config.method == "gan":
        folder, evaluation = train_generator(run)
        return TrainedModel(folder=folder, run_folder=run_folder, evaluation=evaluation)
    # 2. Fit on training images, choose on validation images.
    fitted = _METHODS.get(config.method, fit_network)(run)
    # 3. Calibrate the model as it is stored.
    card = dataclasses.replace(card_of(run, fitted), calibration=_calibrate(fitted, config))
    # 4. Test once.
    classifier = classifier_from(card, fitted.tensors, beside=output_dir)
    evaluation = _tested(classifier, whole, run) if test else _validated(classifier, run)
    card = dataclasses.replace(card, metrics=metrics_of(evaluation))
    # 5. Write.
    text = json.dumps(evaluation, indent=2) + "\n"
    (run_folder / EVALUATION_NAME).write_text(text, encoding="utf-8")
    weights.save(output_dir, card=card, tensors=fitted.tensors)
    return TrainedModel(folder=output_dir / card.id, run_folder=run_folder, evaluation=evaluation)


def _restricted(whole: Dataset, config: TrainConfig) -> Dataset:
    data = config.data
    if not (data.sources or data.without):
        return whole
    return whole.restrict(sources=data.sources or None, without=data.without)


def _calibrate(fitted: Fitted, config: TrainConfig) -> dict[str, Any]:
    """Return temperature, offsets and abstention threshold of the stored model."""
    settings, labels = config.calibration, fitted.validation.labels
    balanced = balanced_weights(labels, fitted.validation.sources) if settings.balanced else None
    offsets = np.zeros(fitted.logits.shape[1])
    if fitted.calibrated:
        temperature = 1.0
    elif settings.offsets:
        temperature, offsets = fit_offsets(
            fitted.logits, labels, weights=balanced, penalty=settings.penalty
        )
    else:
        temperature = fit_temperature(fitted.logits, labels, weights=balanced)
    probabilities = softmax(fitted.logits / temperature + offsets)
    return {
        "temperature": temperature,
        **({"offsets": offsets.tolist()} if offsets.any() else {}),
        **({"balanced": True} if settings.balanced else {}),
        "abstain_below": abstention_threshold(probabilities, share=config.abstain_share),
        "fitted_on": "validation",
    }


def _tested(classifier: Classifier, whole: Dataset, run: Run) -> dict[str, Any]:
    """Return the figures of the test part, and of the left-out sources where there are some."""
    classes = classifier.card.classes
    outcome = outcome_of(classifier, run.dataset, run.dataset.select(run.split.names("test")))
    evaluation = {"part": "test", **score(outcome, classes=classes)}
    if run.config.data.without:
        outside = whole.restrict(sources=run.config.data.without)
        outcome = outcome_of(classifier, outside, outside.records)
        evaluation["left_out"] = score(outcome, classes=classes)
    return evaluation


def _validated(classifier: Classifier, run: Run) -> dict[str, Any]:
    """Return the figures of the validation part, which flatter: choices rest on it."""
    records = run.dataset.select(run.split.names("validation"))
    outcome = outcome_of(classifier, run.dataset, records)
    return {"part": "validation", **score(outcome, classes=classifier.card.classes)}
