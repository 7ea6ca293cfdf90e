"""Putting the contract on a chain: one transaction, and the address that follows from it."""

import time

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from medseal.errors import NodeError, UnreachableError
from medseal.ledger.ethereum.answers import TxReceipt
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import TransactionSigner

__all__ = ["contract_address", "deploy_contract"]

_POLL_SECONDS = 0.05
# An estimate is exact for the state that it saw; what is not used costs nothing.
_GAS_MARGIN = 1.2
_ADDRESS_BYTES = 20


def contract_address(sender: str, nonce: int) -> str:
    """Return the address of the contract that a transaction of a sender makes."""
    # Yellow Paper, 7: the address follows from the sender and its nonce alone.
    digest = keccak(rlp.encode([bytes.fromhex(sender[2:]), nonce]))
    return "0x" + digest[-_ADDRESS_BYTES:].hex()


def deploy_contract(
    node: Node, signer: TransactionSigner, *, timeout_seconds: float
) -> tuple[str, int]:
    """Send the compiled contract, wait for its block, and return its address and chain id.

    Raises
    ------
    UnreachableError
        The node does not answer, or no block came in time.
    NodeError
        The node does not take the transaction, or it has failed.
    """
    data = artifact().creation_code
    estimate = node.estimate({"from": signer.address, "data": "0x" + data.hex()})
    chain_id, nonce = node.chain_id(), node.nonce(signer.address)
    transaction = {
        "chainId": chain_id,
        "nonce": nonce,
        "gas": int(estimate * _GAS_MARGIN),
        "data": data,
        **node.fees(signer.address).fields(),
    }
    name = node.send(signer.sign(transaction))
    if _wait_for(node, name, timeout_seconds).status != 1:
        raise NodeError(f"{node.url} could not carry out the deployment {name}")
    return contract_address(signer.address, nonce), chain_id


def _wait_for(node: Node, name: str, timeout_seconds: float) -> TxReceipt:
    """Return the receipt of a transaction once it is in a block."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        receipt = node.receipt(name)
        if receipt is not None:
            return receipt
        time.sleep(_POLL_SECONDS)
    raise UnreachableError(
        f"{node.url} put {name} into no block within {timeout_seconds:g} s:"
        " is the network making blocks?"
    )
