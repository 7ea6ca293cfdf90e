"""Putting the contract on a chain: one transaction, and the address that follows from it."""

import time

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from medseal.errors import ChainMismatchError, InputError, NodeError, UnreachableError
from medseal.ledger.ethereum.answers import TxReceipt
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import TransactionSigner

__all__ = ["contract_address", "deploy_contract", "redeploy_contract"]

_POLL_SECONDS = 0.05
# An estimate is exact for the state that it saw; what is not used costs nothing.
_GAS_MARGIN = 1.2
_ADDRESS_BYTES = 20
# A gateway's contract is among its first transactions; each number before it costs one.
_MOST_NUMBERS = 256
_TRANSFER_GAS = 21_000


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


def redeploy_contract(
    node: Node, signer: TransactionSigner, address: str, *, timeout_seconds: float
) -> None:
    """Put the compiled contract back to its address, on a chain that began anew.

    The numbers that the sender used before it put the contract there the first time are used up
    with transactions to itself that do nothing.

    Raises
    ------
    InputError
        A contract stands there, or the one at this address never came from this sender.
    ChainMismatchError
        The sender has used the number that the address follows from, on this chain too.
    UnreachableError, NodeError
        As `deploy_contract`.
    """
    if node.code(address):
        raise InputError(f"the contract {address} stands on this chain: nothing is to be done")
    numbers = range(_MOST_NUMBERS)
    wanted = next((n for n in numbers if contract_address(signer.address, n) == address), None)
    if wanted is None:
        raise InputError(
            f"{signer.address} did not put the contract {address} on the chain: only the gateway"
            " that did can put it there again"
        )
    used = node.nonce(signer.address)
    if used > wanted:
        raise ChainMismatchError(
            f"{signer.address} has sent {used} transactions on this chain, so the contract cannot"
            f" come to {address} again: begin the network anew, or with a new contract"
        )
    for number in range(used, wanted):
        filler = {
            "chainId": node.chain_id(),
            "nonce": number,
            "to": signer.address,
            "gas": _TRANSFER_GAS,
            "data": b"",
            **node.fees(signer.address).fields(),
        }
        node.send(signer.sign(filler))
    deploy_contract(node, signer, timeout_seconds=timeout_seconds)


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
