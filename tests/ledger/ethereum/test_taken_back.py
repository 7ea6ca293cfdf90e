"""What a gateway takes back holds there at once; what the contract is asked before recording."""

from collections.abc import Callable
from pathlib import Path

import pytest

from medseal.errors import (
    AccessRefusedError,
)
from medseal.ledger import (
    Action,
    ConsentChange,
    EthereumLedger,
    Event,
    Grant,
    KeySigner,
    PauseChange,
    Role,
    RoleChange,
    State,
    SyncState,
    break_glass_event,
    consent_event,
    erase_event,
    now_ms,
    pause_event,
    revoke_event,
    role_event,
)
from tests.ledger.ethereum.gateways import (
    PERSON,
    QUICK,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    reach,
)
from tests.ledger.ethereum.nodes import NodeProcess

REASON = "sha256:" + "77" * 32
DOCTOR = "0" * 31 + "9"
OTHER_SUBJECT = "sha256:" + "6b" * 32


def test_of_several_changes_those_after_a_change_of_roles_are_not_asked_for(
    ledger: EthereumLedger,
) -> None:
    actor = ledger.signer.account
    ledger.append_many(
        [
            role_event(PERSON, Role.EMERGENCY, RoleChange.ADD, actor=actor),
            break_glass_event(SUBJECT, REASON, actor=PERSON),
        ]
    )
    # Nor are those that come before the change of roles has arrived.
    ledger.append(break_glass_event(OTHER_SUBJECT, REASON, actor=PERSON))
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state().refused == 0
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "break-glass"
    with pytest.raises(AccessRefusedError, match="radiologist"):
        ledger.append(break_glass_event(SUBJECT, REASON, actor="0" * 31 + "8"))


def test_a_repetition_is_not_asked_for_again(ledger: EthereumLedger) -> None:
    event = pause_event(PauseChange.PAUSE, actor=ledger.signer.account)
    receipt = ledger.append(event)
    reach(ledger, receipt.index, State.FINAL)
    assert ledger.append(event).index == receipt.index
    with pytest.raises(AccessRefusedError, match="paused"):
        ledger.append(pause_event(PauseChange.PAUSE, actor=ledger.signer.account))


def test_an_erasure_by_a_gateway_that_does_not_own_the_contract_holds_here_only(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[1].key)
    add = role_event(signer.account, Role.REGISTRAR, RoleChange.ADD, actor=ledger.signer.account)
    ledger.append(add)
    ledger.wait("final", WAIT_SECONDS)
    with EthereumLedger(
        node.url, ledger.contract.address, signer, folder=tmp_path / "other", settings=QUICK
    ) as other:
        other.grant(
            Grant(account=PERSON, subject=SUBJECT, action=Action.VIEW), actor=signer.account
        )
        index = other.append(erase_event(SUBJECT, actor=signer.account)).index
        other.wait("final", WAIT_SECONDS)
        told = other.state_of(index)
        assert (told.state, told.detail) == (State.FINAL, "not-owner")
        assert other.may(PERSON, SUBJECT, Action.VIEW).reason == "erased"
        # For the contract, and so for other gateways, the grant stands.
        assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "granted"
        assert other.state() == SyncState(queued=0, submitted=0, mined=0, final=other.size)


def test_an_erasure_by_the_owner_ends_all_rights_once(ledger: EthereumLedger) -> None:
    first = ledger.append(erase_event(SUBJECT, actor=ledger.signer.account))
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(first.index).detail == ""
    account = ledger.signer.account
    assert ledger.contract.decide(account, SUBJECT, Action.VIEW, at_ms=1).reason == "erased"


@pytest.fixture
def held_up(ledger: EthereumLedger) -> Callable[[Event], str]:
    """A ledger where much is allowed; what is recorded then does not reach the contract."""
    actor = ledger.signer.account
    for action in Action:
        ledger.grant(
            Grant(
                account=PERSON,
                subject=SUBJECT,
                action=action,
                purpose="study",
                expires_ms=now_ms() + 3_600_000,
            ),
            actor=actor,
        )
    ledger.append(role_event(PERSON, Role.RESEARCHER, RoleChange.ADD, actor=actor))
    ledger.append(role_event(DOCTOR, Role.RADIOLOGIST, RoleChange.ADD, actor=actor))
    ledger.append(role_event(actor, Role.CONSENT_SERVICE, RoleChange.ADD, actor=actor))
    ledger.wait("final", WAIT_SECONDS)
    ledger.append(break_glass_event(SUBJECT, REASON, actor=DOCTOR))
    ledger.wait("final", WAIT_SECONDS)

    def record(event: Event) -> str:
        """Record an event and return what the researcher and the doctor hear then."""
        assert ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="study").reason == "granted"
        assert ledger.may(DOCTOR, SUBJECT, Action.VIEW).reason == "break-glass"
        ledger.append(event)
        heard = [
            ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="study").reason,
            ledger.may(PERSON, SUBJECT, Action.SHARE, purpose="study").reason,
            ledger.may(DOCTOR, SUBJECT, Action.VIEW).reason,
        ]
        assert ledger.may(actor, SUBJECT, Action.VIEW).reason == "owner"
        return " ".join(heard)

    return record


def test_what_is_taken_back_here_holds_before_the_contract_knows(
    held_up: Callable[[Event], str], ledger: EthereumLedger
) -> None:
    actor = ledger.signer.account
    one = revoke_event(PERSON, SUBJECT, Action.VIEW, actor=actor)
    assert held_up(one) == "revoked granted break-glass"
    ledger.grant(Grant(account=PERSON, subject=SUBJECT, action=Action.VIEW), actor=actor)
    # What would allow more counts when it has arrived.
    assert ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="study").reason == "revoked"


def test_a_revocation_of_all_closes_a_window_at_once(
    held_up: Callable[[Event], str], ledger: EthereumLedger
) -> None:
    actor = ledger.signer.account
    assert held_up(revoke_event(DOCTOR, SUBJECT, actor=actor)) == "granted granted revoked"
    other = revoke_event(PERSON, OTHER_SUBJECT, actor=actor)
    ledger.append(other)
    assert ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="study").reason == "granted"


def test_a_doctor_who_is_none_any_more_has_no_window(
    held_up: Callable[[Event], str], ledger: EthereumLedger
) -> None:
    actor = ledger.signer.account
    remove = role_event(DOCTOR, Role.RADIOLOGIST, RoleChange.REMOVE, actor=actor)
    assert held_up(remove) == "granted granted revoked"


def test_a_withdrawal_ends_research_at_once_and_no_care(
    held_up: Callable[[Event], str], ledger: EthereumLedger
) -> None:
    withdraw = consent_event(SUBJECT, ConsentChange.WITHDRAW, REASON, actor=ledger.signer.account)
    assert held_up(withdraw) == "withdrawn withdrawn break-glass"


def test_a_pause_holds_at_once(held_up: Callable[[Event], str], ledger: EthereumLedger) -> None:
    pause = pause_event(PauseChange.PAUSE, actor=ledger.signer.account)
    assert held_up(pause) == "paused paused paused"
