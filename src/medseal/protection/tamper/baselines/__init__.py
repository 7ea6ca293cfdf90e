"""Other detectors of tampering behind one interface, to measure the product against."""

from medseal.protection.tamper.baselines.blind import ErrorLevel, NoiseLevel
from medseal.protection.tamper.baselines.exact import FileHash, Signature, ValuesHash
from medseal.protection.tamper.baselines.method import Method, Reading
from medseal.protection.tamper.baselines.perceptual import PerceptualHash, perceptual_hashes
from medseal.protection.tamper.baselines.thumbnail import ThumbnailReference, thumbnail_references

__all__ = [
    "ErrorLevel",
    "FileHash",
    "Method",
    "NoiseLevel",
    "PerceptualHash",
    "Reading",
    "Signature",
    "ThumbnailReference",
    "ValuesHash",
    "perceptual_hashes",
    "thumbnail_references",
]
