"""Seal medical images, release watermarked copies, verify any copy, keep receipts."""

__all__ = ["__version__"]

__version__ = "0.1.0"
