"""A lost outbox filled again: which changes of rights of the log the chain holds already."""

from typing import Any

from medseal.errors import NodeError
from medseal.ledger.ethereum.answers import parse_data
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.mirror import ERASE_SCOPE
from medseal.ledger.item import Item, ItemKind, Settled, Stage
from medseal.ledger.outbox import Outbox

__all__ = ["recover"]

# Data of a call that we have sent, and where it stands: transaction, block number, block hash.
_Place = tuple[str, int, str]


def recover(outbox: Outbox, contract: Contract, sender: str) -> None:
    """Settle the queued calls that were sent before the outbox was lost.

    Calls are sent in order. So one that the chain does not show, before one that it does, was
    refused there, and must not be sent now: it would undo what came after it. Anchors need no
    such care, as the contract takes each root once.

    Parameters
    ----------
    outbox
        Filled from the log a moment ago.
    contract, sender
        Where the calls went, and from which address.

    Raises
    ------
    UnreachableError
        The node does not answer; nothing is settled.
    """
    waiting = [
        item for item in outbox.items(Stage.QUEUED, kind=ItemKind.CALL) if item.nonce is None
    ]
    sent = _sent_calls(contract, sender) if waiting else []
    found: list[tuple[Item, _Place | None]] = []
    start = 0
    for item in waiting:
        at = next((k for k in range(start, len(sent)) if sent[k][0] == item.data), None)
        found.append((item, None if at is None else sent[at][1]))
        start = start if at is None else at + 1
    while found and found[-1][1] is None:
        found.pop()
    outbox.settle([_settled(item, *place) for item, place in found if place is not None])
    for item in (item for item, place in found if place is None):
        is_ours_only = item.scope.startswith(ERASE_SCOPE)
        outbox.note(item, Stage.SKIPPED if is_ours_only else Stage.REFUSED, "not-on-chain")


def _settled(item: Item, name: str, block_number: int, block_hash: str) -> Settled:
    return Settled(
        position=item.position,
        # How deep the block lies is looked at next.
        stage=Stage.MINED,
        hash=name,
        block_number=block_number,
        block_hash=block_hash,
    )


def _sent_calls(contract: Contract, sender: str) -> list[tuple[bytes, _Place]]:
    """Return the calls of a sender that had an effect, in the order of the chain."""
    logs = contract.node.logs(contract.address, ())
    blocks = {log.transaction: (log.block_number, log.block_hash) for log in logs}
    asked = [("eth_getTransactionByHash", (name,)) for name in blocks]
    sent = []
    for (name, block), answer in zip(blocks.items(), contract.node.batch(asked), strict=True):
        if isinstance(answer, NodeError):
            raise answer
        fields: dict[str, Any] = answer if isinstance(answer, dict) else {}
        if str(fields.get("from")).lower() == sender:
            data = parse_data(fields.get("input", fields.get("data")))
            sent.append((data, (name, *block)))
    return sent
