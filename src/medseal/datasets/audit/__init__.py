"""Audit of labelled images before anything is trained: leaks, copies, balance, traces of source."""

from medseal.datasets.audit.findings import Audit, Finding
from medseal.datasets.audit.run import audit

__all__ = ["Audit", "Finding", "audit"]
