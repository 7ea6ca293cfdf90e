from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import MAX_RESEARCH_GRANT_MS, Action, Grant, Role
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

OWNER, DOCTOR, RESEARCHER, REGISTRAR, STRANGER = (f"{n:032x}" for n in range(1, 6))
CONSENT_SERVICE, GATEWAY, CONTRACT = "c0" * 20, "9a" * 20, "0x" + "7e" * 20
SIGNED = "sha256:" + "dd" * 32
IMAGE, OTHER_IMAGE = "sha256:" + "aa" * 32, "sha256:" + "bb" * 32
REASON = "sha256:" + "cc" * 32
T = 1_700_000_000_000
HOUR = 3_600_000


@pytest.fixture
def state() -> AccessState:
    made = AccessState()
    made.apply(genesis_event(OWNER, at_ms=T))
    for account, role in (
        (DOCTOR, Role.RADIOLOGIST),
        (RESEARCHER, Role.RESEARCHER),
        (REGISTRAR, Role.REGISTRAR),
        (CONSENT_SERVICE, Role.CONSENT_SERVICE),
    ):
        made.apply(role_event(account, role, RoleChange.ADD, actor=OWNER, at_ms=T))
    return made


def view(account: str, **changes: Any) -> Grant:
    return Grant(**({"account": account, "subject": IMAGE, "action": Action.VIEW} | changes))


def reason(state: AccessState, account: str, action: Action = Action.VIEW, **words: Any) -> str:
    decision = state.may(account, IMAGE, action, **({"at_ms": T + 1} | words))
    assert decision.allowed == bool(decision)
    assert decision.allowed == (decision.reason in ("owner", "granted", "break-glass"))
    return decision.reason


def test_the_owner_may_everything_and_nobody_else_anything(state: AccessState) -> None:
    for action in Action:
        assert reason(state, OWNER, action) == "owner"
        for account in (DOCTOR, RESEARCHER, REGISTRAR, STRANGER):
            assert reason(state, account, action) == "no-grant"


def test_a_refusal_raises_with_its_reason(state: AccessState) -> None:
    state.may(OWNER, IMAGE, Action.VIEW, at_ms=T).require()
    with pytest.raises(AccessRefusedError, match="no-grant") as caught:
        state.may(DOCTOR, IMAGE, Action.VIEW, at_ms=T).require()
    assert caught.value.reason == "no-grant"


def test_a_grant_covers_one_account_image_and_action(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=REGISTRAR, at_ms=T))
    assert reason(state, DOCTOR) == "granted"
    assert reason(state, DOCTOR, purpose="teaching") == "granted"
    assert reason(state, DOCTOR, Action.SHARE) == "no-grant"
    assert reason(state, STRANGER) == "no-grant"
    assert state.may(DOCTOR, OTHER_IMAGE, Action.VIEW, at_ms=T).reason == "no-grant"


def test_a_grant_ends_at_the_exact_millisecond(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR, expires_ms=T + HOUR), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR, at_ms=T + HOUR - 1) == "granted"
    assert reason(state, DOCTOR, at_ms=T + HOUR) == "expired"


