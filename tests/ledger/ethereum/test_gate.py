"""What the contract does not take at present: it waits, says why, and arrives when it can."""

from pathlib import Path

import pytest

from medseal.errors import UnreachableError
from medseal.ledger import (
    Action,
    ConsentChange,
    EthereumLedger,
    KeySigner,
    PauseChange,
    Role,
    RoleChange,
    State,
    SyncState,
    break_glass_event,
    consent_event,
    erase_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.events import now_ms
from medseal.ledger.item import Stage
from tests.ledger.ethereum.gateways import (
    PERSON,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    act,
    check_receipts,
    check_truth,
    deploy,
    grant,
    granted,
    quick,
    reach,
    seals,
    until,
)
from tests.ledger.ethereum.nodes import NodeAccount, NodeProcess

DIGEST = "sha256:" + "c3" * 32
HOUR_MS = 3_600_000


def give(ledger: EthereumLedger, account: str, role: Role = Role.REGISTRAR) -> None:
    """Let the owner give a role, and wait for it."""
    ledger.append(role_event(account, role, RoleChange.ADD, actor=ledger.signer.account))
    ledger.wait("final", WAIT_SECONDS)


def other_gateway(
    ledger: EthereumLedger, account: NodeAccount, folder: Path, **relay: object
) -> EthereumLedger:
    """Return the ledger of a gateway without any role in the same contract."""
    signer, address = KeySigner.from_key(account.key), ledger.contract.address
    return EthereumLedger(ledger.node.url, address, signer, folder=folder, settings=quick(**relay))


def numbers_used(ledger: EthereumLedger) -> int:
    return ledger.node.nonce(ledger.signer.address, "latest")


def test_what_was_recorded_in_an_outage_waits_for_the_role_of_the_gateway(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other") as other:
        node.stop()
        index = grant(other)
        receipts = other.append_many(seals(2))
        node.restart()
        for _ in range(3):
            other.sync(flush=True)
        waiting = other.state_of(index)
        assert (waiting.state, waiting.detail) == (State.QUEUED, "not-registrar")
        assert other.state_of(receipts[0].index).detail == "not-registrar"
        assert other.state() == SyncState(queued=5, submitted=0, mined=0, final=0)
        assert other.waiting_reasons() == {"not-registrar": 2}
        # Nothing was sent in vain, nor may it be used before it stands there.
        assert numbers_used(other) == 0
        assert not other.may(PERSON, SUBJECT, Action.VIEW).allowed
        give(ledger, other.signer.account)
        other.wait("final", WAIT_SECONDS)
        assert other.state() == SyncState(queued=0, submitted=0, mined=0, final=5)
        assert other.waiting_reasons() == {}
        assert granted(other) == 1
        check_receipts(other, receipts)
        check_truth(other)


def test_a_wait_that_ends_says_what_for(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other") as other:
        node.stop()
        grant(other)
        node.restart()
        with pytest.raises(UnreachableError, match=r"3 entries are queued.*\(not-registrar: 2\)"):
            other.wait("final", 0.3)


# Some numbers are used up in vain, and signed anew behind all others, which have not been sent yet;
# or all are.
@pytest.mark.parametrize("is_all", [False, True])
def test_an_empty_chain_whose_gateway_gets_its_role_later(
    node: NodeProcess, accounts: Accounts, tmp_path: Path, is_all: bool
) -> None:
    signer = KeySigner.from_key(accounts[0].key)
    owner = KeySigner.from_key(accounts[1].key)
    with deploy(node, accounts[1], tmp_path / "owner") as of_owner:
        give(of_owner, signer.account)
        address = of_owner.contract.address
    with EthereumLedger(
        node.url, address, signer, folder=tmp_path / "gateway", settings=quick(max_in_flight=4)
    ) as ledger:
        people = [f"{number:032x}" for number in range(1, 9)]
        for person in people:
            grant(ledger, account=person)
        ledger.revoke(people[0], SUBJECT, actor=signer.account)
        ledger.append_many(seals(3))
        ledger.wait("final", WAIT_SECONDS)
        numbers = len(ledger._outbox.items(Stage.FINAL))
        node.restart(empty=True)
        contract = Contract.deploy(ledger.node, owner)
        assert contract.address == address
        # The old numbers are used up in vain; then everything waits.
        ledger.sync()
        if is_all:
            until(lambda: ledger.sync().queued == ledger.size and numbers_used(ledger) == numbers)
            until(lambda: ledger.sync() and set(ledger.waiting_reasons()) == {"not-registrar"})
        else:
            until(lambda: numbers_used(ledger) == 4)
        used = numbers_used(ledger)
        ledger.sync()
        if is_all:
            assert numbers_used(ledger) == used
        event = role_event(signer.account, Role.REGISTRAR, RoleChange.ADD, actor=owner.account)
        act(node, accounts[1], ledger, event)
        ledger.wait("final", WAIT_SECONDS)
        # At most the first grant: its number was lost, and that of its revocation was not.
        refused = ledger._outbox.items(Stage.REFUSED)
        assert {item.detail for item in refused} <= {"overtaken"}
        assert ledger.state().final == ledger.size - len(refused)
        assert {one.account for one in ledger.grants()} == set(people[1:])
        check_truth(ledger)


def test_a_change_that_lost_a_race_with_its_role_is_sent_again(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other") as other:
        account = other.signer.account
        give(ledger, account)
        index = grant(other)
        other._mirror.scan()
        other._relay._stage()
        # Signed while it had its role, carried out when it has none any more.
        remove = role_event(account, Role.REGISTRAR, RoleChange.REMOVE, actor=account)
        act(node, accounts[0], ledger, remove)
        reach(other, index, State.QUEUED, "not-registrar")
        until(lambda: other.sync() and not other._outbox.unanswered())
        assert numbers_used(other) == 1
        give(ledger, account)
        other.wait("final", WAIT_SECONDS)
        assert granted(other) == 1
        check_truth(other)


def test_a_change_that_would_be_carried_out_a_moment_later_is_sent_again(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other") as other:
        account = other.signer.account
        give(ledger, account)
        index = grant(other)
        other._mirror.scan()
        staged = other._relay._stage()
        for change in (RoleChange.REMOVE, RoleChange.ADD):
            act(
                node, accounts[0], ledger, role_event(account, Role.REGISTRAR, change, actor=PERSON)
            )
            for _, signed in staged if change is RoleChange.REMOVE else ():
                other.node.send(signed.raw)
        # Nobody can tell now why it was refused then.
        other._relay._tracker.poll()
        told = other.state_of(index)
        assert (told.state, told.detail) == (State.QUEUED, "reverted")
        other.wait("final", WAIT_SECONDS)
        assert granted(other) == 1
        assert other.state().refused == 0


def test_a_change_that_is_never_carried_out_is_refused_in_the_end(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other") as other:
        account = other.signer.account
        give(ledger, account)
        index = grant(other)
        other._mirror.scan()
        remove, add = (
            role_event(account, Role.REGISTRAR, change, actor=PERSON)
            for change in (RoleChange.REMOVE, RoleChange.ADD)
        )
        for _ in range(20):
            staged = other._relay._stage()
            act(node, accounts[0], ledger, remove)
            for _, signed in staged:
                other.node.send(signed.raw)
            other._outbox.note_sent([item for item, _ in staged])
            act(node, accounts[0], ledger, add)
            other._relay._tracker.poll()
            if other.state_of(index).state is State.REFUSED:
                break
        told = other.state_of(index)
        assert (told.state, told.detail) == (State.REFUSED, "reverted")
        assert numbers_used(other) == 8
        check_truth(other)


def test_anchors_wait_while_the_contract_is_paused(ledger: EthereumLedger) -> None:
    actor = ledger.signer.account
    ledger.append(pause_event(PauseChange.PAUSE, actor=actor))
    ledger.sync(flush=True)
    index = ledger.append(seals(1)[0]).index
    ledger.sync(flush=True)
    ledger.sync(flush=True)
    waiting = ledger.state_of(index)
    assert (waiting.state, waiting.detail) == (State.QUEUED, "paused")
    ledger.append(pause_event(PauseChange.RESUME, actor=actor))
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(index).state is State.FINAL
    check_truth(ledger)


# --- Broken glass ---------------------------------------------------------------------------------


def test_broken_glass_waits_for_the_end_of_a_pause(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts
) -> None:
    give(ledger, PERSON, Role.RADIOLOGIST)
    node.stop()
    index = ledger.append(break_glass_event(SUBJECT, DIGEST, actor=PERSON)).index
    node.restart()
    actor = ledger.signer.account
    act(node, accounts[0], ledger, pause_event(PauseChange.PAUSE, actor=actor))
    reach(ledger, index, State.QUEUED, "paused")
    act(node, accounts[0], ledger, pause_event(PauseChange.RESUME, actor=actor))
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "break-glass"


def test_glass_that_was_broken_more_than_an_hour_ago_opens_nothing(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    give(ledger, PERSON, Role.RADIOLOGIST)
    node.stop()
    old = break_glass_event(SUBJECT, DIGEST, actor=PERSON, at_ms=now_ms() - HOUR_MS - 1)
    index = ledger.append(old).index
    node.restart()
    ledger.wait("final", WAIT_SECONDS)
    told = ledger.state_of(index)
    assert (told.state, told.detail) == (State.REFUSED, "expired")
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "no-grant"


def test_a_new_chain_does_not_open_what_was_open_once(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    give(ledger, PERSON, Role.RADIOLOGIST)
    almost = now_ms() - HOUR_MS + 2_000
    index = ledger.append(break_glass_event(SUBJECT, DIGEST, actor=PERSON, at_ms=almost)).index
    last = grant(ledger, account="0" * 31 + "9")
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(index).state is State.FINAL
    node.restart(empty=True)
    Contract.deploy(ledger.node, ledger.signer)
    while now_ms() <= almost + HOUR_MS:
        pass
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(index).detail == "expired"
    # Its number is taken by another item, so that what comes later does not wait for ever.
    assert ledger.state_of(last).state is State.FINAL
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "no-grant"
    check_truth(ledger)


def test_a_revocation_does_not_wait_for_broken_glass_that_waits(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    grant(ledger)
    ledger.wait("final", WAIT_SECONDS)
    node.stop()
    broken = ledger.append(break_glass_event(SUBJECT, DIGEST, actor=PERSON)).index
    actor = ledger.signer.account
    revoked = ledger.append(revoke_event(PERSON, SUBJECT, actor=actor)).index
    node.restart()
    reach(ledger, revoked, State.FINAL)
    # The revocation of all closes the window too: it overtook it when the clinician has a role.
    assert ledger.state_of(broken).detail == "not-clinical"
    give(ledger, PERSON, Role.RADIOLOGIST)
    reach(ledger, broken, State.REFUSED, "overtaken")
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "no-grant"


# --- One gate does not close another --------------------------------------------------------------


def test_much_that_waits_does_not_keep_the_rest_from_the_contract(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other", max_in_flight=2) as other:
        account = other.signer.account
        give(ledger, account)
        node.stop()
        consents = [
            consent_event(f"sha256:{number:064x}", ConsentChange.GIVE, DIGEST, actor=account)
            for number in range(20)
        ]
        first = other.append_many(consents)[0].index
        granted_at = [grant(other, account=f"{number:032x}") for number in range(1, 6)]
        node.restart()
        for index in granted_at:
            reach(other, index, State.FINAL)
        assert other.state_of(first).detail == "not-consent-service"
        assert other.waiting_reasons() == {"not-consent-service": 20}
        give(ledger, account, Role.CONSENT_SERVICE)
        other.wait("final", WAIT_SECONDS)
        check_truth(other)


def test_what_is_refused_for_good_does_not_wait(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with other_gateway(ledger, accounts[3], tmp_path / "other") as other:
        account = other.signer.account
        give(ledger, account, Role.CONSENT_SERVICE)
        ledger.append(erase_event(SUBJECT, actor=ledger.signer.account))
        ledger.wait("final", WAIT_SECONDS)
        node.stop()
        consent = other.append(
            consent_event(SUBJECT, ConsentChange.GIVE, DIGEST, actor=account)
        ).index
        # Who is not the owner does not become it by waiting, and must not change roles then.
        role = other.append(
            role_event(PERSON, Role.RADIOLOGIST, RoleChange.ADD, actor=account)
        ).index
        node.restart()
        reach(other, consent, State.REFUSED, "erased")
        reach(other, role, State.REFUSED, "not-owner")
        assert [item.place for item in other._outbox.items(Stage.REFUSED)] == [consent, role]


def test_a_pause_does_not_wait_for_the_end_of_another(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts
) -> None:
    node.stop()
    pause = pause_event(PauseChange.PAUSE, actor=ledger.signer.account)
    index = ledger.append(pause).index
    node.restart()
    act(node, accounts[0], ledger, pause)
    reach(ledger, index, State.REFUSED, "paused")
