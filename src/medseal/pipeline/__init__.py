"""The use cases: the only place where imaging, protection, vault, ledger and models meet."""

from importlib import import_module
from typing import Any

_HOME = {
    "Workspace": "workspace",
    "classify_file": "classify",
    "classify_image": "classify",
    "deidentify_file": "deid",
    "erase": "erase",
    "erase_patient": "erase",
    "open_image": "open",
    "open_release_file": "restore",
    "release": "release",
    "seal": "seal",
    "verify": "verify",
}
__all__ = [
    "Workspace",
    "access",
    "classify_file",
    "classify_image",
    "deidentify_file",
    "erase",
    "erase_patient",
    "open_image",
    "open_release_file",
    "release",
    "seal",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a use case when it is asked for, so that sealing does not load a network."""
    if name == "access":
        return import_module("medseal.pipeline.access")
    if name not in _HOME:
        raise AttributeError(f"module 'medseal.pipeline' has no attribute '{name}'")
    return getattr(import_module(f"medseal.pipeline.{_HOME[name]}"), name)
