"""Keys, genesis and permissions of a Besu QBFT network; needs the extra `network` of medseal.

Each operator makes the key of one node and hands out what is public:

    python deploy/make_network.py key FOLDER --address 10.1.0.11

Somebody puts the network together from the public files of all, without seeing a key:

    python deploy/make_network.py network FOLDER --node NODE.json ... --account 0x...

For four validators on one machine both in one go:

    python deploy/make_network.py local FOLDER --account 0x...

Every command may be run again: a key or a genesis that exists is kept, and a genesis of other
validators is refused. docs/how-to/run-a-network.md tells the rest.
"""

import argparse
import ipaddress
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rlp
from eth_keys.datatypes import PrivateKey, PublicKey

# Tolerates the loss or the malice of one; fewer tolerate nothing.
LEAST_VALIDATORS = 4
DEFAULT_CHAIN_ID = 2_026_001
DEFAULT_PORT = 30303
# Addresses of the compose file.
LOCAL_ADDRESSES = tuple(f"172.28.5.{number}" for number in (11, 12, 13, 14))

# "cticial byzantine fault tolerance": what a Besu node knows a block of QBFT by.
QBFT_MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
_QBFT = {"blockperiodseconds": 1, "epochlength": 30_000, "requesttimeoutseconds": 4}
_CONSTANTS = {
    "nonce": "0x0",
    "timestamp": "0x0",
    # 30 million: nearly 500 anchors a block.
    "gasLimit": "0x1c9c380",
    "difficulty": "0x1",
    "mixHash": QBFT_MIX_HASH,
    "coinbase": "0x" + "00" * 20,
    # Gas is free, so nobody needs a balance and nothing of value exists.
    "alloc": {},
}
_VANITY_BYTES = 32
_ADDRESS_BYTES = 20
# Order of secp256k1: a key is a number below it, from 1.
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_KEY = re.compile(r"[0-9a-f]{64}\n?")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_ENODE = re.compile(r"enode://[0-9a-f]{128}@[0-9.]{7,15}:[1-9][0-9]{0,4}")


class NetworkError(Exception):
    """The network cannot be made as asked."""


# --- Genesis ----------------------------------------------------------------------------------


def extra_data(validators: Sequence[str]) -> str:
    """Return the RLP of vanity, validators in ascending order, no votes, round 0, no seals."""
    addresses = sorted(bytes.fromhex(address[2:]) for address in validators)
    encoded: bytes = rlp.encode([bytes(_VANITY_BYTES), addresses, [], 0, []])
    return "0x" + encoded.hex()


def validators_of(extra: str) -> list[str]:
    """Return the validators that the extraData of a genesis names.

    Raises
    ------
    NetworkError
        Not what `extra_data` writes.
    """
    try:
        _, addresses, *_ = rlp.decode(bytes.fromhex(extra.removeprefix("0x")))
        found = ["0x" + address.hex() for address in addresses]
    except (ValueError, TypeError, rlp.DecodingError) as error:
        raise NetworkError(f"extraData is no list of validators: {error}") from None
    if any(len(address) != 2 + 2 * _ADDRESS_BYTES for address in found):
        raise NetworkError("extraData names a validator that is no address")
    if extra_data(found) != extra:
        raise NetworkError("extraData is not in canonical form")
    return found


def genesis(validators: Sequence[str], chain_id: int) -> dict[str, Any]:
    """Return the genesis of a QBFT network without fees, under the rules of Shanghai."""
    config = {
        "chainId": chain_id,
        "londonBlock": 0,
        # The contract is compiled for Shanghai.
        "shanghaiTime": 0,
        "zeroBaseFee": True,
        "qbft": dict(_QBFT),
    }
    return {"config": config, **_CONSTANTS, "extraData": extra_data(validators)}


def check_genesis(value: Mapping[str, Any]) -> list[str]:
    """Return the validators of a genesis that is exactly one that `genesis` makes.

    Raises
    ------
    NetworkError
        A field is missing, unknown or of another value, or there are too few validators.
    """
    try:
        chain_id = value["config"]["chainId"]
        validators = validators_of(value["extraData"])
    except (KeyError, TypeError, AttributeError):
        raise NetworkError("the genesis lacks chainId or extraData") from None
    if type(chain_id) is not int or not 0 < chain_id < 2**53:
        raise NetworkError("the chain id is a positive number of 53 bits")
    _check_validators(validators)
    expected = genesis(validators, chain_id)
    for name in expected.keys() | value.keys():
        if value.get(name) != expected.get(name):
            raise NetworkError(f"the genesis has another '{name}'")
    return validators


def _check_validators(validators: Sequence[str]) -> None:
    if len(set(validators)) != len(validators):
        raise NetworkError("two nodes have the same key")
    if len(validators) < LEAST_VALIDATORS:
        raise NetworkError(
            f"{len(validators)} validators tolerate no loss: at least {LEAST_VALIDATORS}"
        )


# --- Files ------------------------------------------------------------------------------------


def _check_outside_repository(folder: Path) -> None:
    """Refuse a folder of a git working tree: a key in it is one commit away from publication."""
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / ".git").exists():
            raise NetworkError(f"{folder} is inside the repository {place}: choose another folder")


