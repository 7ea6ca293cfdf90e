"""PneumoniaMNIST: the five-layer network with several seeds on the official test part.

Trains the committed configuration once a seed (a run that was stopped goes on), scores each on the
official test part, and reports every seed and the mean beside the published figures. The SVM is
trained beside it with its own configuration.
"""

import re
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, write_result
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
    start = time.perf_counter()
    found = train(with_seed(name, seed, folder), data_dir=data, output_dir=folder)
    figures = found.evaluation["figures"]
    return {
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 1),
        "images": found.evaluation["images"],
        **{key: figures[key] for key in _FIGURES if key in figures},
    }


def main(argv: Sequence[str]) -> int:
    """Run the measurement; return the exit code."""
    parser = arguments("PneumoniaMNIST, several seeds.")
    parser.add_argument("--models", type=Path, required=True, help="folder for the trained models")
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("--data is needed: the folder with the MedMNIST archive")
    seeds = SEEDS[:1] if chosen.quick else SEEDS
    network = [trained(NETWORK, seed, data=chosen.data, models=chosen.models) for seed in seeds]
    result = {
        "part": "official test",
        "network": network,
        "mean": {
            key: statistics.mean(row[key]["estimate"] for row in network)
            for key in _FIGURES
            if all(key in row for row in network)
        },
        "svm": trained(MACHINE, 1, data=chosen.data, models=chosen.models),
        "published": PUBLISHED,
    }
    write_result("pneumonia_mnist", result, chosen, sys_stdout=sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
