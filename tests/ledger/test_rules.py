import pytest

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import Action, Role
from medseal.ledger.rights import (
    ConsentChange,
    PauseChange,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    network_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.rules import BREAK_GLASS_WINDOW_MS, OWNER_TRANSFER_DELAY_MS, AccessState
from tests.ledger.cast import (
    CONSENT_SERVICE,
    CONTRACT,
    DOCTOR,
    GATEWAY,
    HOUR,
    IMAGE,
    OTHER_IMAGE,
    OWNER,
    REASON,
    REGISTRAR,
    RESEARCHER,
    SIGNED,
    STRANGER,
    T,
    reason,
    view,
)


def test_revocation_and_granting_again(state: AccessState) -> None:
    for action in Action:
        state.apply(grant_event(view(DOCTOR, action=action), actor=OWNER, at_ms=T))
    state.apply(revoke_event(DOCTOR, IMAGE, Action.VIEW, actor=REGISTRAR, at_ms=T))
    assert reason(state, DOCTOR) == "revoked"
    assert reason(state, DOCTOR, Action.SHARE) == "granted"
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR) == "granted"
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T))
    state.apply(revoke_event(DOCTOR, IMAGE, actor=OWNER, at_ms=T))
    for action in Action:
        assert reason(state, DOCTOR, action) == "revoked"


def test_only_a_consent_service_relays_a_consent(state: AccessState) -> None:
    before = dict(state.entries)
    for actor in (OWNER, DOCTOR, REGISTRAR, STRANGER, ""):
        event = consent_event(IMAGE, ConsentChange.WITHDRAW, SIGNED, actor=actor, at_ms=T)
        with pytest.raises(AccessRefusedError, match="only a consent service") as caught:
            state.apply(event)
        assert caught.value.reason == "not-consent-service"
    assert state.entries == before


