"""A node whose clock the tests move, with one fresh contract after another, for whole histories."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from medseal.errors import AccessRefusedError
from medseal.ledger import Action
from medseal.ledger.ethereum.answers import TxReceipt
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.codec import account_to_address
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import KeySigner
from tests.ledger.access_model import ALLOWING
from tests.ledger.ethereum.nodes import NodeProcess, node_accounts, start_anvil

START_S = 1_700_000_000
GAS, DEPLOY_GAS = hex(1_000_000), hex(8_000_000)
CREATION = artifact().creation_code
RECEIPT_SECONDS = 20.0


@dataclass
class Counts:
    """What was compared."""

    steps: int = 0
    decisions: int = 0
    uses: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)


@dataclass
class MovingChain:
    """A node that takes transactions of every account, with a fresh contract at each `reset`."""

    node: NodeProcess
    client: Node
    contract: Contract
    counts: Counts = field(default_factory=Counts)
    snapshot: str = ""

    def reset(self) -> None:
        """Go back to the contract as it was deployed, at the time `START_S`."""
        if self.snapshot:
            assert self.node.rpc("evm_revert", self.snapshot)
        self.snapshot = self.node.rpc("evm_snapshot")

    def move_to(self, now_ms: int) -> None:
        """Let the newest block be of that time."""
        self.node.rpc("evm_setNextBlockTimestamp", now_ms // 1000)
        self.node.rpc("evm_mine")

    def simulated(self, sender: str, data: bytes) -> str:
        """Return why a call would be refused; empty when it would not."""
        try:
            self.contract.simulate(account_to_address(sender), data)
        except AccessRefusedError as error:
            return error.reason
        return ""

    def deploy(self, owner: str) -> None:
        """Go on with a new contract that an account owns, in place of the one of `reset`."""
        made = self.mined({"from": account_to_address(owner), "gas": DEPLOY_GAS}, CREATION, START_S)
        assert made.contract is not None
        self.contract = Contract(self.client, made.contract)

    def sent(self, sender: str, data: bytes, now_ms: int) -> bool:
        """Send a call in a block of that time and say whether it was carried out."""
        whom = {"from": account_to_address(sender), "to": self.contract.address, "gas": GAS}
        return self.mined(whom, data, now_ms // 1000).status == 1

    def mined(self, whom: dict[str, str], data: bytes, time_s: int) -> TxReceipt:
        """Send a transaction in a block of that time and return its receipt."""
        transaction = {**whom, "data": f"0x{data.hex()}", "gasPrice": "0x0"}
        self.node.rpc("evm_setNextBlockTimestamp", time_s)
        name = self.node.rpc("eth_sendTransaction", transaction)
        deadline = time.monotonic() + RECEIPT_SECONDS
        while (receipt := self.client.receipt(name)) is None:
            assert time.monotonic() < deadline, "no block was made"
            time.sleep(0.001)
        block = self.client.block(receipt.block_number)
        assert block is not None
        assert block.timestamp == time_s
        return receipt

    def decided(self, questions: list[tuple[str, str, Action, str, int]]) -> list[str]:
        """Return the reasons that the contract gives."""
        requests = [
            self.contract.decide_request(account, image, action, purpose=purpose, at_ms=at_ms)
            for account, image, action, purpose, at_ms in questions
        ]
        answers = [
            self.contract.parse_decision(bytes.fromhex(answer[2:]))
            for answer in self.client.batch(requests)
        ]
        account, image, action, purpose, at_ms = questions[0]
        alone = self.contract.decide(account, image, action, purpose=purpose, at_ms=at_ms)
        assert alone == answers[0]
        assert all(one.allowed == (one.reason in ALLOWING) for one in answers)
        return [one.reason for one in answers]


@contextmanager
def moving_chain() -> Iterator[MovingChain]:
    """Run a node on which everybody may send, for nothing, and put the contract there.

    Its owner is the first account of the node.
    """
    free = ["--gas-price", "0", "--block-base-fee-per-gas", "0"]
    with start_anvil(extra=["--timestamp", str(START_S), "--auto-impersonate", *free]) as node:
        client = Node(node.url)
        contract = Contract.deploy(client, KeySigner.from_key(node_accounts()[0].key))
        yield MovingChain(node=node, client=client, contract=contract)
