"""PneumoniaMNIST: the five-layer network with several seeds on the official test part.

Trains the committed configuration once a seed (a run that was stopped goes on), scores each on the
official test part, and reports every seed and the mean of their figures beside the published ones.
The average of the seeds is one classifier: the mean of their calibrated probabilities, in equal
parts, with nothing fitted. The SVM is trained beside it with its own configuration.
"""

import json
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.classification import error_if_calibrated
from benchmarks.report import arguments, write_result
from medseal.classification.evaluation import examine
from medseal.classification.fit import LOG_NAME
from medseal.classification.outcome import Outcome, score
from medseal.classification.train import train
from medseal.errors import ConfigurationError

CONFIGS = Path(__file__).parents[1] / "configs"
NETWORK, MACHINE = "five-layer-cnn-pneumonia-mnist", "linear-svm-pneumonia-mnist"
SEEDS = (1, 2, 3)
# Yang et al. 2023, doi:10.1038/s41597-022-01721-8, table 3: AUC and accuracy on PneumoniaMNIST.
PUBLISHED = {
    "ResNet-18, 28 px": {"auroc": 0.944, "accuracy": 0.854},
    "ResNet-50, 224 px": {"auroc": 0.962, "accuracy": 0.884},
    "auto-sklearn": {"auroc": 0.942, "accuracy": 0.855},
    "AutoKeras": {"auroc": 0.947, "accuracy": 0.878},
    "Google AutoML Vision": {"auroc": 0.991, "accuracy": 0.946},
}
_FIGURES = ("auroc", "accuracy", "balanced_accuracy", "calibration_error")


def with_seed(name: str, seed: int, folder: Path) -> Path:
    """Return the path of a copy of a configuration whose only change is the seed.

    Raises
    ------
    ConfigurationError
        The configuration does not name its seed exactly once.
    """
    text, count = re.subn(
        r"^seed = \d+$",
        f"seed = {seed}",
        (CONFIGS / f"{name}.toml").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    if count != 1:
        raise ConfigurationError(f"configs/{name}.toml must name its seed once, not {count} times")
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def trained(name: str, seed: int, *, data: Path, models: Path) -> dict[str, Any]:
    """Return the figures of one seed on the official test part, trained if need be."""
    folder = models / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    found = train(with_seed(name, seed, folder), data_dir=data, output_dir=folder)
    figures = found.evaluation["figures"]
    log = found.run_folder / LOG_NAME
    seconds = [json.loads(line)["seconds"] for line in log.open()] if log.is_file() else []
    return {
        # Of the epochs, also where an earlier call trained the model; the SVM has none.
        **({"training_seconds": round(sum(seconds), 1)} if seconds else {}),
        "images": found.evaluation["images"],
        **{key: figures[key] for key in _FIGURES},
    }


def average_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Return what the mean of the probabilities of several models says about the same images.

    It abstains where most of them do.
    """
    first = outcomes[0]
    mean = np.mean([outcome.probabilities for outcome in outcomes], axis=0)
    share = np.mean([outcome.abstained for outcome in outcomes], axis=0)
    return Outcome(
        labels=first.labels,
        probabilities=mean,
        predicted=mean.argmax(axis=1),
        abstained=share > 1 / 2,
        groups=first.groups,
    )


def scored(outcome: Outcome, *, classes: Sequence[str]) -> dict[str, Any]:
    """Return the figures, and the calibration error if every probability were true."""
    found = score(outcome, classes=classes)
    expected = error_if_calibrated(outcome.probabilities, generator=np.random.default_rng(1))
    return {
        "images": found["images"],
        **{key: found["figures"][key] for key in _FIGURES},
        "calibration_error_expected_if_calibrated": expected,
    }


def main(argv: Sequence[str]) -> int:
    """Run the measurement; return the exit code."""
    parser = arguments("PneumoniaMNIST, several seeds.")
    parser.add_argument("--models", type=Path, help="folder that keeps the trained models")
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("--data is needed: the folder with the MedMNIST archive")
    seeds = SEEDS[:1] if chosen.quick else SEEDS
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(seeds, data=chosen.data, models=chosen.models or Path(scratch))
    write_result("pneumonia_mnist", result, chosen, sys_stdout=sys.stdout)
    return 0


def measure(seeds: Sequence[int], *, data: Path, models: Path) -> dict[str, Any]:
    """Return the figures of each seed, their mean and those of the SVM."""
    rows = [trained(NETWORK, seed, data=data, models=models) for seed in seeds]
    found = [examine(models / f"seed-{seed}" / NETWORK, data) for seed in seeds]
    average = average_of([evaluation.outcome for evaluation in found])
    return {
        "part": "official test",
        "mean": {key: statistics.mean(row[key]["estimate"] for row in rows) for key in _FIGURES},
        "average_of_seeds": scored(average, classes=found[0].classifier.card.classes),
        "network": {f"seed {seed}": row for seed, row in zip(seeds, rows, strict=True)},
        "svm": trained(MACHINE, 1, data=data, models=models),
        "published": PUBLISHED,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
