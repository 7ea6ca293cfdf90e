"""Which entries travel, in which order, and which of them stand in each other's way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medseal.errors import ConsistencyError
from medseal.ledger import (
    Action,
    ConsentChange,
    EmbeddedLedger,
    Event,
    EventKind,
    Grant,
    PauseChange,
    Role,
    RoleChange,
    SigningKey,
    break_glass_event,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    network_event,
    now_ms,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.codec import anchor_call, calls_of
from medseal.ledger.ethereum.mirror import GATE_SCOPES, Mirror, changes_who_may_record, scope_of
from medseal.ledger.item import ItemKind, Stage
from medseal.ledger.outbox import Outbox

OWNER = "ab" * 20
PERSON, OTHER = "0" * 31 + "7", "0" * 31 + "8"
SUBJECT, SECOND = "sha256:" + "5a" * 32, "sha256:" + "6b" * 32
REASON = "sha256:" + "77" * 32


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLedger]:
    key = SigningKey.generate("medseal.example/test")
    with EmbeddedLedger(tmp_path / "l.sqlite", signing_key=key, create=True) as opened:
        opened.append(genesis_event(OWNER))
        opened.append(network_event(1, "0x" + "5a" * 20, OWNER, actor=OWNER))
        yield opened


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "o.sqlite", {}) as opened:
        opened.begin(2, {})
        yield opened


def mirror(log: EmbeddedLedger, outbox: Outbox, seconds: float = 3600.0) -> Mirror:
    return Mirror(log, outbox, batch_leaves=4, batch_seconds=seconds)


def given(account: str = PERSON, subject: str = SUBJECT) -> Event:
    return grant_event(Grant(account=account, subject=subject, action=Action.VIEW), actor=OWNER)


def test_scopes_join_what_undoes_each_other() -> None:
    right = scope_of(given())
    assert right == scope_of(revoke_event(PERSON, SUBJECT, actor=OWNER))
    assert right == scope_of(break_glass_event(SUBJECT, REASON, actor=PERSON))
    others = (
        given(OTHER),
        given(PERSON, SECOND),
        erase_event(SUBJECT, actor=OWNER),
        pause_event(PauseChange.PAUSE, actor=OWNER),
        consent_event(SUBJECT, ConsentChange.GIVE, REASON, actor=OWNER),
        role_event(PERSON, Role.AUDITOR, RoleChange.ADD, actor=OWNER),
        role_event(PERSON, Role.EMERGENCY, RoleChange.ADD, actor=OWNER),
        role_event(PERSON, Role.OWNER, RoleChange.OFFER, actor=OWNER),
    )
    assert len({right, *map(scope_of, others)}) == 1 + len(others)
    # The ownership is offered to one, accepted by another: it is one and the same thing.
    accept = role_event(OTHER, Role.OWNER, RoleChange.ACCEPT, actor=OTHER)
    assert scope_of(accept) == scope_of(others[-1])


def test_gates_are_the_changes_of_who_may_record() -> None:
    for event, is_gate in (
        (role_event(PERSON, Role.AUDITOR, RoleChange.REMOVE, actor=OWNER), True),
        (pause_event(PauseChange.RESUME, actor=OWNER), True),
        (erase_event(SUBJECT, actor=OWNER), True),
        (given(), False),
        (consent_event(SUBJECT, ConsentChange.GIVE, REASON, actor=OWNER), False),
    ):
        assert changes_who_may_record(event) is is_gate
        assert scope_of(event).startswith(GATE_SCOPES) is is_gate


def test_changes_of_rights_become_items_and_nothing_else(
    log: EmbeddedLedger, outbox: Outbox
) -> None:
    events = [Event.new(EventKind.SEAL), given(), Event.new(EventKind.OPEN), given(OTHER)]
    log.append_many(events)
    reader = mirror(log, outbox)
    reader.scan()
    reader.scan()
    items = outbox.items(Stage.QUEUED)
    assert [(item.place, item.kind) for item in items] == [
        (3, ItemKind.CALL),
        (5, ItemKind.CALL),
    ]
    assert [item.data for item in items] == [calls_of(event)[0] for event in (events[1], events[3])]
    assert outbox.cursor() == log.size == 6


def test_a_batch_is_closed_when_it_is_full_old_or_wanted(
    log: EmbeddedLedger, outbox: Outbox
) -> None:
    patient, hasty = mirror(log, outbox), mirror(log, outbox, 0.0)
    patient.close_batch()
    assert outbox.last_anchor() == 0
    hasty.close_batch()
    assert outbox.last_anchor() == 2
    (item,) = outbox.items(Stage.QUEUED)
    assert item.data == anchor_call(log.checkpoint(2).root, 2)
    patient.close_batch(flush=True)
    assert len(outbox.items(Stage.QUEUED)) == 1
    log.append_many([Event.new(EventKind.SEAL, at_ms=now_ms()) for _ in range(3)])
    patient.close_batch()
    assert outbox.last_anchor() == 2
    log.append(Event.new(EventKind.SEAL))
    patient.close_batch()
    assert outbox.last_anchor() == 6
    log.append(Event.new(EventKind.SEAL))
    patient.close_batch(flush=True)
    assert outbox.last_anchor() == 7


def test_a_log_that_lost_entries_is_noticed(log: EmbeddedLedger, outbox: Outbox) -> None:
    outbox.extend((), 9)
    with pytest.raises(ConsistencyError, match="it had 9 entries and now has 2"):
        mirror(log, outbox).scan()
