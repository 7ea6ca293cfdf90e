"""The context of each entry: role, right and purpose, from what the log says before it."""

from collections.abc import Callable, Sequence

import pytest

from medseal.ledger import (
    Action,
    Event,
    EventKind,
    Grant,
    Role,
    RoleChange,
    break_glass_event,
    genesis_event,
    grant_event,
    network_event,
    revoke_event,
    role_event,
)
from medseal.ledger.history import Record, concerning, history, image_of, other_account
from medseal.ledger.rules import BREAK_GLASS_WINDOW_MS

OWNER, ANN, BOB, GATEWAY = "0" * 31 + "1", "a" * 32, "b" * 32, "c" * 40
IMAGE, OTHER, COPY = (f"sha256:{digit * 64}" for digit in "123")
AT = 1_700_000_000_000

Follow = Callable[..., list[Record]]


def use(kind: EventKind, actor: str, subject: str = IMAGE, **details: str) -> Event:
    return Event.new(kind, at_ms=AT, actor=actor, subject=subject, details=details)


def given(account: str, action: Action, **terms: str | int) -> Event:
    grant = Grant(account=account, subject=IMAGE, action=action, **terms)  # type: ignore[arg-type]
    return grant_event(grant, actor=OWNER, at_ms=AT)


def role(account: str, held: Role, change: RoleChange = RoleChange.ADD) -> Event:
    return role_event(account, held, change, actor=OWNER, at_ms=AT)


def last(*events: Event) -> Record:
    log = [genesis_event(OWNER, at_ms=AT), *events]
    return list(history(enumerate(log)))[-1]


def right(record: Record) -> tuple[str, str, int | None, str]:
    return record.outcome, record.reason, record.basis, record.purpose


def test_a_use_is_told_with_the_grant_that_allowed_it() -> None:
    view = given(ANN, Action.VIEW, purpose="study-7")
    opened = use(EventKind.OPEN, ANN, action="view")
    assert right(last(view, opened)) == ("allowed", "granted", 1, "study-7")
    again = given(ANN, Action.VIEW)
    assert right(last(view, again, opened)) == ("allowed", "granted", 2, "")
    assert right(last(view, use(EventKind.CLASSIFY, ANN))) == ("allowed", "", None, "")
    copy = use(EventKind.RELEASE, ANN, COPY, image=IMAGE, recipient=BOB)
    shared = last(given(ANN, Action.SHARE), copy)
    assert right(shared) == ("allowed", "granted", 1, "")
    assert (image_of(shared.event), other_account(shared.event)) == (IMAGE, BOB)


@pytest.mark.parametrize(
    "ends",
    [
        [revoke_event(ANN, IMAGE, Action.VIEW, actor=OWNER, at_ms=AT)],
        [revoke_event(ANN, IMAGE, actor=OWNER, at_ms=AT)],
        [given(ANN, Action.VIEW, expires_ms=AT)],
    ],
    ids=["revoked", "all-revoked", "expired"],
)
def test_a_right_that_ended_is_no_basis(ends: Sequence[Event]) -> None:
    found = last(given(ANN, Action.VIEW), *ends, use(EventKind.OPEN, ANN))
    assert right(found) == ("allowed", "", None, "")


def test_owner_window_and_network_as_reasons() -> None:
    assert right(last(use(EventKind.OPEN, OWNER))) == ("allowed", "owner", None, "")
    broken = break_glass_event(IMAGE, f"sha256:{'e' * 64}", actor=ANN, at_ms=AT)
    assert right(last(broken)) == ("recorded", "", None, "")
    assert right(last(broken, use(EventKind.OPEN, ANN))) == ("allowed", "break-glass", 1, "")
    late = Event.new(EventKind.OPEN, at_ms=AT + BREAK_GLASS_WINDOW_MS, actor=ANN, subject=IMAGE)
    assert right(last(broken, late)) == ("allowed", "", None, "")
    shared = use(EventKind.RELEASE, ANN, COPY, image=IMAGE, recipient=BOB)
    assert right(last(broken, shared)) == ("allowed", "", None, "")
    closed = revoke_event(ANN, IMAGE, actor=OWNER, at_ms=AT)
    assert right(last(broken, closed, use(EventKind.OPEN, ANN))) == ("allowed", "", None, "")
    joined = network_event(5, f"0x{'d' * 40}", GATEWAY, actor=OWNER, at_ms=AT)
    assert right(last(joined, use(EventKind.OPEN, ANN))) == ("allowed", "network", None, "")
    assert right(last(joined, use(EventKind.OPEN, GATEWAY))) == ("allowed", "owner", None, "")


