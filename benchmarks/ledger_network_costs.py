"""Gas of each operation of the contract, and one transaction an image: what the papers do."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.nodes import NodeProcess, node_accounts
from medseal.ledger.ethereum.answers import TxReceipt
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.codec import anchor_call, calls_of
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.deployment import contract_address
from medseal.ledger.ethereum.fees import FeePolicy, signed_transaction
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import KeySigner
from medseal.ledger.events import Event
from medseal.ledger.grants import Action, Grant, Role
from medseal.ledger.item import SignedTransaction
from medseal.ledger.rights import (
    ConsentChange,
    PauseChange,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    grant_event,
    pause_event,
    revoke_event,
    role_event,
)

__all__ = ["CEILINGS", "Sender", "exceeded", "measure_gas", "measure_transactions", "per_image"]

# What was asked for; what has no ceiling here has one in the tests of the contract.
CEILINGS = {"anchor": 62_000, "grant": 50_000, "revoke": 27_100}
BATCH_SIZES = (64, 1_024, 16_384)
DEPLOY_GAS = 6_000_000
# As many as a block of 30 million gas holds; medseal itself has at most 64 in flight.
WINDOW = 500
POLL_SECONDS = 0.002
WAIT_SECONDS = 300.0
LONGEST_PRICE = FeePolicy(max_price_wei=10**13)


class Sender:
    """Sends transactions of one key, as fast as a node takes them.

    Parameters
    ----------
    node
        The node.
    key
        Key of the sender.
    """

    def __init__(self, node: Node, key: bytes) -> None:
        self.node = node
        self.signer = KeySigner.from_key(key)
        self.chain_id = node.chain_id()
        self.nonce = node.nonce(self.signer.address)

    def deploy(self) -> tuple[Contract, int]:
        """Put the contract on the chain; return it and the gas that it took."""
        data = artifact().creation_code
        fields = self.node.fees(self.signer.address).fields()
        call = {"chainId": self.chain_id, "nonce": self.nonce, "gas": DEPLOY_GAS, "data": data}
        name = self.node.send(self.signer.sign(call | dict(fields)))
        address = contract_address(self.signer.address, self.nonce)
        self.nonce += 1
        gas = self.wait(name).gas_used
        contract = Contract(self.node, address, chain_id=self.chain_id)
        contract.check()
        return contract, gas

    def sign(self, contract: Contract, data: bytes) -> SignedTransaction:
        """Return a call of the contract, signed with the next number."""
        fees = self.node.fees(self.signer.address)
        price = LONGEST_PRICE.price(fees)
        if price is None:
            raise RuntimeError("the node asks for more than a measurement pays")
        call = {
            "chainId": self.chain_id,
            "nonce": self.nonce,
            "to": contract.address,
            "data": data,
        }
        self.nonce += 1
        return signed_transaction(self.signer, call, fees, price, is_bump=False)

    def wait(self, name: str) -> TxReceipt:
        """Return the receipt of a transaction that was carried out."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            receipt = self.node.receipt(name)
            if receipt is not None:
                if receipt.status != 1:
                    raise RuntimeError("the contract refused a transaction of a measurement")
                return receipt
            time.sleep(POLL_SECONDS)
        raise RuntimeError("no block came")

    def gas(self, contract: Contract, data: bytes) -> int:
        """Send a call and return the gas that it took."""
        return self.wait(self.node.send(self.sign(contract, data).raw)).gas_used


def _account() -> str:
    return secrets.token_hex(16)


def _subject() -> str:
    return f"sha256:{secrets.token_hex(32)}"


