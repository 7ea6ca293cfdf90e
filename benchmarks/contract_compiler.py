"""The compiler of the contract, from the installed packages, and a walk over what it has read."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.nodes import NODE_MODULES, NodeStartError
from medseal.ledger import contracts

__all__ = ["FOLDER", "SOURCES", "compiled", "exact", "source_digest", "standard", "walk"]

FOLDER = Path(contracts.__path__[0])
SOURCES = ("AccessPolicy.sol", "AnchorRegistry.sol", "MedsealLedger.sol")


def compiled(*options: str) -> str:
    """Return what compile.cjs prints."""
    program = shutil.which("node")
    if program is None or not (NODE_MODULES / "solc").is_dir():
        raise NodeStartError("the compiler of the contract is not installed; make test")
    return subprocess.run(  # noqa: S603 - Node.js with a file of the package
        [program, str(FOLDER / "compile.cjs"), *options],
        env={"NODE_PATH": str(NODE_MODULES)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@cache
def standard() -> Mapping[str, Any]:
    """Return version, input and output of the compiler for the build without optimizer."""
    found: Mapping[str, Any] = json.loads(compiled("--exact"))
    return found


def exact() -> Mapping[str, Any]:
    """Return the build without optimizer: interface, code, source maps and syntax trees."""
    output = standard()["output"]
    contract = output["contracts"]["MedsealLedger.sol"]["MedsealLedger"]
    code, deployed = contract["evm"]["bytecode"], contract["evm"]["deployedBytecode"]
    return {
        "abi": contract["abi"],
        "bytecode": "0x" + code["object"],
        "sourceMap": code["sourceMap"],
        "deployedBytecode": "0x" + deployed["object"],
        "deployedSourceMap": deployed["sourceMap"],
        "sources": output["sources"],
    }


def source_digest() -> str:
    """Return the SHA-256 of all sources, hexadecimal: what an analysis was made of."""
    content = b"".join((FOLDER / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(content).hexdigest()


def walk(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every node of a syntax tree."""
    if isinstance(tree, dict):
        if "nodeType" in tree:
            yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for item in tree:
            yield from walk(item)
