"""What others state: the table of paper 1, and published results on PneumoniaMNIST."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["DATA_SETS", "LITERATURE", "METHODS", "PAPER", "method_of"]

# Each data set of the table; one task each.
DATA_SETS = (
    "brain-mri",
    "chest-xray",
    "skin",
    "fundus-dr",
    "ct-lung",
    "breast-ultrasound",
    "pneumonia-mnist",
)
# Paper 1, 4.1 and 4.2; accuracy of the ensemble and hours on a GPU, 4.2 and 4.4. On other images.
PAPER: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "five-layer-cnn": {
            "accuracy": 0.92,
            "precision": 0.90,
            "recall": 0.91,
            "f1": 0.905,
            "training_hours_on_a_gpu": 12,
        },
        "linear-svm": {"accuracy": 0.85, "precision": 0.83, "recall": 0.84, "f1": 0.835},
        "resnet50": {
            "accuracy": 0.90,
            "precision": 0.89,
            "recall": 0.89,
            "f1": 0.89,
            "training_hours_on_a_gpu": 8,
        },
        "ensemble": {"accuracy": 0.93},
    }
)
# Rows of the table; the last two are ours.
METHODS = (*PAPER, "efficientnet-lite0", "edge-cnn")
# Yang et al. 2023, arXiv 2110.14795: AUROC and accuracy on the official test part.
LITERATURE: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "pneumonia-mnist": {
            name: {"auroc": auroc, "accuracy": accuracy, "source": "literature, arXiv 2110.14795"}
            for name, auroc, accuracy in (
                ("ResNet-18, 28 px", 0.944, 0.854),
                ("ResNet-50, 224 px", 0.962, 0.884),
                ("auto-sklearn", 0.942, 0.855),
                ("AutoKeras", 0.947, 0.878),
                ("Google AutoML Vision", 0.991, 0.946),
            )
        }
    }
)


def method_of(name: str) -> str | None:
    """Return the row of the table that a method on a card belongs to, or None."""
    plain = name.replace("resnet-50", "resnet50")
    return next((method for method in METHODS if plain.startswith(method)), None)
