"""Exact tamper evidence: a keyed fingerprint, and where a copy differs from it."""

from medseal.protection.tamper.compare import MODEL_ID, check
from medseal.protection.tamper.fingerprint import (
    KEY_BYTES,
    MAX_FINGERPRINT_BYTES,
    Fingerprint,
    fingerprint,
)
from medseal.protection.tamper.report import Region, TamperReport

__all__ = [
    "KEY_BYTES",
    "MAX_FINGERPRINT_BYTES",
    "MODEL_ID",
    "Fingerprint",
    "Region",
    "TamperReport",
    "check",
    "fingerprint",
]
