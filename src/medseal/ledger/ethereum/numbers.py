"""Numbers of transactions (nonces) of an account, as a node knows them."""

from medseal.ledger.ethereum.codec import account_to_address
from medseal.ledger.ethereum.rpc import Node

__all__ = ["Numbers"]


class Numbers:
    """Numbers of transactions of one account, as the node and one round know them.

    Parameters
    ----------
    node, account
        Who is asked, about whom.
    confirmations
        Blocks above one until what stands in it is final.

    Attributes
    ----------
    used
        Those below stand in blocks.
    lost
        Those below stand in blocks that are not replaced any more: what was signed under them and
        has no receipt is lost for good.
    next
        Those below are known to the node.
    """

    def __init__(self, node: Node, account: str, confirmations: int) -> None:
        address = account_to_address(account)
        self.used = self.lost = node.nonce(address, "latest")
        if confirmations:
            deep = max(0, node.block_number() - confirmations)
            self.lost = min(self.used, node.nonce(address, deep))
        # What a node has accepted may be more than it has put into blocks, never less.
        self.next = max(self.used, node.nonce(address, "pending"))
