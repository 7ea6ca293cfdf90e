"""docs/spec/contract.md tells of everything in the interface, in the words of the contract."""

import re
from pathlib import Path

import pytest

from tests.ledger.contracts.harness import REASONS, Build
from tests.ledger.contracts.test_gas import ANCHOR, GRANT, REVOKE

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "contract.md").read_text()
BUILD = Build.committed()
NAMED = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", PAGE))))


@pytest.mark.parametrize(
    "names",
    [
        set(BUILD.functions),
        {one.name for one in BUILD.events.values()},
        {one.name for one in BUILD.errors.values()},
    ],
    ids=["functions", "events", "errors"],
)
def test_everything_in_the_interface_is_told(names: set[str]) -> None:
    assert names - NAMED == set()


def test_parameters_are_those_of_the_contract() -> None:
    told = dict(re.findall(r"`(\w+)\(([\w, ]*)\)`", PAGE))
    assert len(told) >= 14
    for name, parameters in told.items():
        inputs = [part["name"] for part in BUILD.functions[name].item["inputs"]]
        assert [part for part in parameters.split(", ") if part] == inputs, name


def test_reasons_have_their_numbers() -> None:
    told = {int(number): name for name, number in re.findall(r"`(\w+)` \((\d)\)", PAGE)}
    words = {
        number: "".join(part.title() for part in name.split("-"))
        for number, name in enumerate(REASONS)
    }
    assert told == words


def test_ceilings_are_those_of_the_test() -> None:
    section = PAGE.split("## Gas")[1].split("## ")[0]
    assert [int(number) for number in re.findall(r"\b\d{5}\b", section)] == [ANCHOR, GRANT, REVOKE]
