"""What the static analyser slither finds in the contract, ours and OpenZeppelin's apart.

slither is a program of its own (AGPL), called from outside and not installed with medseal:
`python -m venv DIR; DIR/bin/pip install slither-analyzer==0.11.6`, then
`python -m benchmarks.contract_analysis --slither DIR/bin/slither`. The compiler comes from the npm
packages; slither is given its input and output, so it runs none. Each finding is answered in
docs/contract-analysis.md.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contract_compiler import SOURCES, source_digest, standard
from benchmarks.report import arguments, write_result

__all__ = ["analyse", "summary", "write_project"]

MAX_SECONDS = 300


def write_project(folder: Path) -> None:
    """Write sources and output of the compiler as slither reads them, as a project of Hardhat."""
    found = standard()
    for name, source in found["input"]["sources"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source["content"])
    (folder / "hardhat.config.js").write_text("module.exports = {};\n")
    build = {
        "id": "medseal",
        "_format": "hh-sol-build-info-1",
        "solcVersion": found["version"].split("+")[0],
        "solcLongVersion": found["version"],
        "input": found["input"],
        "output": found["output"],
    }
    target = folder / "artifacts" / "build-info" / "medseal.json"
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(build))


def analyse(slither: str) -> Mapping[str, Any]:
    """Return what slither writes about the contract.

    Raises
    ------
    RuntimeError
        It did not come to an end.
    """
    with tempfile.TemporaryDirectory(prefix="medseal-analysis-") as name:
        folder = Path(name)
        write_project(folder)
        report = folder / "report.json"
        options = ["--compile-force-framework", "hardhat", "--ignore-compile", "--npx-disable"]
        run = subprocess.run(  # noqa: S603 - the program that the caller names
            [slither, ".", *options, "--json", str(report)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_SECONDS,
        )
        # It ends with an error code when it finds something too.
        found: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {}
        if not found.get("success"):
            raise RuntimeError(f"slither has failed: {found.get('error') or run.stderr[-2000:]}")
        return found


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return findings by detector: impact, and how many touch our sources or OpenZeppelin alone."""
    found: dict[str, Any] = {}
    for finding in report["results"].get("detectors", ()):
        files = {element["source_mapping"]["filename_relative"] for element in finding["elements"]}
        one = found.setdefault(
            finding["check"], {"impact": finding["impact"], "ours": 0, "openzeppelin": 0}
        )
        one["ours" if files & set(SOURCES) else "openzeppelin"] += 1
    return dict(sorted(found.items()))


def main(argv: Sequence[str] | None = None) -> None:
    """Analyse the contract and write the result."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--slither", default="slither", help="the program")
    chosen = parser.parse_args(argv)
    version = subprocess.run(  # noqa: S603 - the program that the caller names
        [chosen.slither, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    result = {
        "slither": version,
        "compiler": standard()["version"],
        "sources_sha256": source_digest(),
        "findings": summary(analyse(chosen.slither)),
    }
    write_result("contract_analysis", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