def _write(path: Path, text: str) -> None:
    """Write a public file whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


def _write_json(path: Path, value: object) -> None:
    _write(path, json.dumps(value, indent=2) + "\n")


def _load_or_make_key(path: Path) -> PrivateKey:
    """Return the key of a file, which is made, readable by its owner alone, when missing."""
    if not path.exists():
        number = 1 + secrets.randbelow(_ORDER - 1)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{number:064x}\n")
    if path.stat().st_mode & 0o077:
        raise NetworkError(f"{path}: the key can be read by others, set its mode to 0600")
    text = path.read_text()
    if not _KEY.fullmatch(text) or not 0 < int(text, 16) < _ORDER:
        raise NetworkError(f"{path}: not a key of 64 hexadecimal digits")
    return PrivateKey(bytes.fromhex(text.strip()))


def make_key(folder: Path, address: str, port: int = DEFAULT_PORT) -> dict[str, str]:
    """Make the key of one node and the folder of its data; return and store what is public.

    Parameters
    ----------
    folder
        Outside of any repository.
    address, port
        IPv4 address and port under which the other nodes reach this one.
    """
    _check_outside_repository(folder)
    try:
        place = str(ipaddress.IPv4Address(address))
    except ValueError:
        raise NetworkError(f"{address} is no IPv4 address, and Besu wants one") from None
    if not 0 < port < 2**16:
        raise NetworkError("a port is a number from 1 to 65535")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    public = _load_or_make_key(folder / "key").public_key
    node = {
        "address": "0x" + public.to_canonical_address().hex(),
        "enode": f"enode://{public.to_bytes().hex()}@{place}:{port}",
    }
    _write_json(folder / "node.json", node)
    return node


def load_node(path: Path) -> dict[str, str]:
    """Return the public part of a node, if its address is that of its enode."""
    try:
        node = json.loads(path.read_text())
        if not isinstance(node, dict) or node.keys() != {"address", "enode"}:
            raise NetworkError(f"{path}: a node has an address and an enode, nothing else")
        if not _ENODE.fullmatch(node["enode"]):
            raise NetworkError(f"{path}: malformed enode")
        public = PublicKey(bytes.fromhex(node["enode"][8:136]))
    except (OSError, ValueError, TypeError) as error:
        raise NetworkError(f"{path}: {error}") from None
    if "0x" + public.to_canonical_address().hex() != node["address"]:
        raise NetworkError(f"{path}: the address is not that of the key in the enode")
    return node


def _toml(name: str, values: Sequence[str]) -> str:
    return f"{name}=[" + ", ".join(f'"{value}"' for value in values) + "]\n"


def make_network(
    folder: Path, nodes: Sequence[Mapping[str, str]], accounts: Sequence[str], chain_id: int
) -> None:
    """Write genesis, list of nodes and permissions.

    Parameters
    ----------
    folder
        Where they go; nothing secret.
    nodes
        Public parts. The first run makes them validators; later ones add or take away nodes
        that may connect, while the genesis stays: validators change by vote.
    accounts
        Addresses of the gateways, the only ones whose transactions are taken.
    chain_id
        Number of the chain.
    """
    for account in accounts:
        if not _ADDRESS.fullmatch(account):
            raise NetworkError(f"{account} is no address: 0x and 40 lower-case digits")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "genesis.json"
    if path.exists():
        stored = json.loads(path.read_text())
        check_genesis(stored)
        if stored["config"]["chainId"] != chain_id:
            raise NetworkError(f"{path} is of another chain: a genesis cannot change")
    else:
        value = genesis([node["address"] for node in nodes], chain_id)
        check_genesis(value)
        _write_json(path, value)
    enodes = sorted({node["enode"] for node in nodes})
    _write_json(folder / "static-nodes.json", enodes)
    permissions = _toml("nodes-allowlist", enodes)
    permissions += _toml("accounts-allowlist", sorted(set(accounts)))
    _write(folder / "permissions_config.toml", permissions)


def make_local(folder: Path, accounts: Sequence[str], chain_id: int) -> None:
    """Make the keys and the network of the compose file."""
    nodes = [
        make_key(folder / f"validator{number}", address)
        for number, address in enumerate(LOCAL_ADDRESSES, 1)
    ]
    path = folder / "network" / "genesis.json"
    if path.exists():
        stored = check_genesis(json.loads(path.read_text()))
        if set(stored) != {node["address"] for node in nodes}:
            raise NetworkError(f"{path} names other validators than the keys beside it")
    make_network(folder / "network", nodes, accounts, chain_id)


# --- Command line -----------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("key", help="make the key of one node")
    key.add_argument("--address", required=True, help="IPv4 address of the node")
    key.add_argument("--port", type=int, default=DEFAULT_PORT)
    network = commands.add_parser("network", help="put a network together from public files")
    network.add_argument("--node", type=Path, action="append", required=True, help="a node.json")
    local = commands.add_parser("local", help="four validators on this machine")
    for command in (network, local):
        command.add_argument("--account", action="append", default=[], help="address of a gateway")
        command.add_argument("--chain-id", type=int, default=DEFAULT_CHAIN_ID)
    for command in (key, network, local):
        command.add_argument("folder", type=Path)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    chosen = _parser().parse_args(argv)
    try:
        if chosen.command == "key":
            node = make_key(chosen.folder, chosen.address, chosen.port)
            sys.stdout.write(json.dumps(node) + "\n")
        elif chosen.command == "network":
            nodes = [load_node(path) for path in chosen.node]
            make_network(chosen.folder, nodes, chosen.account, chosen.chain_id)
        else:
            make_local(chosen.folder, chosen.account, chosen.chain_id)
    except (NetworkError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
