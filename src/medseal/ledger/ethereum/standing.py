"""What stands in blocks, compared with the blocks that the chain has now."""

from collections.abc import Sequence

from medseal.errors import NodeError
from medseal.ledger.ethereum.answers import parse_block
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.item import BlockId, Item, Settled
from medseal.ledger.outbox import Outbox

__all__ = ["Standing"]

# Chains are seldom replaced deeper.
_DEPTH = 64
_BLOCKS_AT_ONCE = 256
_BEFORE_ALL = BlockId(-1, "")


class Standing:
    """Keeps what is said to stand in blocks equal to what does.

    What stands at or below the *floor*, a block that the outbox keeps, stood on one chain with it
    when it was looked at. So while the chain has the floor, only what stands above is compared;
    otherwise everything is. Looking at the newest blocks alone would not do: what they hold may
    have come after a change of the chain further down, as a single step can send so much that the
    chain grows by as many blocks.

    Parameters
    ----------
    outbox, node
        What is compared with what.
    """

    def __init__(self, outbox: Outbox, node: Node) -> None:
        self._outbox = outbox
        self._node = node

    def compare(self, top: int) -> None:
        """Take back what the chain no longer holds.

        Parameters
        ----------
        top
            Number of the newest block; -1 for none.
        """
        floor = self._outbox.floor()
        if self._outbox.newest_block() < 0:
            return
        # 1. The next floor is asked for before anything is compared. If the chain is replaced in
        # between, it will not have this floor, and everything is compared again.
        raised = self._raised(floor, top)
        # 2. What is to be compared?
        if floor is not None and not self._has(floor):
            self._outbox.drop_floor()
            floor = None
        after = _BEFORE_ALL if floor is None else BlockId(floor.number + 1, "")
        # 3. Compare.
        while seen := self._outbox.blocks(after, limit=_BLOCKS_AT_ONCE):
            self._take_back(seen)
            after = seen[-1]
        if raised is not None:
            self._outbox.set_floor(raised)

    def _raised(self, floor: BlockId | None, top: int) -> BlockId | None:
        """Return the next floor if there is use for another than the present one."""
        number = top - _DEPTH
        if number < 0:
            return None
        is_low = floor is None or number >= floor.number + _DEPTH
        if not is_low or (floor is not None and self._outbox.newest_block() <= floor.number):
            return None
        block = self._node.block(number)
        return None if block is None else BlockId(block.number, block.hash)

    def _has(self, known: BlockId) -> bool:
        block = self._node.block(known.number)
        return block is not None and block.hash == known.hash

    def _take_back(self, seen: Sequence[BlockId]) -> None:
        asked = [("eth_getBlockByNumber", (hex(number), False)) for number, _ in seen]
        gone = []
        for known, answer in zip(seen, self._node.batch(asked), strict=True):
            if isinstance(answer, NodeError):
                raise answer
            block = parse_block(answer)
            if block is None or block.hash != known.hash:
                gone.append(known)
        self._outbox.vanish(gone)

    def settle(self, settled: Sequence[Settled], *, repeat: Sequence[Item] = ()) -> None:
        """Write down in which blocks items stand, as receipts say that were read before."""
        floor = self._outbox.floor()
        if (
            floor is not None
            and any(one.block_number <= floor.number for one in settled)
            and not self._has(floor)
        ):
            # They may be of another chain than what stands there already.
            self._outbox.drop_floor()
        self._outbox.settle(settled, repeat=repeat)
