"""Classify medical images, explain the result, train and test the models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medseal.classification.classifier import Classifier, Prediction
from medseal.classification.explain import explain, overlay

if TYPE_CHECKING:
    from medseal.classification.evaluation import evaluate
    from medseal.classification.predict import load, load_folder

__all__ = ["Classifier", "Prediction", "evaluate", "explain", "load", "load_folder", "overlay"]

# What needs torch is imported when it is first asked for: serving an exported model needs none.
_HOME = {"evaluate": "evaluation", "load": "predict", "load_folder": "predict"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
