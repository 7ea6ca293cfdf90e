"""Image files in, one immutable MedicalImage out, with digests, display values and writers."""

from medseal.imaging.image import MedicalImage

__all__ = ["MedicalImage"]
