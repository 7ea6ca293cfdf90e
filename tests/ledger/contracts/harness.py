"""The contract on a test node, called without any of medseal's own client code."""

import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from eth_abi import decode, encode
from eth_utils import function_signature_to_4byte_selector, keccak

from medseal.ledger import contracts
from tests.ledger.ethereum.nodes import NodeProcess, RpcError

ARTIFACT = Path(contracts.__path__[0]) / "MedsealLedger.json"
GAS = 2_000_000
DEPLOY_GAS = 8_000_000
RECEIPT_SECONDS = 20.0

VIEW, CLASSIFY, SHARE = range(3)
NEVER_MS = 2**48 - 1
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MAX_RESEARCH_GRANT_MS = 366 * DAY_MS

# In the order of the contract's enumeration.
REASONS = (
    "owner",
    "granted",
    "break-glass",
    "erased",
    "paused",
    "no-grant",
    "expired",
    "purpose",
    "unbounded",
    "withdrawn",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
ADMIN_ROLE = bytes(32)


def role(name: str) -> bytes:
    """Return the identifier of a role in the contract."""
    return ADMIN_ROLE if name == "owner" else keccak(text=f"medseal.{name}")


def purpose(word: str) -> int:
    """Return a purpose as the contract has it: six bits a letter, the first one lowest."""
    return sum((_LETTERS.index(letter) + 1) << 6 * place for place, letter in enumerate(word))


def terms(action: int, *, expires_ms: int = NEVER_MS, word: str = "") -> int:
    """Return the terms of a grant in one word."""
    return action << 240 | expires_ms << 192 | purpose(word)


class Reverted(Exception):  # noqa: N818 - what happened, in the words of the chain
    """The contract has refused; `error` and `values` are its custom error."""

    def __init__(self, error: str, values: tuple[Any, ...]) -> None:
        super().__init__(f"{error}{values}")
        self.error = error
        self.values = values


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A transaction that was mined: its gas, its events by name with their values, its block."""

    gas_used: int
    events: tuple[tuple[str, dict[str, Any]], ...]
    timestamp: int

    @property
    def event(self) -> tuple[str, dict[str, Any]]:
        """The only event."""
        (only,) = self.events
        return only


class Watcher(Protocol):
    """Sees each call and transaction of the tests, for example to measure what they reach."""

    def called(self, node: NodeProcess, call: Mapping[str, str], block: str) -> None: ...

    def sent(self, node: NodeProcess, transaction: str) -> None: ...


@dataclass(frozen=True)
class Build:
    """What a compiler has made of the contract."""

    abi: Sequence[Mapping[str, Any]]
    bytecode: str

    @classmethod
    def committed(cls) -> "Build":
        """Return the build that medseal ships."""
        return cls.of(json.loads(ARTIFACT.read_text()))

    @classmethod
    def of(cls, artifact: Mapping[str, Any]) -> "Build":
        """Return what a file of the compiler holds."""
        return cls(abi=artifact["abi"], bytecode=artifact["bytecode"])

    @cached_property
    def functions(self) -> dict[str, "Signature"]:
        """Functions by name; none is overloaded."""
        return {item["name"]: Signature(item) for item in self.abi if item["type"] == "function"}

    @cached_property
    def events(self) -> dict[bytes, "Signature"]:
        """Events by the digest of their signature."""
        found = [Signature(item) for item in self.abi if item["type"] == "event"]
        return {keccak(text=one.text): one for one in found}

    @cached_property
    def errors(self) -> dict[bytes, "Signature"]:
        """Custom errors by selector."""
        found = [Signature(item) for item in self.abi if item["type"] == "error"]
        return {function_signature_to_4byte_selector(one.text): one for one in found}


def _type_of(item: Mapping[str, Any]) -> str:
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    inner = ",".join(_type_of(part) for part in item["components"])
    return f"({inner}){item['type'][5:]}"


class Signature:
    """A function, event or error of the interface, with its types."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.item = item
        self.name: str = item["name"]
        self.types = [_type_of(part) for part in item["inputs"]]
        self.text = f"{self.name}({','.join(self.types)})"
        self.outputs = [_type_of(part) for part in item.get("outputs", ())]

    def calldata(self, values: Sequence[Any]) -> str:
        selector = function_signature_to_4byte_selector(self.text)
        return "0x" + (selector + encode(self.types, values)).hex()


@dataclass
class Chain:
    """A node and the build that is tested on it."""

    node: NodeProcess
    build: Build
    accounts: Sequence[str]
    watcher: Watcher | None = None
    _salts: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def deploy(self, sender: str) -> "Deployed":
        """Put a new contract on the chain; the sender is its owner."""
        transaction = {"from": sender, "gas": hex(DEPLOY_GAS), "data": self.build.bytecode}
        receipt = self.send(transaction)
        assert receipt["status"] == "0x1"
        return Deployed(chain=self, address=receipt["contractAddress"], deployment=receipt)

    def send(self, transaction: Mapping[str, str]) -> dict[str, Any]:
        """Send a transaction of an account that the node holds, and wait for its receipt."""
        sent = self.node.rpc("eth_sendTransaction", transaction)
        deadline = time.monotonic() + RECEIPT_SECONDS
        while (receipt := self.node.rpc("eth_getTransactionReceipt", sent)) is None:
            assert time.monotonic() < deadline, "no block was made"
            time.sleep(0.005)
        if self.watcher is not None:
            self.watcher.sent(self.node, sent)
        found: dict[str, Any] = receipt
        return found

    def call(self, call: Mapping[str, str], block: str = "latest") -> bytes:
        """Run a call on what a block has left; raises `Reverted`."""
        if self.watcher is not None:
            self.watcher.called(self.node, call, block)
        try:
            answer: str = self.node.rpc("eth_call", call, block)
        except RpcError as error:
            if "revert" not in str(error):
                raise
            raise self.refusal(error) from error
        return bytes.fromhex(answer[2:])

    def refusal(self, error: RpcError) -> Reverted:
        """Return the custom error in the answer of a node."""
        # anvil gives the bytes; Ganache gives them, or an object that holds them.
        text = error.data if isinstance(error.data, str) else json.dumps(error.data)
        match = re.search(r"0x((?:[0-9a-f]{2}){4,})", text)
        if match is None:
            return Reverted("no reason", ())
        data = bytes.fromhex(match[1])
        if data[:4] not in self.build.errors:
            return Reverted(match[0], ())
        kind = self.build.errors[data[:4]]
        return Reverted(kind.name, decode(kind.types, data[4:]))

    def new_subject(self) -> bytes:
        """Return a commitment that no test has used before."""
        return keccak(text=f"image {next(self._salts)}")

    def block(self) -> Mapping[str, Any]:
        """Return the newest block."""
        found: Mapping[str, Any] = self.node.rpc("eth_getBlockByNumber", "latest", False)
        return found

    def now(self) -> int:
        """Return the time of the newest block, in seconds."""
        return int(self.block()["timestamp"], 16)

    def next_block_at(self, timestamp: int) -> None:
        """Set the time of the next block, in seconds; time never goes back."""
        if self.node.rpc("web3_clientVersion").startswith("anvil"):
            self.node.rpc("evm_setNextBlockTimestamp", timestamp)
        else:
            # Ganache was told to add a second with each block.
            self.node.rpc("evm_increaseTime", timestamp - self.now() - 1)


@dataclass
class Deployed:
    """A contract on a chain."""

    chain: Chain
    address: str
    deployment: Mapping[str, Any]

    def _request(self, name: str, values: Sequence[Any], sender: str | None) -> dict[str, str]:
        calldata = self.chain.build.functions[name].calldata(values)
        origin = sender or self.chain.accounts[0]
        return {"from": origin, "to": self.address, "gas": hex(GAS), "data": calldata}

    def call(self, name: str, *values: Any, sender: str | None = None) -> Any:
        """Return what a function gives, or raise `Reverted`; nothing changes on the chain."""
        answer = self.chain.call(self._request(name, values, sender))
        found = decode(self.chain.build.functions[name].outputs, answer)
        return found[0] if len(found) == 1 else found

    def call_nothing(self, name: str, *values: Any, sender: str) -> None:
        """Run a function that gives nothing back as a call: it passes, or raises `Reverted`."""
        assert self.chain.call(self._request(name, values, sender)) == b""

    def send(self, name: str, *values: Any, sender: str | None = None) -> Done:
        """Run a function in a transaction, or raise `Reverted`; the owner sends by default."""
        request = self._request(name, values, sender)
        receipt = self.chain.send(request)
        if receipt["status"] != "0x1":
            self.chain.call(request, receipt["blockNumber"])
            raise AssertionError("refused in a block and allowed afterwards")
        block = self.chain.node.rpc("eth_getBlockByHash", receipt["blockHash"], False)
        if not receipt["logs"]:
            # Whatever changes is told: without an event the storage is what it was.
            number = int(block["number"], 16)
            assert self.storage_root(number) == self.storage_root(number - 1)
        return Done(
            gas_used=int(receipt["gasUsed"], 16),
            events=tuple(self.event(log) for log in receipt["logs"]),
            timestamp=int(block["timestamp"], 16),
        )

    def storage_root(self, number: int) -> str:
        """Return the digest of all that the contract stores after a block."""
        proof = self.chain.node.rpc("eth_getProof", self.address, [], hex(number))
        return str(proof["storageHash"])

    def event(self, log: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return name and values of an event of this contract."""
        assert log["address"].lower() == self.address.lower()
        kind = self.chain.build.events[bytes.fromhex(log["topics"][0][2:])]
        topics = iter(log["topics"][1:])
        plain = [part for part in kind.item["inputs"] if not part["indexed"]]
        data = iter(decode([_type_of(part) for part in plain], bytes.fromhex(log["data"][2:])))
        values = {}
        for part in kind.item["inputs"]:
            if part["indexed"]:
                (values[part["name"]],) = decode([part["type"]], bytes.fromhex(next(topics)[2:]))
            else:
                values[part["name"]] = next(data)
        return kind.name, values

    def decide(
        self, account: str, subject: bytes, action: int, *, word: str = "", at_ms: int | None = None
    ) -> str:
        """Return the reason of a decision; now is the time of the newest block."""
        moment = self.chain.now() * 1000 if at_ms is None else at_ms
        found = self.call("decide", account, subject, action, purpose(word), moment)
        return REASONS[found]
