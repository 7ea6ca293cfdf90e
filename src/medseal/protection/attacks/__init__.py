"""Attacks on a copy, one implementation for training and evaluation: distortions, forgeries."""

from medseal.protection.attacks import distortions, forgeries
from medseal.protection.attacks.conditions import EXTRA, STANDARD, Distortion
from medseal.protection.attacks.draws import Drawn, random_distortion

__all__ = [
    "EXTRA",
    "STANDARD",
    "Distortion",
    "Drawn",
    "distortions",
    "forgeries",
    "random_distortion",
]
