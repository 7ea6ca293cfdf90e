"""A lost outbox: what the chain shows is settled, what it refused once is not sent now."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medseal.errors import UnreachableError
from medseal.ledger import (
    Action,
    EthereumLedger,
    Grant,
    KeySigner,
    Role,
    RoleChange,
    State,
    erase_event,
    role_event,
)
from tests.ledger.ethereum.gateways import PERSON, QUICK, SUBJECT, check_truth, deploy, granted
from tests.ledger.ethereum.nodes import NodeAccount, NodeProcess, start_anvil

Accounts = tuple[NodeAccount, ...]
WAIT_SECONDS = 20.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with start_anvil(state=tmp_path / "chain.json") as started:
        yield started


def test_what_was_refused_once_is_not_sent_when_it_would_be_allowed(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[1].key)
    account, folder = signer.account, tmp_path / "other"
    view = Grant(account=PERSON, subject=SUBJECT, action=Action.VIEW)
    share = Grant(account=PERSON, subject=SUBJECT, action=Action.SHARE)
    with deploy(node, accounts[0], tmp_path / "owner") as owner:
        address = owner.contract.address

        def open_again() -> EthereumLedger:
            return EthereumLedger(node.url, address, signer, folder=folder, settings=QUICK)

        with open_again() as ledger:
            # 1. Recorded while the node is away, refused later: not a registrar yet.
            node.stop()
            refused = ledger.grant(view, actor=account).index
            node.restart()
            ledger.sync()
            assert ledger.state_of(refused).state is State.REFUSED
            # 2. Now it is one; an erasure holds here only, a grant arrives.
            owner.append(role_event(account, Role.REGISTRAR, RoleChange.ADD, actor="0" * 32))
            owner.wait("final", WAIT_SECONDS)
            erased = ledger.append(erase_event("sha256:" + "6b" * 32, actor=account)).index
            done = ledger.grant(share, actor=account).index
            ledger.wait("final", WAIT_SECONDS)
            seen = ledger.state_of(done)
        # 3. The outbox is lost.
        for file in folder.glob("outbox*"):
            file.unlink()
        node.stop()
        with open_again() as ledger:
            with pytest.raises(UnreachableError, match="cannot be reached"):
                ledger.sync()
            assert ledger.state_of(done).state is State.QUEUED
            node.restart()
            ledger.wait("final", WAIT_SECONDS)
            told = ledger.state_of(refused)
            assert (told.state, told.detail) == (State.REFUSED, "not-on-chain")
            assert ledger.state_of(done) == seen
            assert ledger.state_of(erased).detail == "not-on-chain"
            assert ledger.state_of(erased).state is State.FINAL
            assert [grant.action for grant in ledger.grants()] == [Action.SHARE]
            assert granted(ledger) == 1
            check_truth(ledger)
