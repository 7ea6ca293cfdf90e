"""Attacks on a copy, one implementation for training and evaluation: distortions, forgeries."""

from medseal.protection.attacks import distortions, forgeries

__all__ = ["distortions", "forgeries"]
