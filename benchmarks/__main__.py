"""Run every measurement, or make docs/results.md from what was measured.

`python -m benchmarks [--data DIR] [--quick] [--only NAME ...] [--page]`
"""

import argparse
import importlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

# In this order; the ones that need --data are left out without it, and said so.
NAMES = (
    "startup",
    "encryption",
    "integrity",
    "ledger",
    "roundtrip",
    "throughput",
    "crash",
    "watermark",
    "classification",
)
NEED_DATA = frozenset({"watermark", "classification"})
PAGE = Path(__file__).parents[1] / "docs" / "results.md"
_HEAD = """# Results

Made from `benchmarks/results/*.json` by `python -m benchmarks --page`; no figure is typed in by
hand. Absolute times depend on the machine; ratios were taken in one run. `make bench` measures
again.
"""


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested results as dotted names and texts."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from flat(item, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, float):
        yield prefix, f"{value:.4g}"
    elif isinstance(value, list):
        yield prefix, ", ".join(text for _, text in (next(flat(item, "x")) for item in value))
    else:
        yield prefix, str(value)


def page(folder: Path = RESULTS) -> str:
    """Return the text of docs/results.md."""
    parts = [_HEAD]
    for path in sorted(folder.glob("*.json")):
        if path.name.endswith(".quick.json"):
            continue
        stored = json.loads(path.read_text())
        machine, versions = stored["machine"], stored["versions"]
        module = importlib.import_module(f"benchmarks.{stored['name']}")
        parts.append(f"## {stored['name']}\n")
        parts.append(f"{(module.__doc__ or '').splitlines()[0]}\n")
        parts.append(
            f"Measured {stored['measured_at']} on {machine['cores']} cores, "
            f"Python {machine['python']}, "
            + ", ".join(f"{name} {text}" for name, text in versions.items())
            + ".\n"
        )
        parts.append("| figure | value |\n|---|---|")
        parts += [f"| {name} | {text} |" for name, text in flat(stored["result"])]
        parts.append("")
    return "\n".join(parts)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurements and make the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--page", action="store_true", help="only make docs/results.md")
    chosen = parser.parse_args(argv)
    for name in () if chosen.page else chosen.only:
        if name in NEED_DATA and chosen.data is None:
            sys.stderr.write(f"{name}: left out, it needs --data DIR\n")
            continue
        arguments = [*(["--quick"] if chosen.quick else [])]
        if chosen.data is not None:
            arguments += ["--data", str(chosen.data)]
        sys.stderr.write(f"{name} ...\n")
        importlib.import_module(f"benchmarks.{name}").main(arguments)
    if not chosen.quick:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