def test_roles_are_those_of_the_time() -> None:
    events = [
        use(EventKind.OPEN, ANN),
        role(ANN, Role.RADIOLOGIST),
        role(ANN, Role.EMERGENCY),
        use(EventKind.OPEN, ANN),
        role(ANN, Role.RADIOLOGIST, RoleChange.REMOVE),
        role_event(BOB, Role.OWNER, RoleChange.OFFER, actor=OWNER, at_ms=AT),
        use(EventKind.OPEN, ANN),
        role_event(BOB, Role.OWNER, RoleChange.ACCEPT, actor=BOB, at_ms=AT),
        use(EventKind.OPEN, BOB),
        use(EventKind.OPEN, OWNER),
    ]
    log = [genesis_event(OWNER, at_ms=AT), *events]
    found = [
        record.roles for record in history(enumerate(log)) if record.event.kind is EventKind.OPEN
    ]
    assert found == [
        (),
        (Role.RADIOLOGIST, Role.EMERGENCY),
        (Role.EMERGENCY,),
        (Role.OWNER,),
        (),
    ]


def test_a_refusal_keeps_its_reason() -> None:
    refused = use(EventKind.REFUSE, ANN, action="view", reason="expired")
    assert right(last(refused)) == ("refused", "expired", None, "")


def test_only_what_concerns_the_image_or_the_account_is_told() -> None:
    log = [
        genesis_event(OWNER, at_ms=AT),
        use(EventKind.SEAL, OWNER),
        use(EventKind.SEAL, OWNER, OTHER),
        role(ANN, Role.RADIOLOGIST),
        given(ANN, Action.VIEW),
        use(EventKind.RELEASE, OWNER, COPY, image=IMAGE, recipient=BOB),
        use(EventKind.OPEN, ANN, release=COPY),
    ]

    def indices(**of: frozenset[str]) -> list[int]:
        return [record.index for record in history(enumerate(log), **of)]

    assert indices() == list(range(7))
    assert indices(subjects=frozenset({IMAGE})) == [1, 4, 5, 6]
    assert indices(subjects=frozenset({COPY})) == [5, 6]
    assert indices(accounts=frozenset({ANN})) == [3, 4, 6]
    assert indices(accounts=frozenset({BOB})) == [5]
    assert indices(subjects=frozenset({OTHER}), accounts=frozenset({BOB})) == [2, 5]
    assert indices(subjects=frozenset()) == []


def test_what_is_left_out_changes_nothing_that_is_told() -> None:
    log = [
        genesis_event(OWNER, at_ms=AT),
        *(use(EventKind.SEAL, OWNER, f"sha256:{number:064x}") for number in range(20)),
        role(ANN, Role.RADIOLOGIST),
        given(ANN, Action.VIEW, purpose="study-7"),
        use(EventKind.OPEN, BOB, OTHER),
        use(EventKind.OPEN, ANN),
        break_glass_event(IMAGE, f"sha256:{'e' * 64}", actor=BOB, at_ms=AT),
        use(EventKind.OPEN, BOB),
        revoke_event(ANN, IMAGE, actor=OWNER, at_ms=AT),
        use(EventKind.RELEASE, ANN, COPY, image=IMAGE, recipient=BOB),
    ]
    for of in ({"subjects": frozenset({IMAGE})}, {"accounts": frozenset({BOB})}):
        [words] = of.values()
        wanted = concerning(words)
        few = [(index, event) for index, event in enumerate(log) if wanted(event.leaf())]
        assert len(few) < len(log) - 15
        assert list(history(few, **of)) == list(history(enumerate(log), **of))


def test_what_a_contract_did_not_accept_gives_no_right() -> None:
    log = [
        genesis_event(OWNER, at_ms=AT),
        role(ANN, Role.RADIOLOGIST),
        given(ANN, Action.VIEW),
        use(EventKind.OPEN, ANN),
    ]
    records = list(history(enumerate(log), refused={1: "not-owner", 2: "not-registrar", 3: "x"}))
    assert [(record.outcome, record.reason) for record in records[1:]] == [
        ("refused", "not-owner"),
        ("refused", "not-registrar"),
        # No change of rights: its anchor was refused, not the use.
        ("allowed", ""),
    ]
    assert records[3].roles == ()
