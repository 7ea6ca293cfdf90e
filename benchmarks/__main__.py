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

from benchmarks import audit, encryption_page, ledger_network_page, tamper_page, watermark_tables
from benchmarks.classification_page import page_lines
from benchmarks.report import RESULTS
from benchmarks.targets import TARGETS

# In this order; the ones that need --data are left out without it, and said so.
NAMES = (
    "startup",
    "encryption",
    "integrity",
    "ledger",
    "ledger_network",
    "ledger_faults",
    "contract_coverage",
    "roundtrip",
    "throughput",
    "crash",
    "watermark_robustness",
    "tamper_detection",
    "audit",
    "classification",
    "pneumonia_mnist",
    "gan",
    "inference",
    "training_speed",
)
NEED_DATA = frozenset(
    {
        "watermark_robustness",
        "tamper_detection",
        "audit",
        "classification",
        "pneumonia_mnist",
        "gan",
    }
)
PAGE = Path(__file__).parents[1] / "docs" / "results.md"
# Parts of results that have tables of their own.
_IN_TABLES = frozenset({"robustness", "trials", "native"})
_HEAD = """# Results

Made from `benchmarks/results/*.json` by `python -m benchmarks --page`; no figure is typed in by
hand. Absolute times depend on the machine; ratios were taken in one run. `make bench` measures
again.
"""


def summary(stored: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the table of what was asked beside what was measured."""
    rows = ["## At a glance\n", "| figure | asked | measured | |\n|---|---|---|---|"]
    for target in TARGETS:
        if target.result not in stored:
            continue
        value: Any = stored[target.result]["result"]
        for name in target.path.split("."):
            # Not every model of the table exists yet: such a row is left out.
            value = value.get(name) if isinstance(value, Mapping) else None
        asked = f"at least {target.least}" if target.most is None else f"at most {target.most}"
        if value is None:
            rows.append(f"| {target.text} | {asked} | | not measured |")
            continue
        number = sum(value.values()) if isinstance(value, Mapping) else value
        met = (target.least is None or number >= target.least) and (
            target.most is None or number <= target.most
        )
        rows.append(f"| {target.text} | {asked} | {number:.4g} | {'met' if met else 'not met'} |")
    if "encryption" in stored:
        rows += encryption_page.glance_lines(stored["encryption"]["result"])
    if "ledger_network" in stored:
        rows += ledger_network_page.glance_lines(stored["ledger_network"]["result"])
    if "tamper_detection" in stored:
        rows += tamper_page.glance_lines(stored["tamper_detection"]["result"])
    return [*rows, ""]


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested results as dotted names and texts."""
    if isinstance(value, Mapping) and value.keys() == {"estimate", "low", "high"}:
        estimate, low, high = value["estimate"], value["low"], value["high"]
        yield prefix, f"{estimate:.4g} [{low:.4g}, {high:.4g}]"
    elif isinstance(value, Mapping):
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
    results = {
        path.stem: json.loads(path.read_text())
        for path in sorted(folder.glob("*.json"))
        if not path.name.endswith(".quick.json")
    }
    parts = [_HEAD, *summary(results)]
    for stored in results.values():
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
        if stored["name"] == "audit":
            parts += audit.page_lines(stored["result"])
            continue
        if stored["name"] == "classification":
            parts += page_lines(stored["result"])
            continue
        if stored["name"] == "watermark_robustness":
            parts += watermark_tables.page_lines(stored["result"])
        if stored["name"] == "tamper_detection":
            parts += tamper_page.page_lines(stored["result"])
        hidden = _IN_TABLES
        if stored["name"] == "ledger_network":
            parts += ledger_network_page.page_lines(stored["result"])
            hidden |= ledger_network_page.TABLES
        if stored["name"] == "encryption":
            parts += encryption_page.page_lines(stored["result"])
            hidden |= encryption_page.TABLES
        parts.append("| figure | value |\n|---|---|")
        shown = {name: part for name, part in stored["result"].items() if name not in hidden}
        parts += [f"| {name} | {text} |" for name, text in flat(shown)]
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
