"""A log compared with every head of it that its gateway has anchored: the chain as a witness.

A log that was rolled back, for example because an old backup was restored, verifies in itself. The
contract still holds the heads that were anchored since.
"""

import hmac

from medseal.errors import ConsistencyError
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.ethereum.contract import Contract

__all__ = ["check_heads"]


def check_heads(
    log: EmbeddedLedger, contract: Contract, account: str, *, blocks_at_once: int = 65_536
) -> int:
    """Return how many heads a gateway has anchored, if its log continues each of them.

    Parameters
    ----------
    log
        Of the gateway.
    contract
        Asked for all of its blocks.
    account
        Of the gateway, 40 hexadecimal digits; it anchors for no other log.
    blocks_at_once
        Blocks of one question to the node, which bounds its answer.

    Raises
    ------
    ConsistencyError
        The log was rolled back or rewritten since, and `index` is the first entry that may be
        lost or another one; or another log is anchored with the same key.
    ChainMismatchError
        The contract does not answer as it should.
    UnreachableError, NodeError
        The node does not answer, or not as it should.
    """
    count = agreed = 0
    top = contract.node.block_number()
    for first in range(0, top + 1, blocks_at_once):
        heads = contract.anchored_by(account, first, min(first + blocks_at_once - 1, top))
        # Read after them: the log may grow meanwhile.
        size = log.size
        for head in sorted(heads, key=lambda head: head.sequence):
            if head.size > size:
                raise ConsistencyError(
                    f"{log.path}: the log was rolled back: it has {size} entries, and this gateway"
                    f" has anchored {head.size}; restore the newer copy",
                    index=size,
                )
            if not hmac.compare_digest(log.root(head.size), head.root):
                raise ConsistencyError(
                    f"{log.path}: the log was rewritten: its first {head.size} entries are not"
                    f" those that this gateway has anchored, the first {agreed} are; restore the"
                    " other copy",
                    index=agreed,
                )
            agreed = head.size
        count += len(heads)
    return count
