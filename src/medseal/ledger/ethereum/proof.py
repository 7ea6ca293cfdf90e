"""Online verification of a receipt's anchor: what a pinned contract on a pinned chain holds."""

from dataclasses import dataclass

from medseal.errors import AnchorError, UnreachableError
from medseal.ledger.ethereum.anchors import Anchored
from medseal.ledger.ethereum.answers import Block, TxReceipt
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.receipt import Anchor, Receipt

__all__ = ["AnchorCheck", "check_anchor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorCheck:
    """What a node has confirmed about an anchor.

    Attributes
    ----------
    confirmations
        Blocks from the one of the anchor up to the newest, both counted; what is enough depends
        on the network, and 1 is where a block is final at once.
    sequence
        Number of the anchor in the contract, from 1.
    timestamp
        Seconds since 1970 UTC of the block: the root, and all under it, existed then.
    account
        Gateway that anchored it.
    size
        Entries of the log under the root.
    """

    confirmations: int
    sequence: int
    timestamp: int
    account: str
    size: int


def check_anchor(receipt: Receipt, node: Node, *, chain_id: int, contract: str) -> AnchorCheck:
    """Return what a node confirms about the anchor of a receipt; the node is trusted for it.

    The signatures and the inclusion path are not looked at: call `medseal.ledger.verify` first.

    Parameters
    ----------
    receipt
        Receipt with an anchor.
    node
        Node to ask; best one of another institution than that which gave the receipt.
    chain_id, contract
        Chain and address that are trusted, from another source than the receipt.

    Raises
    ------
    AnchorError
        The anchor is missing, points elsewhere, or the chain holds something else.
    ChainMismatchError
        The node serves another chain, or the contract is not there.
    UnreachableError
        The node does not answer.
    """
    # 1. The receipt points to the pinned chain and contract.
    anchor = _pinned_anchor(receipt, chain_id, contract.lower())
    # 2. The node serves that chain, and that contract stands there.
    pinned = Contract(node, contract, chain_id=chain_id)
    pinned.check()
    # 3. The transaction was carried out, in the block that the receipt names.
    sent = _checked_transaction(anchor, node)
    # 4. That block is part of the chain, not of a branch that was given up.
    block = _canonical_block(anchor, node)
    # 5. The transaction anchored the root and size of the checkpoint.
    event = _checked_event(receipt, pinned.anchored(sent))
    # 6. The contract holds the same.
    _check_registry(pinned, event, block)
    # 7. How deep.
    head = node.block_number()
    if head < block.number:
        raise UnreachableError(f"{node.url} went back behind the block of the anchor: try again")
    return AnchorCheck(
        confirmations=head - block.number + 1,
        sequence=event.sequence,
        timestamp=block.timestamp,
        account=event.account,
        size=event.size,
    )


def _pinned_anchor(receipt: Receipt, chain_id: int, contract: str) -> Anchor:
    anchor = receipt.anchor
    if anchor is None:
        raise AnchorError("the receipt holds no anchor: sync the ledger first", step="anchor")
    if anchor.chain_id != chain_id:
        raise AnchorError(
            f"the receipt is anchored on chain {anchor.chain_id}, not on {chain_id}", step="chain"
        )
    if anchor.contract != contract:
        raise AnchorError(
            f"the receipt is anchored in {anchor.contract}, not in {contract}", step="contract"
        )
    return anchor


def _checked_transaction(anchor: Anchor, node: Node) -> TxReceipt:
    sent = node.receipt(anchor.transaction)
    if sent is None:
        raise AnchorError(
            f"{node.url} knows no transaction {anchor.transaction}: it never was in a block, its"
            " block was replaced, or the node has dropped it (then ask an archive node)",
            step="transaction",
        )
    if sent.hash != anchor.transaction:
        raise AnchorError(f"{node.url} answered with another transaction", step="transaction")
    if sent.status != 1:
        raise AnchorError("the contract refused the transaction of the anchor", step="status")
    if (sent.block_number, sent.block_hash) != (anchor.block_number, anchor.block_hash):
        raise AnchorError(
            f"the transaction is in block {sent.block_number} {sent.block_hash}, the receipt names"
            f" {anchor.block_number} {anchor.block_hash}",
            step="block",
        )
    return sent


def _canonical_block(anchor: Anchor, node: Node) -> Block:
    block = node.block(anchor.block_number)
    if block is None or block.hash != anchor.block_hash:
        raise AnchorError(
            f"block {anchor.block_number} is another one now: the anchor was in a branch that the"
            " network gave up",
            step="block",
        )
    return block


def _checked_event(receipt: Receipt, events: list[Anchored]) -> Anchored:
    checkpoint = receipt.checkpoint
    for event in events:
        if event.root == checkpoint.root:
            if event.size != checkpoint.size:
                raise AnchorError(
                    f"the root was anchored over {event.size} entries, the checkpoint has"
                    f" {checkpoint.size}",
                    step="event",
                )
            return event
    raise AnchorError("the transaction does not anchor the root of the receipt", step="event")


def _check_registry(contract: Contract, event: Anchored, block: Block) -> None:
    held = contract.anchor_of(event.root)
    if held is None:
        raise AnchorError("the contract does not hold the root", step="registry")
    if (held.size, held.sequence, held.timestamp) != (event.size, event.sequence, block.timestamp):
        raise AnchorError("the contract holds the root as another anchor", step="registry")