def _events(owner: str, gateway: str) -> Iterator[tuple[str, Event]]:
    """Yield every operation with its name, in an order in which each one is allowed."""
    person, subject, reason = _account(), _subject(), _subject()
    registrar, service = (
        role_event(gateway, role, RoleChange.ADD, actor=owner)
        for role in (Role.REGISTRAR, Role.CONSENT_SERVICE)
    )
    yield "first role", registrar
    yield "role", service
    yield "role of a person", role_event(person, Role.RADIOLOGIST, RoleChange.ADD, actor=owner)
    view = Grant(account=person, subject=subject, action=Action.VIEW)
    yield "grant", grant_event(view, actor=gateway)
    bounded = Grant(
        account=_account(),
        subject=subject,
        action=Action.CLASSIFY,
        purpose="research",
        expires_ms=int(time.time() * 1000) + 30 * 86_400_000,
    )
    yield "grant with purpose and expiry", grant_event(bounded, actor=gateway)
    yield "grant again", grant_event(view, actor=gateway)
    yield "break-glass", break_glass_event(subject, reason, actor=person)
    yield "revoke", revoke_event(person, subject, Action.VIEW, actor=gateway)
    yield "revoke all", revoke_event(bounded.account, subject, actor=gateway)
    change = consent_event(subject, ConsentChange.WITHDRAW, _subject(), actor=gateway)
    yield "consent", change
    yield "pause", pause_event(PauseChange.PAUSE, actor=owner)
    yield "resume", pause_event(PauseChange.RESUME, actor=owner)
    yield "erase", erase_event(subject, actor=owner)


def measure_gas(process: NodeProcess) -> dict[str, int]:
    """Return the gas of each operation on a new contract."""
    node = Node(process.url)
    owner, gateway = (Sender(node, account.key) for account in node_accounts()[:2])
    contract, deploy = owner.deploy()
    gas = {"deploy": deploy}
    owners = {owner.signer.account: owner, gateway.signer.account: gateway}
    for name, event in _events(owner.signer.account, gateway.signer.account):
        # People have no keys: what they do is sent by a gateway.
        sender = owners.get(event.actor, gateway)
        (data,) = calls_of(event)
        gas[name] = sender.gas(contract, data)
    for name in ("first anchor", "anchor"):
        gas[name] = gateway.gas(contract, anchor_call(secrets.token_bytes(32), 1_024))
    node.close()
    return gas


def per_image(anchor_gas: int) -> dict[str, float]:
    """Return the gas an image by the size of a batch."""
    return {str(size): round(anchor_gas / size, 2) for size in BATCH_SIZES}


def _send_window(node: Node, signed: Sequence[SignedTransaction]) -> None:
    requests = [("eth_sendRawTransaction", ("0x" + one.raw.hex(),)) for one in signed]
    for one, answer in zip(signed, node.batch(requests), strict=True):
        if answer != one.hash:
            raise RuntimeError(f"the node did not take a transaction: {answer}")


def measure_transactions(process: NodeProcess, count: int, singles: int) -> dict[str, Any]:
    """Return rate and latency of one transaction an image: one root of one entry each.

    Parameters
    ----------
    process
        The node.
    count
        Transactions sent one after the other without waiting, at most `WINDOW` of them in flight.
    singles
        Transactions sent only when the one before is in a block, at random moments.
    """
    # Patient, and never asked twice: a hundred transactions in one exchange take Ganache seconds.
    node = Node(process.url, timeout_seconds=WAIT_SECONDS, attempts=1)
    sender = Sender(node, node_accounts()[0].key)
    contract, _ = sender.deploy()
    signed = [sender.sign(contract, anchor_call(secrets.token_bytes(32), 1)) for _ in range(count)]
    start, sent = time.perf_counter(), 0
    first = signed[0].nonce
    while (mined := node.nonce(sender.signer.address, "latest") - first) < count:
        if sent - mined < WINDOW and sent < count:
            part = signed[sent : mined + WINDOW]
            _send_window(node, part)
            sent += len(part)
        else:
            time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - start
    gas = [sender.wait(one.hash).gas_used for one in signed[:: max(1, count // 20)]]
    latencies = list(_latencies(sender, contract, singles))
    node.close()
    return {
        "transactions_per_second": round(count / seconds, 1),
        "gas": int(median(gas)),
        "seconds": latencies,
    }


def _latencies(sender: Sender, contract: Contract, count: int) -> Iterator[float]:
    for _ in range(count):
        one = sender.sign(contract, anchor_call(secrets.token_bytes(32), 1))
        # Otherwise each would begin right after a block.
        time.sleep(secrets.randbelow(1000) / 1000)
        start = time.perf_counter()
        sender.node.send(one.raw)
        sender.wait(one.hash)
        yield time.perf_counter() - start


def exceeded(gas: Mapping[str, int]) -> dict[str, int]:
    """Return the operations that take more than was asked."""
    return {name: gas[name] for name, most in CEILINGS.items() if gas[name] > most}
