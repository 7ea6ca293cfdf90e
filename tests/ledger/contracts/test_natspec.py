"""Everything that a reader of the interface meets is described in the sources."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks.contract_compiler import SOURCES, exact, walk

KINDS = frozenset(
    {
        "ContractDefinition",
        "EnumDefinition",
        "EventDefinition",
        "ErrorDefinition",
        "FunctionDefinition",
        "VariableDeclaration",
    }
)


def described(source: str) -> Iterator[Mapping[str, Any]]:
    """Yield what has to be described: all that can be seen from outside."""
    for node in walk(exact()["sources"][source]["ast"]):
        if node["nodeType"] not in KINDS:
            continue
        if node["nodeType"] == "FunctionDefinition" and node["visibility"] in (
            "internal",
            "private",
        ):
            continue
        if node["nodeType"] == "VariableDeclaration" and not (
            node["stateVariable"] and (node["visibility"] == "public" or node["constant"])
        ):
            continue
        yield node


def text_of(node: Mapping[str, Any]) -> str:
    documentation = node.get("documentation") or {}
    return str(documentation.get("text", ""))


def names(node: Mapping[str, Any], part: str) -> list[str]:
    return [one["name"] for one in (node.get(part) or {}).get("parameters", ())]


@pytest.mark.parametrize("source", SOURCES)
def test_everything_public_is_described(source: str) -> None:
    found = [node for node in described(source) if not is_private_constant(node)]
    assert len(found) >= 3
    for node in found:
        title, text = f"{source}: {node.get('name') or node['kind']}", text_of(node)
        if node.get("kind") == "constructor":
            # What it does; its parameters, where it has any, are seen by whoever deploys.
            assert text or source == "AnchorRegistry.sol", title
            continue
        assert "@notice" in text, title
        for name in filter(None, names(node, "parameters")):
            assert re.search(rf"@param {name} \S", text), f"{title}: {name}"
        results = names(node, "returnParameters")
        assert len(re.findall(r"@return \S", text)) == len(results), title


def is_private_constant(node: Mapping[str, Any]) -> bool:
    return node["nodeType"] == "VariableDeclaration" and node["visibility"] == "private"


@pytest.mark.parametrize("source", SOURCES)
def test_every_contract_has_a_title_and_a_licence(source: str) -> None:
    tree = exact()["sources"][source]["ast"]
    assert tree["license"] == "Apache-2.0"
    (contract,) = (node for node in tree["nodes"] if node["nodeType"] == "ContractDefinition")
    assert contract["name"] + ".sol" == source
    assert "@title" in text_of(contract)


@pytest.mark.parametrize("source", SOURCES)
def test_every_custom_error_and_event_is_used(source: str) -> None:
    nodes = list(walk(exact()["sources"][source]["ast"]))
    declared = {
        node["id"] for node in nodes if node["nodeType"] in ("ErrorDefinition", "EventDefinition")
    }
    used = {node.get("referencedDeclaration") for node in nodes}
    assert declared <= used


def test_reverts_are_custom_errors_alone() -> None:
    for source in SOURCES:
        for node in walk(exact()["sources"][source]["ast"]):
            if node["nodeType"] == "FunctionCall":
                assert node["expression"].get("name") not in ("require", "assert", "revert"), source
