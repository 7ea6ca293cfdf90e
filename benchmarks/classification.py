"""Table of paper 1: the five-layer network beside the linear SVM on held-out brain MRI.

Both shipped models are scored on the test part of the split that their cards name; data that are
split otherwise are refused, since their images may have been trained on. Intervals are 95 %
bootstrap over groups of near-duplicates, and the difference is paired: both models see the same
resampled groups.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import arguments, write_result
from medseal.classification import load
from medseal.classification.evaluation import Outcome, outcome_of, score, trained_split
from medseal.errors import ConfigurationError
from medseal.metrics.classification import auroc, bootstrap_by_group, brier_score

MODELS = ("five-layer-cnn-brain-mri", "linear-svm-brain-mri")
RESAMPLES = 10_000
QUICK_RESAMPLES = 500
# Paper 1, 4.2: what its own table says, on other images.
PAPER_ACCURACY = {"five-layer-cnn-brain-mri": 0.92, "linear-svm-brain-mri": 0.85}


def measure(model_id: str, data: Path) -> tuple[Outcome, dict[str, Any]]:
    """Return what a shipped model says on its held-out test part, and its figures.

    Raises
    ------
    ConfigurationError
        The data are not split as they were in training.
    """
    classifier = load(model_id)
    dataset, split = trained_split(classifier.card, data)
    if str(split.digest) != classifier.card.training["split_digest"]:
        raise ConfigurationError(
            f"{data} is not the data that {model_id} was trained on: its test part may hold "
            "training images"
        )
    records = dataset.select(split.names("test"))
    start = time.perf_counter()
    outcome = outcome_of(classifier, dataset, records)
    seconds = time.perf_counter() - start
    return outcome, {
        "sha256": str(classifier.card.sha256),
        "split_digest": str(split.digest),
        "split_images": split.counts,
        "paper_accuracy": PAPER_ACCURACY[model_id],
        "milliseconds_an_image": round(1000 * seconds / len(records), 2),
        **score(outcome, classes=classifier.card.classes),
    }


def paired_difference(first: Outcome, second: Outcome, *, resamples: int) -> dict[str, Any]:
    """Return first minus second of accuracy, AUROC and Brier score, over the same groups.

    Raises
    ------
    ConfigurationError
        The outcomes are of different images.
    """
    labels = first.labels
    if first.groups != second.groups or not np.array_equal(labels, second.labels):
        raise ConfigurationError("the two models were not tested on the same images")

    def figures(chosen: NDArray[np.int64]) -> list[float]:
        true = labels[chosen]
        one, other = first.probabilities[chosen], second.probabilities[chosen]
        return [
            float(np.mean((one >= 0.5) == true) - np.mean((other >= 0.5) == true)),  # noqa: PLR2004  # the more probable class
            auroc(true, one) - auroc(true, other),
            brier_score(true, one) - brier_score(true, other),
        ]

    intervals = bootstrap_by_group(
        figures, first.groups, generator=np.random.default_rng(1), resamples=resamples
    )
    names = ("accuracy", "auroc", "brier")
    return {name: asdict(found) for name, found in zip(names, intervals, strict=True)}


def main(argv: Sequence[str]) -> int:
    """Run the measurement; return the exit code."""
    parser = arguments("The shipped classifiers on held-out brain MRI.")
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("--data is needed: the folder with MANIFEST.csv")
    torch.set_num_threads(1)
    outcomes, models = {}, {}
    for model_id in MODELS:
        outcomes[model_id], models[model_id] = measure(model_id, chosen.data)
    difference = paired_difference(
        outcomes[MODELS[0]],
        outcomes[MODELS[1]],
        resamples=QUICK_RESAMPLES if chosen.quick else RESAMPLES,
    )
    result = {
        "part": "test",
        "interval": "95 % bootstrap by group",
        "models": models,
        "cnn_minus_svm": difference,
    }
    write_result("classification", result, chosen, sys_stdout=sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
