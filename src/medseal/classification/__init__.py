"""Classify medical images, explain the result, train and test the models."""

from medseal.classification.evaluation import evaluate
from medseal.classification.explain import explain, overlay
from medseal.classification.predict import Classifier, Prediction, load, load_folder

__all__ = ["Classifier", "Prediction", "evaluate", "explain", "load", "load_folder", "overlay"]
