"""Load OpenVINO without the part that reports every use of it over the network."""

import importlib
import sys
from typing import Any

__all__ = ["load_openvino", "without_telemetry"]

_TELEMETRY = "openvino_telemetry"


def without_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting their use, in this process, if neither is loaded yet.

    As installed, both send an event to an analytics service when they are imported, unless the user
    has opted out. Both fall back to a stub where the package that sends is missing.
    """
    # A None here is Python's own way to say that a module cannot be imported.
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]


def load_openvino() -> Any:
    """Return the module `openvino`.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    without_telemetry()
    return importlib.import_module("openvino")
