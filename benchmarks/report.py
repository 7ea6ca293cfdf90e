"""Write a result with the facts of the machine and the versions it was measured with."""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["arguments", "write_result"]

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "medseal",
    "numpy",
    "torch",
    "cryptography",
    "pydicom",
    "opencv-python-headless",
    "web3",
    "coincurve",
)


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with --data, --output, --quick and --json."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, help="folder of images")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the result")
    parser.add_argument("--quick", action="store_true", help="a shorter run")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON line")
    return parser


def _installed() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_result(
    name: str, result: Mapping[str, Any], chosen: argparse.Namespace, *, sys_stdout: Any
) -> Path:
    """Write ``NAME.json`` (``NAME.quick.json`` for a quick run) and print where it is."""
    value = {
        "name": name,
        "quick": chosen.quick,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "processor": platform.machine(),
        },
        "versions": _installed(),
        "result": dict(result),
    }
    chosen.output.mkdir(parents=True, exist_ok=True)
    path: Path = chosen.output / f"{name}{'.quick' if chosen.quick else ''}.json"
    path.write_text(json.dumps(value, indent=2) + "\n")
    sys_stdout.write(json.dumps(value["result"]) + "\n" if chosen.json else f"{path}\n")
    return path
