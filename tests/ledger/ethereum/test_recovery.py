"""A lost outbox: what the chain shows is settled, what it refused once is not sent now."""

from pathlib import Path

import pytest

from medseal.errors import UnreachableError
from medseal.ledger import (
    Action,
    ConsentChange,
    EthereumLedger,
    Grant,
    KeySigner,
    Role,
    RoleChange,
    State,
    consent_event,
    erase_event,
    role_event,
)
from tests.ledger.ethereum.gateways import (
    PERSON,
    QUICK,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    check_truth,
    deploy,
    grant,
    granted,
    reach,
)
from tests.ledger.ethereum.nodes import NodeProcess


def test_what_was_refused_once_is_not_sent_when_it_would_be_allowed(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[1].key)
    account, folder = signer.account, tmp_path / "other"
    share = Grant(account=PERSON, subject=SUBJECT, action=Action.SHARE)
    with deploy(node, accounts[0], tmp_path / "owner") as owner:
        address = owner.contract.address

        def open_again() -> EthereumLedger:
            return EthereumLedger(node.url, address, signer, folder=folder, settings=QUICK)

        with open_again() as ledger:
            # 1. Recorded while the node is away, refused later: not the owner.
            node.stop()
            event = role_event(account, Role.AUDITOR, RoleChange.ADD, actor=account)
            refused = ledger.append(event).index
            node.restart()
            reach(ledger, refused, State.REFUSED, "not-owner")
            # 2. Now it is a registrar; an erasure holds here only, a grant arrives.
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


def test_what_waits_for_leave_is_not_taken_for_refused(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[1].key)
    account, folder = signer.account, tmp_path / "other"
    with deploy(node, accounts[0], tmp_path / "owner") as owner:
        address = owner.contract.address
        owner.append(role_event(account, Role.REGISTRAR, RoleChange.ADD, actor="0" * 32))
        owner.wait("final", WAIT_SECONDS)

        def open_again() -> EthereumLedger:
            return EthereumLedger(node.url, address, signer, folder=folder, settings=QUICK)

        with open_again() as ledger:
            # A consent waits, as the gateway is no consent service; later changes pass it.
            node.stop()
            give = consent_event(SUBJECT, ConsentChange.GIVE, "sha256:" + "6b" * 32, actor=account)
            waiting = ledger.append(give).index
            node.restart()
            reach(ledger, waiting, State.QUEUED, "not-consent-service")
            first, revoked, again = (
                grant(ledger),
                ledger.revoke(PERSON, SUBJECT, actor=account).index,
                grant(ledger),
            )
            for index in (first, revoked, again):
                reach(ledger, index, State.FINAL)
            seen = [ledger.state_of(index) for index in (first, revoked, again)]
            last = grant(ledger, Action.SHARE)
        for file in folder.glob("outbox*"):
            file.unlink()
        with open_again() as ledger:
            reach(ledger, last, State.FINAL)
            assert [ledger.state_of(index) for index in (first, revoked, again)] == seen
            told = ledger.state_of(waiting)
            assert (told.state, told.detail) == (State.QUEUED, "not-consent-service")
            assert granted(ledger) == 3
            owner.append(role_event(account, Role.CONSENT_SERVICE, RoleChange.ADD, actor="0" * 32))
            owner.wait("final", WAIT_SECONDS)
            ledger.wait("final", WAIT_SECONDS)
            check_truth(ledger)
