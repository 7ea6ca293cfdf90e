import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.contract_compiler import SOURCES, exact
from benchmarks.contract_coverage import Coverage, Place, instructions

ROOT = Path(__file__).parents[2]


class Traces:
    """A node that gives the same trace for everything."""

    def __init__(self, counters: list[int]) -> None:
        self.counters = counters

    def rpc(self, method: str, *_: Any) -> Any:
        assert method == "debug_traceCall"
        return {"structLogs": [{"pc": counter} for counter in self.counters]}


def test_places_follow_the_compressed_source_map() -> None:
    # PUSH2 0x5757 (whose bytes look like jumps), JUMPI, STOP
    found = instructions("0x61575757" + "00", "5:7:1;:3;9:1:-1")
    assert found == {
        0: (Place(1, 5, 7), False),
        3: (Place(1, 5, 3), True),
        4: (Place(-1, 9, 1), False),
    }


def test_a_place_holds_what_lies_within() -> None:
    place = Place.parse("10:5:2")
    assert place.holds(Place(2, 10, 5))
    assert place.holds(Place(2, 12, 3))
    assert not place.holds(Place(2, 12, 4))
    assert not place.holds(Place(2, 9, 2))
    assert not place.holds(Place(1, 12, 1))


def test_each_branch_of_the_sources_has_one_jump_in_the_code() -> None:
    coverage = Coverage(exact())
    code = instructions(exact()["deployedBytecode"], exact()["deployedSourceMap"])
    jumps = [place for place, is_jump in code.values() if is_jump]
    branches = coverage.branches()
    assert set(branches) == set(SOURCES)
    for name, places in branches.items():
        for place in places:
            # Two jumps of one branch could be seen to go one way each.
            assert jumps.count(place) == 1, f"{name}: {place}"


def test_without_a_trace_everything_is_missed() -> None:
    report = Coverage(exact()).report()
    assert (report["branch_percent"], report["statement_percent"]) == (0, 0)
    assert len(report["missed"]) > 50
    assert any(line.startswith("AccessPolicy.sol:") for line in report["missed"])


def test_a_jump_seen_one_way_is_half_covered() -> None:
    coverage = Coverage(exact())
    code = instructions(exact()["deployedBytecode"], exact()["deployedSourceMap"])
    branch = min(coverage.branches()["AnchorRegistry.sol"])
    (jump,) = [counter for counter, found in code.items() if found == (branch, True)]
    for counters, ways in (
        ([jump, jump + 1], 1),
        ([jump, jump + 1], 1),
        ([jump], 1),
        ([jump, 0], 2),
    ):
        coverage.called(Traces(counters), {}, "latest")  # type: ignore[arg-type]
        assert coverage.report()["sources"]["AnchorRegistry.sol"]["branch_ways_taken"] == ways
    missed = coverage.report()["missed"]
    assert not any("if (size == 0)" in line for line in missed)
    assert any("if (_anchors[root].size != 0)" in line for line in missed)


def test_the_tests_of_the_contract_reach_every_branch_and_statement(tmp_path: Path) -> None:
    outcome = subprocess.run(  # noqa: S603 - this interpreter, our module
        [sys.executable, "-m", "benchmarks.contract_coverage", "--output", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout[-2000:] + outcome.stderr[-2000:]
    result = json.loads((tmp_path / "contract_coverage.json").read_text())["result"]
    assert result["missed"] == []
    assert (result["branch_percent"], result["statement_percent"]) == (100, 100)
