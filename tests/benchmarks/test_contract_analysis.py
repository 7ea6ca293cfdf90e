import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contract_analysis import analyse, summary, write_project
from benchmarks.contract_compiler import SOURCES, exact, source_digest
from benchmarks.contract_coverage import instructions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contract-analysis.md").read_text()
STORED = json.loads((ROOT / "benchmarks" / "results" / "contract_analysis.json").read_text())


def finding(check: str, *files: str) -> dict[str, Any]:
    elements = [{"source_mapping": {"filename_relative": name}} for name in files]
    return {"check": check, "impact": "Low", "elements": elements}


def test_findings_in_our_sources_are_told_apart() -> None:
    report = {
        "results": {
            "detectors": [
                finding("b", "@openzeppelin/x.sol"),
                finding("a", "AccessPolicy.sol"),
                finding("b", "@openzeppelin/x.sol", "MedsealLedger.sol"),
            ]
        }
    }
    assert summary(report) == {
        "a": {"impact": "Low", "ours": 1, "openzeppelin": 0},
        "b": {"impact": "Low", "ours": 1, "openzeppelin": 1},
    }
    assert summary({"results": {}}) == {}


def test_the_analysis_is_of_the_present_sources() -> None:
    assert STORED["result"]["sources_sha256"] == source_digest(), (
        "the contract has changed: run benchmarks.contract_analysis, see docs/contract-analysis.md"
    )


def test_every_detector_that_found_something_is_answered() -> None:
    answered = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert sorted(answered) == sorted(STORED["result"]["findings"])
    ours = {name for name, one in STORED["result"]["findings"].items() if one["ours"]}
    assert ours == {"pragma"}


def test_the_answers_about_unused_code_hold() -> None:
    built = exact()
    names = {source["id"]: name for name, source in built["sources"].items()}
    present = set()
    for code, places in (
        ("bytecode", "sourceMap"),
        ("deployedBytecode", "deployedSourceMap"),
    ):
        for place, _ in instructions(built[code], built[places]).values():
            present.add(names.get(place.source))
    assert "@openzeppelin/contracts/utils/Pausable.sol" in present
    assert not any(
        name is not None and name.endswith(("Math.sol", "Panic.sol")) for name in present
    )
    for name in SOURCES:
        assert "assembly" not in (ROOT / "src/medseal/ledger/contracts" / name).read_text()


def test_the_project_holds_sources_and_output_of_the_compiler(tmp_path: Path) -> None:
    write_project(tmp_path)
    build = json.loads((tmp_path / "artifacts" / "build-info" / "medseal.json").read_text())
    assert set(build["output"]["sources"]) == set(build["input"]["sources"])
    for name, source in build["input"]["sources"].items():
        assert (tmp_path / name).read_text() == source["content"]
    assert build["solcVersion"] == "0.8.37"


def test_a_program_that_fails_is_no_clean_result() -> None:
    with pytest.raises(RuntimeError, match="slither has failed"):
        analyse("false")