def test_a_pause_stops_everybody_but_the_owner(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T))
    with pytest.raises(AccessRefusedError, match="is not paused") as caught:
        state.apply(pause_event(PauseChange.RESUME, actor=OWNER, at_ms=T))
    assert caught.value.reason == "not-paused"
    state.apply(pause_event(PauseChange.PAUSE, actor=OWNER, at_ms=T))
    with pytest.raises(AccessRefusedError, match="paused already") as caught:
        state.apply(pause_event(PauseChange.PAUSE, actor=OWNER, at_ms=T))
    assert caught.value.reason == "paused"
    assert reason(state, OWNER) == "owner"
    for account in (DOCTOR, STRANGER):
        for action in Action:
            assert reason(state, account, action) == "paused"
    # The pause comes first, whoever asks for the glass to be broken.
    for account in (DOCTOR, STRANGER):
        with pytest.raises(AccessRefusedError, match="is paused") as caught:
            state.apply(break_glass_event(IMAGE, REASON, actor=account, at_ms=T))
        assert caught.value.reason == "paused"
    # What was granted before or meanwhile stands when the pause is over.
    given = view(DOCTOR, action=Action.SHARE)
    state.apply(grant_event(given, actor=REGISTRAR, at_ms=T))
    state.apply(pause_event(PauseChange.RESUME, actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR) == reason(state, DOCTOR, Action.SHARE) == "granted"
    assert reason(state, DOCTOR, Action.CLASSIFY) == "break-glass"


def test_where_a_contract_judges_the_log_is_a_diary(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(role_event(DOCTOR, Role.OWNER, RoleChange.OFFER, actor=OWNER, at_ms=T))
    state.apply(network_event(1337, CONTRACT, GATEWAY, actor=OWNER, at_ms=T))
    before = dict(state.entries)
    assert (before["network"], before["owner"]) == (f"1337/{CONTRACT}", GATEWAY)
    assert "owner-offer" not in before
    for account in (OWNER, GATEWAY, DOCTOR, STRANGER):
        assert reason(state, account) == "network"
    for event in (
        role_event(STRANGER, Role.AUDITOR, RoleChange.ADD, actor=STRANGER, at_ms=T),
        role_event(DOCTOR, Role.OWNER, RoleChange.ACCEPT, actor=DOCTOR, at_ms=2 * T),
        grant_event(view(STRANGER), actor=STRANGER, at_ms=T),
        revoke_event(DOCTOR, IMAGE, actor=STRANGER, at_ms=T),
        break_glass_event(IMAGE, REASON, actor=STRANGER, at_ms=T),
        consent_event(IMAGE, ConsentChange.WITHDRAW, SIGNED, actor=STRANGER, at_ms=T),
        pause_event(PauseChange.RESUME, actor=STRANGER, at_ms=T),
    ):
        state.apply(event)
    assert state.entries == before
    # A diary is well-formed all the same.
    with pytest.raises(InputError, match="other details"):
        state.apply(Event.new(EventKind.GRANT, at_ms=T, actor=GATEWAY, subject=IMAGE))
    # What concerns the log itself is the business of its owner: the gateway.
    for actor in (OWNER, DOCTOR):
        with pytest.raises(AccessRefusedError, match="only the owner"):
            state.apply(erase_event(IMAGE, actor=actor, at_ms=T))
        with pytest.raises(AccessRefusedError, match="only the owner"):
            state.apply(network_event(1, CONTRACT, GATEWAY, actor=actor, at_ms=T))
    state.apply(erase_event(IMAGE, actor=GATEWAY, at_ms=T))
    assert reason(state, GATEWAY) == "erased"


def test_break_glass_opens_an_hour_for_clinicians_only(state: AccessState) -> None:
    for account in (STRANGER, RESEARCHER, REGISTRAR, OWNER):
        with pytest.raises(AccessRefusedError, match="radiologist or emergency") as caught:
            state.apply(break_glass_event(IMAGE, REASON, actor=account, at_ms=T))
        assert caught.value.reason == "not-clinical"
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T))
    assert reason(state, DOCTOR) == "break-glass"
    assert reason(state, DOCTOR, Action.CLASSIFY) == "break-glass"
    assert reason(state, DOCTOR, Action.SHARE) == "no-grant"
    assert reason(state, DOCTOR, at_ms=T + BREAK_GLASS_WINDOW_MS - 1) == "break-glass"
    assert reason(state, DOCTOR, at_ms=T + BREAK_GLASS_WINDOW_MS) == "no-grant"
    assert state.may(DOCTOR, OTHER_IMAGE, Action.VIEW, at_ms=T).reason == "no-grant"


def test_the_emergency_role_may_break_the_glass(state: AccessState) -> None:
    state.apply(role_event(STRANGER, Role.EMERGENCY, RoleChange.ADD, actor=OWNER, at_ms=T))
    state.apply(break_glass_event(IMAGE, REASON, actor=STRANGER, at_ms=T))
    assert reason(state, STRANGER) == "break-glass"
    state.apply(role_event(STRANGER, Role.EMERGENCY, RoleChange.REMOVE, actor=OWNER, at_ms=T))
    assert reason(state, STRANGER) == "no-grant"


def test_break_glass_shortens_nothing(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR, expires_ms=T + 9 * HOUR), actor=OWNER, at_ms=T))
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T))
    assert reason(state, DOCTOR, at_ms=T + 9 * HOUR - 1) == "granted"
    # A clock that was set back does not shorten the window either.
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T + 9 * HOUR))
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T))
    assert reason(state, DOCTOR, at_ms=T + 10 * HOUR - 1) == "break-glass"