def test_a_grant_that_has_ended_already_allows_nothing(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(grant_event(view(DOCTOR, expires_ms=T), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR, at_ms=T) == "expired"


def test_a_new_grant_replaces_the_old_one(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(grant_event(view(DOCTOR, purpose="care", expires_ms=T + 9), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR) == "purpose"
    assert reason(state, DOCTOR, purpose="care") == "granted"
    assert reason(state, DOCTOR, purpose="care", at_ms=T + 9) == "expired"


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


def test_a_researcher_needs_purpose_and_bounded_expiry(state: AccessState) -> None:
    good = {"purpose": "stroke-study", "expires_ms": T + 1 + MAX_RESEARCH_GRANT_MS}
    for changes, word in (
        ({"purpose": ""}, "purpose"),
        ({"expires_ms": None}, "unbounded"),
        ({"expires_ms": T + 2 + MAX_RESEARCH_GRANT_MS}, "unbounded"),
    ):
        # Recorded, and of no use: the decision alone judges.
        state.apply(grant_event(view(RESEARCHER, **(good | changes)), actor=OWNER, at_ms=T))
        assert reason(state, RESEARCHER, purpose="stroke-study") == word
    state.apply(grant_event(view(RESEARCHER, **good), actor=OWNER, at_ms=T))
    assert reason(state, RESEARCHER, purpose="stroke-study") == "granted"
    assert reason(state, RESEARCHER) == "purpose"
    assert reason(state, RESEARCHER, purpose="other-study") == "purpose"


def test_a_withdrawn_consent_ends_research_and_nothing_else(state: AccessState) -> None:
    end = T + MAX_RESEARCH_GRANT_MS
    for account in (RESEARCHER, DOCTOR):
        given = view(account, purpose="study", expires_ms=end)
        state.apply(grant_event(given, actor=OWNER, at_ms=T))
    state.apply(grant_event(view(RESEARCHER, action=Action.SHARE), actor=OWNER, at_ms=T))

    def signed(change: ConsentChange) -> None:
        state.apply(consent_event(IMAGE, change, SIGNED, actor=CONSENT_SERVICE, at_ms=T))

    assert reason(state, RESEARCHER, purpose="study") == "granted"
    signed(ConsentChange.WITHDRAW)
    assert reason(state, RESEARCHER, purpose="study") == "withdrawn"
    # A grant that is not enough in itself keeps its own reason.
    assert reason(state, RESEARCHER, purpose="other") == "purpose"
    assert reason(state, RESEARCHER, Action.SHARE) == "purpose"
    assert reason(state, RESEARCHER, purpose="study", at_ms=end) == "expired"
    assert reason(state, DOCTOR, purpose="study") == "granted"
    assert reason(state, OWNER) == "owner"
    other = grant_event(
        view(RESEARCHER, subject=OTHER_IMAGE, purpose="study", expires_ms=end), actor=OWNER, at_ms=T
    )
    state.apply(other)
    assert state.may(RESEARCHER, OTHER_IMAGE, Action.VIEW, purpose="study", at_ms=T).allowed
    signed(ConsentChange.GIVE)
    assert reason(state, RESEARCHER, purpose="study") == "granted"


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


def test_older_grants_do_not_widen_a_later_researcher(state: AccessState) -> None:
    state.apply(grant_event(view(STRANGER), actor=OWNER, at_ms=T))
    assert reason(state, STRANGER, purpose="study") == "granted"
    state.apply(role_event(STRANGER, Role.RESEARCHER, RoleChange.ADD, actor=OWNER, at_ms=T))
    assert reason(state, STRANGER, purpose="study") == "purpose"
    state.apply(role_event(STRANGER, Role.RESEARCHER, RoleChange.REMOVE, actor=OWNER, at_ms=T))
    state.apply(grant_event(view(STRANGER, purpose="study"), actor=OWNER, at_ms=T))
    state.apply(role_event(STRANGER, Role.RESEARCHER, RoleChange.ADD, actor=OWNER, at_ms=T))
    assert reason(state, STRANGER, purpose="study") == "unbounded"


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


# --- The same rules said a second time, by searching the history ---------------------------------

ACCOUNTS = [OWNER, DOCTOR, RESEARCHER, STRANGER]
IMAGES = [IMAGE, OTHER_IMAGE]


class Model:
    """Answers every question by reading the whole history again."""

    def __init__(self) -> None:
        self.history: list[Event] = []

    def last(self, wanted: Callable[[Event], bool]) -> Event | None:
        return next((event for event in reversed(self.history) if wanted(event)), None)

    def owner(self) -> str:
        found = self.last(
            lambda e: e.kind == "genesis" or (e.kind == "role" and e.details["change"] == "accept")
        )
        return found.actor if found else "nobody"

    def holds(self, account: str, role: str) -> bool:
        found = self.last(
            lambda e: (
                e.kind == "role" and (e.details["account"], e.details["role"]) == (account, role)
            )
        )
        return found is not None and found.details["change"] == "add"

    def offered(self) -> Event | None:
        found = self.last(
            lambda e: e.kind == "role" and e.details["change"] in ("offer", "cancel", "accept")
        )
        return found if found and found.details["change"] == "offer" else None

    def erased(self, image: str) -> bool:
        return any(e.kind == "erase" and e.subject == image for e in self.history)

    def clinician(self, account: str) -> bool:
        return self.holds(account, "radiologist") or self.holds(account, "emergency")

    def accepts(self, event: Event) -> bool:
        is_owner = event.actor == self.owner()
        if event.kind == "role" and event.details["change"] == "accept":
            offer = self.offered()
            return (
                offer is not None
                and offer.details["account"] == event.actor == event.details["account"]
                and event.at_ms >= offer.at_ms + 24 * HOUR
            )
        if event.kind == "role":
            return is_owner
        if event.kind == "pause":
            return is_owner and (event.details["change"] == "resume") == self.paused()
        keeps_grants = is_owner or self.holds(event.actor, "registrar")
        erased = self.erased(event.subject)
        return {
            "erase": is_owner and not erased,
            "break-glass": self.clinician(event.actor) and not erased and not self.paused(),
            "consent": self.holds(event.actor, "consent-service") and not erased,
            "revoke": keeps_grants,
            "grant": keeps_grants,
        }[event.kind]

    def paused(self) -> bool:
        found = self.last(lambda e: e.kind == "pause")
        return found is not None and found.details["change"] == "pause"

    def withdrawn(self, image: str) -> bool:
        found = self.last(lambda e: e.kind == "consent" and e.subject == image)
        return found is not None and found.details["change"] == "withdraw"

    def allows(self, account: str, image: str, action: str, purpose: str, at_ms: int) -> bool:
        if self.erased(image):
            return False
        if account == self.owner():
            return True
        if self.paused():
            return False
        return self.granted(account, image, action, purpose, at_ms) or (
            action != "share"
            and self.clinician(account)
            and self.window_is_open(account, image, at_ms)
        )

    def granted(self, account: str, image: str, action: str, purpose: str, at_ms: int) -> bool:
        grant = self.last(
            lambda e: (
                e.kind in ("grant", "revoke")
                and (e.subject, e.details["account"]) == (image, account)
                and e.details["action"] in (action, "all")
            )
        )
        if grant is None or grant.kind == "revoke":
            return False
        end, bound = grant.details.get("expires_ms"), grant.details.get("purpose")
        if end is not None and at_ms >= int(end):
            return False
        if bound is not None and bound != purpose:
            return False
        if self.holds(account, "researcher"):
            days = 366 * 24 * HOUR
            bounded = bound is not None and end is not None and int(end) - at_ms <= days
            return bounded and not self.withdrawn(image)
        return True

    def window_is_open(self, account: str, image: str, at_ms: int) -> bool:
        opened = False
        for event in self.history:
            if event.subject != image:
                continue
            if event.kind == "break-glass" and event.actor == account:
                opened = opened or at_ms < event.at_ms + HOUR
            elif event.kind == "revoke" and event.details["account"] == account:
                opened = opened and event.details["action"] != "all"
        return opened


accounts, images = st.sampled_from(ACCOUNTS), st.sampled_from(IMAGES)
purposes = st.sampled_from(["", "care", "study"])


class Histories(RuleBasedStateMachine):
    """Random histories, lawful and not, through the rules and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.model, self.now = AccessState(), Model(), T

    @initialize()
    def begin(self) -> None:
        self.record(genesis_event(OWNER, at_ms=self.now))

    def record(self, event: Event) -> None:
        expected = event.kind == "genesis" or self.model.accepts(event)
        try:
            self.state.apply(event)
            accepted = True
        except (AccessRefusedError, InputError):
            accepted = False
        assert accepted == expected, event
        if accepted:
            self.model.history.append(event)

    @rule(step=st.sampled_from([0, 1, HOUR - 1, HOUR, 24 * HOUR, -HOUR, 200 * 24 * HOUR]))
    def wait(self, step: int) -> None:
        self.now += step

    @rule(
        account=accounts,
        role=st.sampled_from([role for role in Role if role is not Role.OWNER]),
        change=st.sampled_from([RoleChange.ADD, RoleChange.ADD, RoleChange.REMOVE]),
        actor=st.sampled_from([OWNER, OWNER, STRANGER]),
    )
    def change_role(self, account: str, role: Role, change: RoleChange, actor: str) -> None:
        self.record(role_event(account, role, change, actor=actor, at_ms=self.now))

    @rule(
        account=accounts,
        change=st.sampled_from([RoleChange.OFFER, RoleChange.CANCEL, RoleChange.ACCEPT]),
        actor=accounts,
    )
    def pass_ownership(self, account: str, change: RoleChange, actor: str) -> None:
        self.record(role_event(account, Role.OWNER, change, actor=actor, at_ms=self.now))

    @rule(
        account=accounts,
        image=images,
        action=st.sampled_from(Action),
        purpose=purposes,
        end=st.sampled_from([None, 0, 1, HOUR, 366 * 24 * HOUR, 366 * 24 * HOUR + 1]),
        actor=st.sampled_from([OWNER, OWNER, DOCTOR, STRANGER]),
    )
    def grant(
        self, account: str, image: str, action: Action, purpose: str, end: int | None, actor: str
    ) -> None:
        given = Grant(
            account=account,
            subject=image,
            action=action,
            purpose=purpose,
            expires_ms=None if end is None else self.now + end,
        )
        self.record(grant_event(given, actor=actor, at_ms=self.now))

    @rule(
        account=accounts,
        image=images,
        action=st.sampled_from([None, *Action]),
        actor=st.sampled_from([OWNER, DOCTOR, STRANGER]),
    )
    def revoke(self, account: str, image: str, action: Action | None, actor: str) -> None:
        self.record(revoke_event(account, image, action, actor=actor, at_ms=self.now))

    @rule(actor=accounts, image=images)
    def break_glass(self, actor: str, image: str) -> None:
        self.record(break_glass_event(image, REASON, actor=actor, at_ms=self.now))

    @rule(
        actor=st.sampled_from([OWNER, STRANGER]),
        image=images,
        change=st.sampled_from(ConsentChange),
    )
    def consent(self, actor: str, image: str, change: ConsentChange) -> None:
        self.record(consent_event(image, change, SIGNED, actor=actor, at_ms=self.now))

    @rule(actor=st.sampled_from([OWNER, OWNER, DOCTOR]), change=st.sampled_from(PauseChange))
    def pause(self, actor: str, change: PauseChange) -> None:
        self.record(pause_event(change, actor=actor, at_ms=self.now))

    @rule(actor=st.sampled_from([OWNER, STRANGER, DOCTOR, RESEARCHER]))
    def erase_the_other_image(self, actor: str) -> None:
        self.record(erase_event(OTHER_IMAGE, actor=actor, at_ms=self.now))

    @invariant()
    def both_decide_alike(self) -> None:
        for account in ACCOUNTS:
            for image in IMAGES:
                for action in Action:
                    for purpose, later in (("", 0), ("study", 0), ("care", HOUR)):
                        at_ms = self.now + later
                        decision = self.state.may(
                            account, image, action, purpose=purpose, at_ms=at_ms
                        )
                        expected = self.model.allows(account, image, action, purpose, at_ms)
                        assert decision.allowed == expected, (account, image, action, decision)


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestHistories = Histories.TestCase
