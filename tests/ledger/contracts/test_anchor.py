"""`anchor`, `anchorOf`, `anchorCount` and `head`: one anchor a root, all of them chained."""

import pytest
from eth_abi import encode
from eth_utils import keccak

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import Deployed, Reverted

ROOT, OTHER = keccak(text="root"), keccak(text="other root")


def chained(head: bytes, root: bytes, size: int) -> bytes:
    return keccak(encode(["bytes32", "bytes32", "uint64"], [head, root, size]))


def test_the_first_head_is_bound_to_chain_and_contract(contract: Deployed) -> None:
    chain_id = int(contract.chain.node.rpc("eth_chainId"), 16)
    named = encode(
        ["string", "uint256", "address"], ["medseal-anchors/v1", chain_id, contract.address]
    )
    assert contract.call("head") == keccak(named)
    assert contract.call("anchorCount") == 0


def test_anchors_are_numbered_dated_and_chained(staffed: Deployed, parties: Parties) -> None:
    head = staffed.call("head")
    for sequence, (root, size, sender) in enumerate(
        [(ROOT, 1, parties.owner), (OTHER, 2**64 - 1, parties.registrar)], start=1
    ):
        head = chained(head, root, size)
        done = staffed.send("anchor", root, size, sender=sender)
        assert done.event == (
            "Anchored",
            {"root": root, "account": sender, "size": size, "sequence": sequence, "head": head},
        )
        assert staffed.call("head") == head
        assert staffed.call("anchorCount") == sequence
        assert staffed.call("anchorOf", root) == (size, sequence, done.timestamp)


def test_a_root_without_anchor_is_all_zero(contract: Deployed) -> None:
    assert contract.call("anchorOf", ROOT) == (0, 0, 0)


@pytest.mark.parametrize("size", [1, 2])
def test_a_root_is_anchored_once(contract: Deployed, size: int) -> None:
    done = contract.send("anchor", ROOT, 1)
    head = contract.call("head")
    with pytest.raises(Reverted, match="AlreadyAnchored") as caught:
        contract.send("anchor", ROOT, size)
    assert caught.value.values == (ROOT,)
    assert contract.call("anchorOf", ROOT) == (1, 1, done.timestamp)
    assert (contract.call("anchorCount"), contract.call("head")) == (1, head)


def test_an_empty_log_is_refused(contract: Deployed) -> None:
    with pytest.raises(Reverted, match="EmptyLog"):
        contract.send("anchor", ROOT, 0)


def test_nothing_is_anchored_during_a_pause(contract: Deployed) -> None:
    contract.send("pause")
    with pytest.raises(Reverted, match="EnforcedPause"):
        contract.send("anchor", ROOT, 1)
    contract.send("unpause")
    assert contract.send("anchor", ROOT, 1).event[1]["sequence"] == 1
