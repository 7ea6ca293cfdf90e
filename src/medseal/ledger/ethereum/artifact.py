"""The compiled contract that comes with the package: its interface and its code."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["Artifact", "artifact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What the compiler wrote.

    Attributes
    ----------
    abi
        Interface, as web3 takes it.
    creation_code
        Data of the transaction that makes the contract; the constructor takes nothing.
    code
        What stands at the address afterwards, byte for byte: nothing in it is filled in later.
    """

    abi: tuple[dict[str, Any], ...]
    creation_code: bytes
    code: bytes


@cache
def artifact() -> Artifact:
    """Return the compiled contract."""
    stored = json.loads(
        files("medseal.ledger").joinpath("contracts", "MedsealLedger.json").read_bytes()
    )
    return Artifact(
        abi=tuple(stored["abi"]),
        creation_code=bytes.fromhex(stored["bytecode"][2:]),
        code=bytes.fromhex(stored["deployedBytecode"][2:]),
    )
