"""Branches and statements of the contract that its tests reach, from traces of a node.

The tests of the contract run once more, on a build without optimizer, in which each instruction
knows its place in the sources. A branch is an `if`, a `? :`, an `&&` or an `||` of the three
sources; it is covered when its conditional jump was seen to go both ways. A statement is covered
when an instruction of it ran. `python -m benchmarks.contract_coverage` fails below 100 percent.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contract_compiler import FOLDER, SOURCES, exact, walk
from benchmarks.nodes import NodeProcess
from benchmarks.report import arguments, write_result

__all__ = ["PLUGIN", "Coverage", "measure"]

# Name under which the fixtures of the tests look for the build and tell what they run.
PLUGIN = "medseal-contract-coverage"
TESTS = Path(__file__).parents[1] / "tests" / "ledger" / "contracts"
# One node is enough; gas and bytecode are those of the committed build, not of this one.
_SELECTED = "anvil-prague and not test_gas and not test_artifact"
_OPTIONS = {"disableStack": True, "disableMemory": True, "disableStorage": True}
_STATEMENTS = frozenset(
    {
        "EmitStatement",
        "ExpressionStatement",
        "IfStatement",
        "Return",
        "RevertStatement",
        "VariableDeclarationStatement",
    }
)
_PUSH1, _PUSH32, _JUMPI = 0x60, 0x7F, 0x57
# A conditional jump goes on or away.
_WAYS = 2


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Part of a source: its number and a range of bytes."""

    source: int
    start: int
    size: int

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read `start:size:source` of a syntax tree."""
        start, size, source = (int(part) for part in text.split(":"))
        return cls(source, start, size)

    def holds(self, other: "Place") -> bool:
        """Say whether another place lies within this one."""
        return self.source == other.source and (
            self.start <= other.start and other.start + other.size <= self.start + self.size
        )


def instructions(code: str, source_map: str) -> dict[int, tuple[Place, bool]]:
    """Return place in the sources, and whether it is a conditional jump, by program counter.

    Parameters
    ----------
    code
        Bytecode, hexadecimal with 0x.
    source_map
        As the Solidity compiler gives it: one entry an instruction, empty fields repeat.
    """
    data, found, counter, fields = bytes.fromhex(code[2:]), {}, 0, ["0", "0", "-1"]
    for entry in source_map.split(";"):
        for number, text in enumerate(entry.split(":")[:3]):
            fields[number] = text or fields[number]
        operation = data[counter]
        start, size, source = map(int, fields)
        found[counter] = (Place(source, start, size), operation == _JUMPI)
        counter += 1
        if _PUSH1 <= operation <= _PUSH32:
            counter += operation - _PUSH1 + 1
    return found


class Coverage:
    """What the tests reach; the fixtures of the contract tell it what they run.

    Attributes
    ----------
    artifact
        The build that the tests have to use.
    """

    def __init__(self, artifact: Mapping[str, Any]) -> None:
        self.artifact = artifact
        self._deployment = instructions(artifact["bytecode"], artifact["sourceMap"])
        self._runtime = instructions(artifact["deployedBytecode"], artifact["deployedSourceMap"])
        self._ran: set[Place] = set()
        self._went: dict[Place, set[bool]] = {}
        self.traces = 0

    def called(self, node: NodeProcess, call: Mapping[str, str], block: str) -> None:
        """Take in a call, which leaves nothing on the chain."""
        self._take(node.rpc("debug_traceCall", call, block, _OPTIONS), self._runtime)

    def sent(self, node: NodeProcess, transaction: str) -> None:
        """Take in a transaction that was mined."""
        is_deployment = node.rpc("eth_getTransactionByHash", transaction)["to"] is None
        trace = node.rpc("debug_traceTransaction", transaction, _OPTIONS)
        self._take(trace, self._deployment if is_deployment else self._runtime)

    def _take(self, trace: Mapping[str, Any], code: Mapping[int, tuple[Place, bool]]) -> None:
        self.traces += 1
        counters = [step["pc"] for step in trace["structLogs"]]
        for counter, following in zip(counters, [*counters[1:], None], strict=True):
            place, is_jump = code[counter]
            self._ran.add(place)
            if is_jump and following is not None:
                self._went.setdefault(place, set()).add(following != counter + 1)

    def branches(self) -> dict[str, set[Place]]:
        """Return the branches of each source."""
        return {name: self._places(name, _is_branch) for name in SOURCES}

    def _places(self, name: str, wanted: Callable[[Mapping[str, Any]], bool]) -> set[Place]:
        tree = self.artifact["sources"][name]["ast"]
        return {Place.parse(node["src"]) for node in walk(tree) if wanted(node)}

    def report(self) -> dict[str, Any]:
        """Return what was reached of each source, and the places of what was not."""
        figures, missed = {}, []
        for name, branches in self.branches().items():
            statements = self._places(name, lambda node: node["nodeType"] in _STATEMENTS)
            ways = {place: len(self._went.get(place, ())) for place in branches}
            unreached = {place for place in statements if not self._reached(place)}
            one_way = {place for place in branches if ways[place] < _WAYS}
            figures[name] = {
                "branch_ways": _WAYS * len(branches),
                "branch_ways_taken": sum(ways.values()),
                "statements": len(statements),
                "statements_run": len(statements) - len(unreached),
            }
            missed += [_described(name, place) for place in sorted(one_way | unreached)]
        total = {part: sum(one[part] for one in figures.values()) for part in figures[SOURCES[0]]}
        return {
            "branch_percent": 100 * total["branch_ways_taken"] / total["branch_ways"],
            "statement_percent": 100 * total["statements_run"] / total["statements"],
            "traces": self.traces,
            "sources": figures,
            "missed": missed,
        }

    def _reached(self, statement: Place) -> bool:
        return any(statement.holds(place) for place in self._ran)


def _is_branch(node: Mapping[str, Any]) -> bool:
    kind = node["nodeType"]
    is_short_circuit = kind == "BinaryOperation" and node["operator"] in ("&&", "||")
    return kind in ("IfStatement", "Conditional") or is_short_circuit


def _described(name: str, place: Place) -> str:
    source = (FOLDER / name).read_bytes()
    line = source.count(b"\n", 0, place.start) + 1
    words = source[place.start : place.start + place.size].decode().split("\n")[0]
    return f"{name}:{line} {words}"


def measure() -> dict[str, Any]:
    """Run the tests of the contract and return what they reach.

    Raises
    ------
    RuntimeError
        A test has failed: what it would have reached is not known.
    """
    coverage = Coverage(exact())
    options = [str(TESTS), "-k", _SELECTED, "-q", "--no-header", "-p", "no:cacheprovider"]
    outcome = pytest.main(options, plugins=[_Named(coverage)])
    if outcome is not pytest.ExitCode.OK:
        raise RuntimeError("the tests of the contract do not pass; see their output")
    return coverage.report()


class _Named:
    """Registers the coverage under its name."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage

    def pytest_configure(self, config: pytest.Config) -> None:
        """Make the coverage known to the fixtures."""
        config.pluginmanager.register(self._coverage, PLUGIN)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result, and fail where something was not reached."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    result = measure()
    write_result("contract_coverage", result, chosen, sys_stdout=sys.stdout)
    if result["missed"]:
        sys.stderr.write("not covered:\n" + "\n".join(result["missed"]) + "\n")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
