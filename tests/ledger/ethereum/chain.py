"""What the tests of the network ledger do on a chain: deploy, send, wait."""

import time
from collections.abc import Sequence
from typing import Any

from medseal.ledger.ethereum.answers import TxReceipt
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import KeySigner
from tests.ledger.ethereum.nodes import NodeProcess, node_accounts

WAIT_SECONDS = 20.0
PERSON = "ab" * 16
IMAGE = "sha256:" + "5a" * 32


def signer(number: int = 0) -> KeySigner:
    """Return the signer of a rich account."""
    return KeySigner.from_key(node_accounts()[number].key)


def deployed(process: NodeProcess, number: int = 0) -> Contract:
    """Return a fresh contract whose owner is a rich account."""
    return Contract.deploy(Node(process.url), signer(number))


def transaction(
    node: Node, sender: KeySigner, to: str | None, data: bytes, **fields: Any
) -> dict[str, Any]:
    """Return a transaction that the node would take."""
    return {
        "chainId": node.chain_id(),
        "nonce": node.nonce(sender.address),
        "gas": 500_000,
        "to": to,
        "data": data,
        **node.fees(sender.address).fields(),
        **fields,
    }


def receipt_of(node: Node, name: str) -> TxReceipt:
    """Return the receipt of a transaction; wait for its block."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (receipt := node.receipt(name)) is None:
        assert time.monotonic() < deadline, "the transaction is in no block"
        time.sleep(0.002)
    return receipt


def carry_out(contract: Contract, calls: Sequence[bytes], number: int = 0) -> TxReceipt:
    """Send calls from a rich account, each once the last is in a block; return the last receipt."""
    node, sender = contract.node, signer(number)
    for data in calls:
        name = node.send(sender.sign(transaction(node, sender, contract.address, data)))
        receipt = receipt_of(node, name)
        assert receipt.status == 1
    return receipt
