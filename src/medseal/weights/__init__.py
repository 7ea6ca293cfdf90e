"""Models that ship with the package: safetensors with a card, digest checked before parsing."""

from medseal.weights.card import Card, is_model_id
from medseal.weights.store import default_for, load, load_folder, models, read_card, save

__all__ = [
    "Card",
    "default_for",
    "is_model_id",
    "load",
    "load_folder",
    "models",
    "read_card",
    "save",
]
