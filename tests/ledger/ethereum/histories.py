"""Random histories of the access rules, through the embedded rules, a model and the contract."""

import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from medseal.errors import AccessRefusedError
from medseal.ledger import (
    AccessState,
    Action,
    ConsentChange,
    EmbeddedLedger,
    Event,
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
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.codec import calls_of
from medseal.ledger.grants import parse_grant, roles_of
from tests.ledger.access_model import ALLOWING, DAY_MS, HOUR_MS, Model
from tests.ledger.ethereum.moving_chain import START_S, MovingChain
from tests.ledger.ethereum.nodes import node_accounts

OWNER = node_accounts()[0].account
REGISTRAR, HEIR, SERVICE = "9a" * 20, "41" * 20, "c0" * 20
DOCTOR, RESEARCHER, EMERGENCY, STRANGER = (f"{number:032x}" for number in range(0xA0, 0xA4))
ACCOUNTS = (OWNER, REGISTRAR, HEIR, SERVICE, DOCTOR, RESEARCHER, EMERGENCY, STRANGER)
IMAGES = ("sha256:" + "aa" * 32, "sha256:" + "bb" * 32)
REASON, SIGNED = "sha256:" + "cc" * 32, "sha256:" + "dd" * 32
PURPOSES = ("", "study", "study-7", "care")
YEAR_MS = 366 * DAY_MS
# Of one account and image; each is asked about three actions at three times.
MAX_EDGES = 3
PRESENT_OWNER = "owner"
# Entries before the first erasure: what is erased gives one answer only.
LATE = 20
# The usual holder of each role; a history may give it to anybody else, too.
CAST = {
    Role.REGISTRAR: REGISTRAR,
    Role.RADIOLOGIST: DOCTOR,
    Role.RESEARCHER: RESEARCHER,
    Role.CONSENT_SERVICE: SERVICE,
    Role.EMERGENCY: EMERGENCY,
    Role.AUDITOR: STRANGER,
}
ADDED_ROLES = tuple(CAST)
USES = {
    "owner",
    "granted",
    "break-glass",
    "erased",
    "paused",
    "no-grant",
    "revoked",
    "expired",
    "purpose",
    "unbounded",
    "withdrawn",
}
REFUSALS = {
    "not-owner",
    "not-registrar",
    "not-clinical",
    "not-consent-service",
    "not-offered",
    "too-early",
    "erased",
    "paused",
    "not-paused",
}


class Histories(RuleBasedStateMachine):
    """Everybody tries everything, and three tellings of the rules say the same about it."""

    chain: MovingChain

    def __init__(self) -> None:
        super().__init__()
        self.chain.reset()
        self.now = START_S * 1000
        self.state, self.model = AccessState(), Model()
        # Purpose and times at which an answer may change: an off-by-one shows there.
        self.edges: dict[tuple[str, str], list[tuple[str, int]]] = {}
        self.is_whole = True
        genesis = genesis_event(OWNER, at_ms=self.now)
        self.state.apply(genesis)
        self.model.history.append(genesis)
        self.wait(1000)

    # --- One step -----------------------------------------------------------------------------

    def record(self, event: Event, *, via: str | None = None) -> str:
        """Bring an event before all three and return why it was refused."""
        self.is_whole = False
        expected = self.model.refusal(event)
        assert self.embedded_refusal(event) == expected, event
        (data,) = calls_of(event)
        sender = event.actor if via is None else via
        assert self.chain.simulated(sender, data) == expected, event
        assert self.chain.sent(sender, data, self.now) == (not expected), event
        if not expected:
            self.model.history.append(event)
        counts = self.chain.counts
        counts.refusals[expected] += 1
        counts.steps += 1
        self.compare_decisions()
        self.is_whole = True
        return expected

    def embedded_refusal(self, event: Event) -> str:
        before = dict(self.state.entries)
        try:
            self.state.apply(event)
        except AccessRefusedError as error:
            assert self.state.entries == before
            return error.reason
        return ""

    def questions(self) -> Iterator[tuple[str, str, Action, str, int]]:
        """Yield who asks for what: now, and by turns at and just before the times that matter."""
        step = self.chain.counts.steps
        for turn, (account, image) in enumerate(product(ACCOUNTS, IMAGES), start=step):
            asked = [(PURPOSES[turn % len(PURPOSES)], self.now)]
            edges = self.edges.get((account, image), [])
            if turn % 2 == 0:
                asked += [(purpose, self.now) for purpose, _ in edges]
            else:
                asked += [(word, at_ms + late) for word, at_ms in edges for late in (-1, 0)]
            for action in Action:
                for purpose, at_ms in asked:
                    yield account, image, action, purpose, at_ms

    def note_edges(self, account: str, image: str, purpose: str, *times_ms: int) -> None:
        """Ask about these times from here on; only the newest ones are asked about."""
        edges = self.edges.setdefault((account, image), [])
        edges += [(purpose, at_ms) for at_ms in times_ms if at_ms > 0]
        del edges[:-MAX_EDGES]

    def compare_decisions(self) -> None:
        """Ask all three about every account, image and action."""
        questions = list(self.questions())
        answers = self.chain.decided(questions)
        for question, on_chain in zip(questions, answers, strict=True):
            account, image, action, purpose, at_ms = question
            expected = self.model.decide(*question)
            embedded = self.state.may(account, image, action, purpose=purpose, at_ms=at_ms)
            assert embedded.reason == expected, question
            assert embedded.allowed == (expected in ALLOWING), question
            # The one difference: what was revoked is gone on the chain.
            assert on_chain == ("no-grant" if expected == "revoked" else expected), question
            self.chain.counts.uses[expected] += 1
        self.chain.counts.decisions += len(questions)

    def teardown(self) -> None:
        if self.is_whole:
            self.compare_tables()
            self.compare_log()

    def compare_tables(self) -> None:
        """What can be listed is the same, too: the owner, roles, grants."""
        read, contract = self.state.entries.get, self.chain.contract
        assert contract.owner() == self.model.owner()
        for account in ACCOUNTS:
            assert contract.roles(account) == roles_of(read, account)
        stored = [parse_grant(key, value) for key, value in self.state.entries.items()]
        standing = [grant for grant in stored if grant is not None]
        listed = contract.grants()
        assert len(listed) == len(standing)
        assert all(grant in standing for grant in listed)

    def compare_log(self) -> None:
        """The file of an embedded ledger answers as its rules in memory do."""
        with tempfile.TemporaryDirectory() as folder:
            key = SigningKey.generate("medseal.example/histories")
            path = Path(folder) / "ledger.sqlite"
            with EmbeddedLedger(path, signing_key=key, create=True) as ledger:
                ledger.append_many(self.model.history)
                for account in ACCOUNTS:
                    assert ledger.roles(account) == roles_of(self.state.entries.get, account)
                    for image in IMAGES:
                        found = ledger.may(account, image, Action.VIEW, at_ms=self.now)
                        assert found.reason == self.model.decide(
                            account, image, "view", "", self.now
                        )
                ledger.audit()

    def who(self, actor: str) -> str:
        """Return the account that is meant: ownership moves."""
        return actor if actor != PRESENT_OWNER else self.model.owner()

    # --- What can happen ----------------------------------------------------------------------

    @initialize(absent=st.sets(st.sampled_from(ADDED_ROLES), max_size=2))
    def cast(self, absent: set[Role]) -> None:
        for role in ADDED_ROLES:
            if role not in absent:
                event = role_event(CAST[role], role, RoleChange.ADD, actor=OWNER, at_ms=self.now)
                self.record(event)

    @rule(
        step=st.sampled_from(
            [1000, HOUR_MS - 1000, HOUR_MS, DAY_MS - 1000, DAY_MS, 200 * DAY_MS, YEAR_MS]
        )
    )
    def wait(self, step: int) -> None:
        self.now += step
        self.chain.move_to(self.now)

    @rule(
        account=st.sampled_from(ACCOUNTS),
        role=st.sampled_from(ADDED_ROLES),
        change=st.sampled_from([RoleChange.ADD, RoleChange.ADD, RoleChange.REMOVE]),
        actor=st.sampled_from(
            [PRESENT_OWNER, PRESENT_OWNER, PRESENT_OWNER, HEIR, REGISTRAR, STRANGER]
        ),
    )
    def change_role(self, account: str, role: Role, change: RoleChange, actor: str) -> None:
        self.record(role_event(account, role, change, actor=self.who(actor), at_ms=self.now))

    @rule(role=st.sampled_from(ADDED_ROLES))
    def take_or_give_back(self, role: Role) -> None:
        """Turn the role of its usual holder: what the holder began before still stands, or not."""
        change = RoleChange.REMOVE if self.model.holds(CAST[role], role) else RoleChange.ADD
        self.record(role_event(CAST[role], role, change, actor=self.model.owner(), at_ms=self.now))

    @rule(
        account=st.sampled_from([HEIR, HEIR, DOCTOR, OWNER]),
        change=st.sampled_from([RoleChange.OFFER, RoleChange.OFFER, RoleChange.CANCEL]),
        actor=st.sampled_from([PRESENT_OWNER, PRESENT_OWNER, HEIR, STRANGER]),
    )
    def offer_ownership(self, account: str, change: RoleChange, actor: str) -> None:
        self.record(role_event(account, Role.OWNER, change, actor=self.who(actor), at_ms=self.now))

    @rule(
        actor=st.sampled_from([HEIR, HEIR, DOCTOR, OWNER]),
        later=st.sampled_from([0, DAY_MS - 1000, DAY_MS]),
    )
    def accept_ownership(self, actor: str, later: int) -> None:
        if later:
            self.wait(later)
        self.record(role_event(actor, Role.OWNER, RoleChange.ACCEPT, actor=actor, at_ms=self.now))

    @rule(
        account=st.sampled_from([DOCTOR, DOCTOR, RESEARCHER, RESEARCHER, RESEARCHER, *ACCOUNTS]),
        image=st.sampled_from(IMAGES),
        action=st.sampled_from(Action),
        purpose=st.sampled_from(PURPOSES),
        end=st.sampled_from([None, 0, 999, HOUR_MS, YEAR_MS - 1, YEAR_MS, YEAR_MS, YEAR_MS + 1]),
        actor=st.sampled_from(
            [PRESENT_OWNER, PRESENT_OWNER, REGISTRAR, REGISTRAR, DOCTOR, STRANGER]
        ),
    )
    def grant(
        self, account: str, image: str, action: Action, purpose: str, end: int | None, actor: str
    ) -> None:
        expires_ms = None if end is None else self.now + end
        if expires_ms is not None:
            self.note_edges(account, image, purpose, expires_ms, expires_ms - YEAR_MS)
        given = Grant(
            account=account, subject=image, action=action, purpose=purpose, expires_ms=expires_ms
        )
        self.record(grant_event(given, actor=self.who(actor), at_ms=self.now))

    @rule(
        account=st.sampled_from(ACCOUNTS),
        image=st.sampled_from(IMAGES),
        action=st.sampled_from([None, *Action]),
        actor=st.sampled_from([PRESENT_OWNER, PRESENT_OWNER, REGISTRAR, DOCTOR, STRANGER]),
    )
    def revoke(self, account: str, image: str, action: Action | None, actor: str) -> None:
        self.record(revoke_event(account, image, action, actor=self.who(actor), at_ms=self.now))

    @rule(
        actor=st.sampled_from([DOCTOR, DOCTOR, EMERGENCY, *ACCOUNTS]),
        image=st.sampled_from(IMAGES),
        by_gateway=st.booleans(),
    )
    def break_glass(self, actor: str, image: str, by_gateway: bool) -> None:
        self.note_edges(actor, image, "", self.now + HOUR_MS)
        event = break_glass_event(image, REASON, actor=actor, at_ms=self.now)
        # A person has no key: the gateway that knows the clinician sends it.
        self.record(event, via=self.model.owner() if by_gateway else None)

    @rule(actor=st.sampled_from(ACCOUNTS), image=st.sampled_from(IMAGES))
    def break_glass_for_another(self, actor: str, image: str) -> None:
        """What only a contract sees: a sender who is neither the clinician nor a gateway."""
        if actor == DOCTOR or self.model.owner() == actor or self.model.holds(actor, "registrar"):
            return
        event = break_glass_event(image, REASON, actor=DOCTOR, at_ms=self.now)
        expected = "paused" if self.model.is_paused() else "not-registrar"
        (data,) = calls_of(event)
        assert self.chain.simulated(actor, data) == expected
        assert not self.chain.sent(actor, data, self.now)
        self.compare_decisions()

    @rule(
        actor=st.sampled_from([SERVICE, SERVICE, SERVICE, OWNER, REGISTRAR]),
        image=st.sampled_from(IMAGES),
        change=st.sampled_from(
            [ConsentChange.WITHDRAW, ConsentChange.WITHDRAW, ConsentChange.GIVE]
        ),
    )
    def consent(self, actor: str, image: str, change: ConsentChange) -> None:
        self.record(consent_event(image, change, SIGNED, actor=actor, at_ms=self.now))

    @rule(
        actor=st.sampled_from([PRESENT_OWNER, PRESENT_OWNER, HEIR, REGISTRAR]),
        change=st.sampled_from([PauseChange.PAUSE, PauseChange.RESUME, PauseChange.RESUME]),
    )
    def pause(self, actor: str, change: PauseChange) -> None:
        self.record(pause_event(change, actor=self.who(actor), at_ms=self.now))

    @precondition(lambda self: len(self.model.history) > LATE)
    @rule(
        actor=st.sampled_from([PRESENT_OWNER, HEIR, REGISTRAR, SERVICE, STRANGER]),
        image=st.sampled_from(IMAGES),
    )
    def erase(self, actor: str, image: str) -> None:
        # One image stays, or nothing would be left to disagree about.
        if image == IMAGES[0] and self.who(actor) == self.model.owner():
            image = IMAGES[1]
        self.record(erase_event(image, actor=self.who(actor), at_ms=self.now))

    # --- What belongs together ----------------------------------------------------------------

    @rule(
        heir=st.sampled_from([HEIR, HEIR, OWNER, DOCTOR]),
        later=st.sampled_from([DAY_MS - 1000, DAY_MS]),
    )
    def hand_over(self, heir: str, later: int) -> None:
        """Offer, wait, accept; a second acceptance finds no offer any more."""
        self.offer_ownership(heir, RoleChange.OFFER, self.model.owner())
        self.accept_ownership(heir, later)
        self.accept_ownership(heir, DAY_MS)

    @rule(
        image=st.sampled_from(IMAGES),
        action=st.sampled_from(Action),
        end=st.sampled_from([HOUR_MS, YEAR_MS, YEAR_MS + 1]),
        change=st.sampled_from([None, ConsentChange.WITHDRAW, *ConsentChange]),
        purpose=st.sampled_from(["study", "study", ""]),
    )
    def research(
        self, image: str, action: Action, end: int, change: ConsentChange | None, purpose: str
    ) -> None:
        """A grant as a researcher needs it, and what the patient says to it."""
        if not self.model.holds(RESEARCHER, "researcher"):
            self.take_or_give_back(Role.RESEARCHER)
        self.grant(RESEARCHER, image, action, purpose, end, self.model.owner())
        if change is not None:
            self.consent(SERVICE, image, change)

    @rule(
        image=st.sampled_from(IMAGES),
        end=st.sampled_from(["all", Action.VIEW, Action.CLASSIFY, Role.RADIOLOGIST]),
    )
    def end_emergency(self, image: str, end: str) -> None:
        """A window ends with a revocation of everything, not of one action; or with the role."""
        if not self.model.is_clinician(DOCTOR):
            self.take_or_give_back(Role.RADIOLOGIST)
        self.break_glass(DOCTOR, image, True)
        if end == Role.RADIOLOGIST:
            self.take_or_give_back(Role.RADIOLOGIST)
        else:
            action = None if end == "all" else Action(end)
            self.revoke(DOCTOR, image, action, self.model.owner())
