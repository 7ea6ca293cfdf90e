"""Tamper evidence: a keyed fingerprint, where a copy differs from it, and a blind opinion."""

from medseal.protection.tamper.blind import BlindReport, detect
from medseal.protection.tamper.compare import MODEL_ID, check
from medseal.protection.tamper.exact import found_share
from medseal.protection.tamper.fingerprint import (
    MAX_FINGERPRINT_BYTES,
    Fingerprint,
    fingerprint,
)
from medseal.protection.tamper.keys import KEY_BYTES, SIGNER_BYTES, signer_of
from medseal.protection.tamper.mark import MarkEvidence
from medseal.protection.tamper.report import FrameReport, Region, TamperReport

__all__ = [
    "KEY_BYTES",
    "MAX_FINGERPRINT_BYTES",
    "MODEL_ID",
    "SIGNER_BYTES",
    "BlindReport",
    "Fingerprint",
    "FrameReport",
    "MarkEvidence",
    "Region",
    "TamperReport",
    "check",
    "detect",
    "fingerprint",
    "found_share",
    "signer_of",
]