def test_with_an_erased_image_nothing_may_be_done(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T))
    with pytest.raises(AccessRefusedError, match="only the owner"):
        state.apply(erase_event(IMAGE, actor=REGISTRAR, at_ms=T))
    state.apply(erase_event(IMAGE, actor=OWNER, at_ms=T))
    for account in (OWNER, DOCTOR):
        for action in Action:
            assert reason(state, account, action) == "erased"
    for event in (
        break_glass_event(IMAGE, REASON, actor=DOCTOR, at_ms=T),
        consent_event(IMAGE, ConsentChange.GIVE, SIGNED, actor=CONSENT_SERVICE, at_ms=T),
        erase_event(IMAGE, actor=OWNER, at_ms=T),
    ):
        with pytest.raises(AccessRefusedError, match="was erased") as caught:
            state.apply(event)
        assert caught.value.reason == "erased"
    # A grant and a revocation are recorded and allow nothing.
    for event in (
        grant_event(view(DOCTOR), actor=OWNER, at_ms=T),
        revoke_event(DOCTOR, IMAGE, Action.SHARE, actor=OWNER, at_ms=T),
    ):
        state.apply(event)
        for account in (OWNER, DOCTOR):
            for action in Action:
                assert reason(state, account, action) == "erased"


def test_ownership_passes_in_two_steps_and_a_day(state: AccessState) -> None:
    def change(step: RoleChange, actor: str, at_ms: int) -> None:
        state.apply(role_event(DOCTOR, Role.OWNER, step, actor=actor, at_ms=at_ms))

    with pytest.raises(AccessRefusedError, match="not offered"):
        change(RoleChange.ACCEPT, DOCTOR, T)
    change(RoleChange.OFFER, OWNER, T)
    change(RoleChange.CANCEL, OWNER, T)
    with pytest.raises(AccessRefusedError, match="not offered"):
        change(RoleChange.ACCEPT, DOCTOR, T + OWNER_TRANSFER_DELAY_MS)
    change(RoleChange.OFFER, OWNER, T)
    with pytest.raises(AccessRefusedError, match="not offered"):
        change(RoleChange.ACCEPT, STRANGER, T + OWNER_TRANSFER_DELAY_MS)
    with pytest.raises(AccessRefusedError, match="after a day"):
        change(RoleChange.ACCEPT, DOCTOR, T + OWNER_TRANSFER_DELAY_MS - 1)
    change(RoleChange.ACCEPT, DOCTOR, T + OWNER_TRANSFER_DELAY_MS)
    assert reason(state, DOCTOR) == "owner"
    assert reason(state, OWNER) == "no-grant"
    with pytest.raises(AccessRefusedError, match="not offered"):
        change(RoleChange.ACCEPT, DOCTOR, T + 2 * OWNER_TRANSFER_DELAY_MS)


@pytest.mark.parametrize("actor", ["", DOCTOR, RESEARCHER, STRANGER])
def test_who_may_not_change_rights(state: AccessState, actor: str) -> None:
    before = dict(state.entries)
    rotation = {"old_key": "a", "new_key": "b"}
    for event in (
        role_event(actor or STRANGER, Role.REGISTRAR, RoleChange.ADD, actor=actor, at_ms=T),
        role_event(actor or STRANGER, Role.OWNER, RoleChange.OFFER, actor=actor, at_ms=T),
        role_event(actor or STRANGER, Role.OWNER, RoleChange.CANCEL, actor=actor, at_ms=T),
        grant_event(view(STRANGER), actor=actor, at_ms=T),
        revoke_event(STRANGER, IMAGE, actor=actor, at_ms=T),
        erase_event(IMAGE, actor=actor, at_ms=T),
        pause_event(PauseChange.PAUSE, actor=actor, at_ms=T),
        network_event(1, CONTRACT, GATEWAY, actor=actor, at_ms=T),
        Event.new(EventKind.KEY_ROTATION, actor=actor, details=rotation, at_ms=T),
    ):
        with pytest.raises(AccessRefusedError, match="only the owner"):
            state.apply(event)
    assert state.entries == before


def test_a_second_owner_cannot_begin_again(state: AccessState) -> None:
    with pytest.raises(AccessRefusedError, match="has an owner already"):
        state.apply(genesis_event(STRANGER, at_ms=T))


