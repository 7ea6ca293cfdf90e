"""A blind opinion whether and where an image was forged, without any record; never a proof."""

from medseal.protection.tamper.blind.detect import detect
from medseal.protection.tamper.blind.report import BlindReport, OperatingPoint

__all__ = ["BlindReport", "OperatingPoint", "detect"]
