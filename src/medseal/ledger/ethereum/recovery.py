"""A lost outbox filled again: which changes of rights of the log the chain holds already."""

from bisect import bisect_left
from typing import Any

from medseal.errors import NodeError
from medseal.ledger.ethereum.answers import parse_data
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.mirror import ERASE_SCOPE, GATE_SCOPES
from medseal.ledger.item import Item, ItemKind, Settled, Stage
from medseal.ledger.outbox import Outbox

__all__ = ["recover"]

# Data of a call that we have sent, and where it stands: transaction, block number, block hash.
_Place = tuple[str, int, str]
_ALL = ""


def recover(outbox: Outbox, contract: Contract, sender: str) -> None:
    """Settle the queued calls that were sent before the outbox was lost.

    Calls of one scope are sent in order. So one that the chain does not show, before one that it
    does, was refused there, and must not be sent now: it would undo what came after it. A change
    of roles, a pause or an erasure never waits for leave, so any later call tells. Anchors need
    no such care, as the contract takes each root once.

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
    found: dict[int, _Place] = {}
    places: dict[bytes, list[int]] = {}
    for at, (data, _) in enumerate(sent):
        places.setdefault(data, []).append(at)
    # How far the chain was read for a scope, and the last call that it shows, of a scope or of all.
    starts: dict[str, int] = {}
    last_shown: dict[str, int] = {}
    for item in waiting:
        of_data = places.get(item.data, [])
        first = bisect_left(of_data, starts.get(item.scope, 0))
        if first < len(of_data):
            at = of_data[first]
            found[item.position] = sent[at][1]
            starts[item.scope] = at + 1
            last_shown[item.scope] = last_shown[_ALL] = item.position
    outbox.settle(
        [_settled(item, *found[item.position]) for item in waiting if item.position in found]
    )
    for item in waiting:
        tells = _ALL if item.scope.startswith(GATE_SCOPES) else item.scope
        if item.position not in found and item.position < last_shown.get(tells, 0):
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