@pytest.mark.parametrize(
    ("kind", "subject", "details", "message"),
    [
        (EventKind.ROLE, "", {"account": DOCTOR}, "other details"),
        (EventKind.ROLE, "", {"account": "x", "role": "owner", "change": "offer"}, "account"),
        (EventKind.ROLE, "", {"account": DOCTOR, "role": "king", "change": "add"}, "unknown role"),
        (EventKind.ROLE, "", {"account": DOCTOR, "role": 1, "change": "add"}, "unknown role"),
        (EventKind.ROLE, "", {"account": DOCTOR, "role": "owner", "change": "add"}, "offered"),
        (EventKind.ROLE, "", {"account": DOCTOR, "role": "auditor", "change": "offer"}, "offered"),
        (EventKind.ROLE, "", {"account": DOCTOR, "role": "auditor", "change": "x"}, "change"),
        (EventKind.GRANT, IMAGE, {"account": DOCTOR}, "other details"),
        (EventKind.GRANT, IMAGE, {"account": DOCTOR, "action": "own"}, "an action is"),
        (EventKind.GRANT, IMAGE, {"account": DOCTOR, "action": 1}, "an action is"),
        (EventKind.GRANT, IMAGE, {"account": "x", "action": "view"}, "account"),
        (EventKind.GRANT, "", {"account": DOCTOR, "action": "view"}, "names an image"),
        (
            EventKind.GRANT,
            IMAGE,
            {"account": DOCTOR, "action": "view", "purpose": "A/B"},
            "a purpose has",
        ),
        (
            EventKind.GRANT,
            IMAGE,
            {"account": DOCTOR, "action": "view", "expires_ms": "never"},
            "whole number",
        ),
        (EventKind.REVOKE, IMAGE, {"account": DOCTOR, "action": "own"}, "an action is"),
        (EventKind.REVOKE, "", {"account": DOCTOR, "action": "view"}, "names an image"),
        (EventKind.BREAK_GLASS, IMAGE, {}, "other details"),
        (EventKind.BREAK_GLASS, IMAGE, {"reason": "urgent"}, "salted digest"),
        (EventKind.ERASE, "", {}, "names an image"),
        (EventKind.CONSENT, IMAGE, {"change": "give"}, "other details"),
        (EventKind.CONSENT, IMAGE, {"change": "no", "consent": SIGNED}, "given or withdrawn"),
        (EventKind.CONSENT, IMAGE, {"change": "give", "consent": "yes"}, "commitment of what"),
        (EventKind.CONSENT, "", {"change": "give", "consent": SIGNED}, "names an image"),
        (EventKind.PAUSE, "", {}, "other details"),
        (EventKind.PAUSE, "", {"change": "stop"}, "begun or ended"),
        (EventKind.NETWORK, "", {"chain_id": 1, "contract": CONTRACT}, "other details"),
        (
            EventKind.NETWORK,
            "",
            {"chain_id": 0, "contract": CONTRACT, "account": GATEWAY},
            "chain id",
        ),
        (
            EventKind.NETWORK,
            "",
            {"chain_id": "1", "contract": CONTRACT, "account": GATEWAY},
            "chain id",
        ),
        (
            EventKind.NETWORK,
            "",
            {"chain_id": 1, "contract": CONTRACT[2:], "account": GATEWAY},
            "lower-case address",
        ),
        (
            EventKind.NETWORK,
            "",
            {"chain_id": 1, "contract": CONTRACT, "account": DOCTOR},
            "40 digits",
        ),
        (EventKind.KEY_ROTATION, "", {"old_key": "a"}, "other details"),
    ],
)
def test_incomplete_events_change_nothing(
    state: AccessState, kind: EventKind, subject: str, details: dict[str, str | int], message: str
) -> None:
    before = dict(state.entries)
    event = Event.new(kind, at_ms=T, actor=OWNER, subject=subject, details=details)
    with pytest.raises(InputError, match=message):
        state.apply(event)
    assert state.entries == before


def test_other_events_change_nothing(state: AccessState) -> None:
    before = dict(state.entries)
    for kind in (EventKind.SEAL, EventKind.OPEN, EventKind.REFUSE, EventKind.VERIFY):
        state.apply(Event.new(kind, at_ms=T, actor=STRANGER, subject=IMAGE))
    assert state.entries == before
    with pytest.raises(InputError, match="names the owner"):
        state.apply(Event.new(EventKind.GENESIS, at_ms=T))
