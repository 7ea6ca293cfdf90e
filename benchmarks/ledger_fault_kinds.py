"""Faults of a network ledger: what can happen to the node, the chain, the key and the disk."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.ledger_faults_client import settings
from benchmarks.nodes import NodeAccount, NodeProcess, RpcError, node_accounts, start_anvil
from medseal.digest import Digest
from medseal.ledger import (
    EthereumLedger,
    Event,
    KeySigner,
    PauseChange,
    Role,
    RoleChange,
    pause_event,
    role_event,
)
from medseal.ledger.ethereum.codec import calls_of

__all__ = [
    "DISK_BYTES",
    "FAULTS",
    "HEAL_SECONDS",
    "Chance",
    "Fault",
    "Network",
    "disk_full",
    "new_network",
    "no_fault",
]

HEAL_SECONDS = 60.0
OTHER_CHAIN = 4242
# Of a node of a network where nothing is paid, as that of a few hospitals would be.
FREE = ("--gas-price", "0", "--base-fee", "0", "--disable-min-priority-fee")
# How many bytes a file may still grow in a round where the disk is full.
DISK_BYTES = 100_000

Chance = np.random.Generator


@dataclass(slots=True)
class Network:
    """A node, a contract that one account owns, and a gateway that another account is."""

    node: NodeProcess
    folder: Path
    owner: NodeAccount
    gateway: NodeAccount
    confirmations: int
    is_free: bool
    # Between blocks; 0 where each transaction gets a block of its own at once.
    block_seconds: int = 0
    contract: str = ""
    # Number of the newest block when the contract and the role of the gateway stood there.
    base: int = 0
    acknowledged: dict[int, Digest] = field(default_factory=dict)

    def open(self) -> EthereumLedger:
        """Open the workspace of the gateway, without a thread."""
        signer = KeySigner.from_key(self.gateway.key)
        return EthereumLedger(
            self.node.url,
            self.contract,
            signer,
            folder=self.folder / "gateway",
            settings=settings(self.confirmations, is_free=self.is_free),
        )

    def deploy(self, *, role_after: float = 0.0) -> None:
        """Put the contract on an empty chain, always at the same address, with its registrar.

        Between the contract and the role of the gateway pass `role_after` seconds.
        """
        signer = KeySigner.from_key(self.owner.key)
        folder = self.folder / f"owner-{secrets.token_hex(4)}"
        with EthereumLedger.deploy(
            self.node.url, signer, folder=folder, settings=settings(0, is_free=self.is_free)
        ) as ledger:
            account, add = self.gateway.account, RoleChange.ADD
            time.sleep(role_after)
            ledger.append(role_event(account, Role.REGISTRAR, add, actor=signer.account))
            ledger.wait("final", HEAL_SECONDS)
            if self.contract not in ("", ledger.contract.address):
                raise RuntimeError("the contract came to another address than before")
            self.contract = ledger.contract.address
        self.base = self.top()

    def top(self) -> int:
        """Return the number of the newest block."""
        return int(self.node.rpc("eth_blockNumber"), 16)

    def set_mining(self, *, is_on: bool) -> None:
        """Let the node make blocks as before, or none."""
        if self.block_seconds:
            self.node.rpc("evm_setIntervalMining", self.block_seconds if is_on else 0)
        else:
            self.node.rpc("evm_setAutomine", is_on)

    def send(self, sender: NodeAccount, to: str, data: bytes = b"") -> None:
        """Send a transaction past the gateway; what cannot be carried out now is not."""
        # A guess of the node would rest on the state before what waits, and be too low.
        call = {"from": sender.address, "to": to, "data": "0x" + data.hex(), "gas": "0x30d40"}
        with suppress(RpcError):
            self.node.rpc(
                "eth_sendTransaction", call | ({"gasPrice": "0x0"} if self.is_free else {})
            )

    def heal(self) -> None:
        """Set the node right again: running, awake, making blocks, with the contract."""
        if self.node.process.poll() is not None:
            self.node.restart()
        self.node.resume()
        self.set_mining(is_on=True)
        if self.node.rpc("eth_getCode", self.contract, "latest") == "0x":
            self.deploy()


Fault = Callable[[Network, Chance], None]


def no_fault(_network: Network, _chance: Chance) -> None:
    """Leave it at killing the gateway."""


def node_frozen(network: Network, chance: Chance) -> None:
    """Freeze the node: it answers nothing for a while."""
    network.node.pause()
    time.sleep(chance.uniform(0, 1.0))
    network.node.resume()


def node_restarted(network: Network, chance: Chance) -> None:
    """End the node, and start it again later with its chain."""
    network.node.stop()
    time.sleep(chance.uniform(0, 0.5))
    network.node.restart()


def node_killed(network: Network, chance: Chance) -> None:
    """Kill the node: it comes back with the chain of its last clean end, or none."""
    network.node.kill()
    time.sleep(chance.uniform(0, 0.5))
    network.node.restart()
    if chance.random() < 0.5:  # noqa: PLR2004 - half of the times
        network.heal()


def chain_emptied(network: Network, chance: Chance) -> None:
    """Begin the chain anew; the contract is put there again at once, or after the kill."""
    network.node.restart(empty=True)
    if chance.random() < 0.5:  # noqa: PLR2004 - half of the times
        network.deploy(role_after=chance.uniform(0, 0.5))


def chain_outgrown(network: Network, chance: Chance) -> None:
    """Begin the chain anew and let it grow far beyond where the old one ended."""
    network.node.restart(empty=True)
    network.node.rpc("anvil_mine", hex(int(chance.integers(100, 1001))))
    if chance.random() < 0.5:  # noqa: PLR2004 - half of the times
        network.deploy(role_after=chance.uniform(0, 0.5))


def chain_replaced(network: Network, chance: Chance) -> None:
    """Replace the newest blocks, a few times; now and then the chain grows far in between."""
    for _ in range(int(chance.integers(1, 5))):
        # Never below the contract and the role of the gateway.
        depth = min(int(chance.integers(1, 5)), network.top() - network.base)
        if depth > 0:
            with suppress(RpcError):
                network.node.rpc("anvil_reorg", depth, [])
        time.sleep(chance.uniform(0, 0.2))
        if chance.random() < 0.3:  # noqa: PLR2004 - three of ten times
            network.node.rpc("anvil_mine", hex(100))


def numbers_stolen(network: Network, chance: Chance) -> None:
    """Send transactions with the same key, as another client would."""
    for _ in range(int(chance.integers(1, 11))):
        network.send(network.gateway, network.gateway.address)
        time.sleep(chance.uniform(0, 0.05))


def transactions_dropped(network: Network, chance: Chance) -> None:
    """Let the node make no blocks, forget what waited, and go on."""
    network.set_mining(is_on=False)
    time.sleep(chance.uniform(0, 0.3))
    network.node.rpc("anvil_dropAllTransactions")
    if chance.random() < 0.5:  # noqa: PLR2004 - half of the times
        numbers_stolen(network, chance)
    network.set_mining(is_on=True)
    network.node.rpc("anvil_mine", "0x1")


def contract_missing(network: Network, chance: Chance) -> None:
    """Put other code, or none, at the address of the contract for a while."""
    code = network.node.rpc("eth_getCode", network.contract, "latest")
    if code == "0x":
        return
    network.node.rpc("anvil_setCode", network.contract, str(chance.choice(["0x", "0x6000"])))
    time.sleep(chance.uniform(0, 0.3))
    network.node.rpc("anvil_setCode", network.contract, code)


def other_chain(network: Network, chance: Chance) -> None:
    """Let another chain answer at the address of the node for a while."""
    network.node.stop()
    with start_anvil(port=network.node.port, chain_id=OTHER_CHAIN):
        time.sleep(chance.uniform(0, 0.3))
    network.node.restart()


def role_taken(network: Network, chance: Chance) -> None:
    """Take the role of the gateway away and give it back, a few times."""
    for _ in range(int(chance.integers(1, 4))):
        for change in (RoleChange.REMOVE, RoleChange.ADD):
            _act_as_owner(network, role_event, network.gateway.account, Role.REGISTRAR, change)
            time.sleep(chance.uniform(0, 0.2))


def contract_paused(network: Network, chance: Chance) -> None:
    """Pause the contract for a while."""
    for change in (PauseChange.PAUSE, PauseChange.RESUME):
        _act_as_owner(network, pause_event, change)
        time.sleep(chance.uniform(0, 0.4))


def _act_as_owner(network: Network, event: Callable[..., Event], *terms: object) -> None:
    """Change roles or the pause; where there is no contract at the moment, nothing happens."""
    (data,) = calls_of(event(*terms, actor=network.owner.account))
    network.send(network.owner, network.contract, data)


def disk_full(_network: Network, _chance: Chance) -> None:
    """Leave it at this: the files of the gateway may not grow any more; see `DISK_BYTES`."""


FAULTS: tuple[Fault, ...] = (
    no_fault,
    node_frozen,
    node_restarted,
    node_killed,
    chain_emptied,
    chain_outgrown,
    chain_replaced,
    numbers_stolen,
    transactions_dropped,
    contract_missing,
    other_chain,
    role_taken,
    contract_paused,
    disk_full,
)


@contextmanager
def new_network(home: Path, number: int) -> Iterator[Network]:
    """Start a node, put the contract there and make a workspace.

    Of four networks in a row the second and fourth have blocks that can be replaced, the third and
    fourth take no fees, and the fourth makes a block a second.
    """
    folder = home / f"network-{number}"
    folder.mkdir()
    owner, gateway = node_accounts()[:2]
    is_free = number % 4 > 1
    extra = FREE if is_free else ()
    block_seconds = int(number % 4 == 3)  # noqa: PLR2004 - every fourth
    block_time = block_seconds or None
    with start_anvil(state=folder / "chain.json", block_time=block_time, extra=extra) as node:
        network = Network(
            node=node,
            folder=folder,
            owner=owner,
            gateway=gateway,
            confirmations=2 * (number % 2),
            is_free=is_free,
            block_seconds=block_seconds,
        )
        network.deploy()
        network.open().close()
        yield network
