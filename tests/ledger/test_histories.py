"""Whole histories: those of the vectors, and random ones beside a second telling of the rules."""

import json
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from medseal.errors import AccessRefusedError
from medseal.ledger.events import Event
from medseal.ledger.grants import Action, Grant, Role
from medseal.ledger.rights import (
    ConsentChange,
    PauseChange,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.rules import AccessState
from tests.ledger.access_model import ALLOWING, DAY_MS, HOUR_MS, Model

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger-event"
ACCOUNTS = [OWNER, DOCTOR, RESEARCHER, STRANGER] = [f"{n:032x}" for n in range(1, 5)]
IMAGES = [IMAGE, OTHER_IMAGE] = ["sha256:" + "aa" * 32, "sha256:" + "bb" * 32]
REASON, SIGNED = "sha256:" + "cc" * 32, "sha256:" + "dd" * 32
T = 1_700_000_000_000


def replayed(leaves: list[str]) -> AccessState:
    state = AccessState()
    for leaf in leaves:
        state.apply(Event.parse(leaf.encode()))
    return state


@pytest.mark.parametrize("path", sorted(VECTORS.glob("history_*.json")), ids=lambda path: path.stem)
def test_histories_decide_as_the_vectors_say(path: Path) -> None:
    vector = json.loads(path.read_text())
    state = replayed(vector["events"])
    assert vector["decisions"]
    for question in vector["decisions"]:
        expected = question.pop("reason")
        decision = state.may(**question)
        assert decision.reason == expected, question
        assert decision.allowed == (expected in ALLOWING)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("refused_*.json")), ids=lambda path: path.stem)
def test_refusals_are_those_of_the_vectors(path: Path) -> None:
    vector = json.loads(path.read_text())
    state = replayed(vector["events"])
    before = dict(state.entries)
    with pytest.raises(AccessRefusedError, match=r"\w") as caught:
        state.apply(Event.parse(vector["refused"].encode()))
    assert caught.value.reason == vector["reason"]
    assert state.entries == before


def test_there_are_vectors_of_histories() -> None:
    assert len(list(VECTORS.glob("history_*.json"))) >= 12
    assert len(list(VECTORS.glob("refused_*.json"))) >= 14


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
        expected, reason = self.model.refusal(event), ""
        try:
            self.state.apply(event)
        except AccessRefusedError as error:
            reason = error.reason
        assert reason == expected, event
        if not reason:
            self.model.history.append(event)

    @rule(step=st.sampled_from([0, 1, HOUR_MS - 1, HOUR_MS, DAY_MS, -HOUR_MS, 200 * DAY_MS]))
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
        end=st.sampled_from([None, 0, 1, HOUR_MS, 366 * DAY_MS, 366 * DAY_MS + 1]),
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
                    for purpose, later in (("", 0), ("study", 0), ("care", HOUR_MS)):
                        at_ms = self.now + later
                        decision = self.state.may(
                            account, image, action, purpose=purpose, at_ms=at_ms
                        )
                        expected = self.model.decide(account, image, action, purpose, at_ms)
                        assert decision.reason == expected, (account, image, action)
                        assert decision.allowed == (expected in ALLOWING)


Histories.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestHistories = Histories.TestCase
