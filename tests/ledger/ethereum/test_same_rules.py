"""One set of rules: random histories through the embedded rules, a model and the contract.

The embedded rules, the model that was written from the specification, and the contract on a node
get the same events from the same accounts, lawful and not. Each refuses for the same reason, and
after each step each gives the same answer to the same questions. One difference is documented: a
contract clears what was revoked and says `no-grant`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from medseal.ledger import Action, ConsentChange, Event, PauseChange, RoleChange
from medseal.ledger.ethereum.codec import calls_of
from tests.ledger.access_model import DAY_MS
from tests.ledger.ethereum.histories import (
    DOCTOR,
    HEIR,
    IMAGES,
    OWNER,
    REFUSALS,
    REGISTRAR,
    RESEARCHER,
    SERVICE,
    STRANGER,
    USES,
    YEAR_MS,
    Histories,
)
from tests.ledger.ethereum.moving_chain import Counts, MovingChain, moving_chain

FOLDER = Path(__file__).parents[2] / "vectors" / "ledger-event"
# What only a log knows: its beginning, and the contract that judges it.
OF_A_LOG = ("contract_judges", "network_by_a_stranger", "second_genesis")
VECTORS = [
    path
    for path in sorted([*FOLDER.glob("history_*.json"), *FOLDER.glob("refused_*.json")])
    if not path.stem.endswith(OF_A_LOG)
]


@pytest.fixture(scope="module")
def chain() -> Iterator[MovingChain]:
    with moving_chain() as made:
        yield made


def run(chain: MovingChain, examples: int, steps: int, *, derandomize: bool) -> Counts:
    """Drive random histories and return what was compared."""
    chain.counts = Counts()
    machine = type("Histories", (Histories,), {"chain": chain})
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=derandomize,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=options)
    return chain.counts


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_contract_gives_what_the_vectors_say(chain: MovingChain, path: Path) -> None:
    vector = json.loads(path.read_text())
    genesis, *events = [Event.parse(leaf.encode()) for leaf in vector["events"]]
    chain.reset()
    fixed = chain.contract
    chain.deploy(genesis.actor)
    try:
        for event in events:
            chain.move_to(event.at_ms)
            (data,) = calls_of(event)
            assert chain.simulated(event.actor, data) == ""
            assert chain.sent(event.actor, data, event.at_ms)
        if "refused" in vector:
            event = Event.parse(vector["refused"].encode())
            chain.move_to(event.at_ms)
            (data,) = calls_of(event)
            assert chain.simulated(event.actor, data) == vector["reason"]
            assert not chain.sent(event.actor, data, event.at_ms)
        for question in vector.get("decisions", ()):
            expected = question.pop("reason")
            on_chain = chain.contract.decide(**question).reason
            assert on_chain == ("no-grant" if expected == "revoked" else expected)
    finally:
        chain.contract = fixed


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 22


def test_one_history_meets_every_reason(chain: MovingChain) -> None:
    """The comparison is worth something: no reason of the rules is left out."""
    chain.counts = Counts()
    told = type("Told", (Histories,), {"chain": chain})()
    told.cast(set())
    year, image = YEAR_MS, IMAGES[1]
    given = [
        (RESEARCHER, Action.VIEW, "study", year),
        (RESEARCHER, Action.SHARE, "", year),
        (RESEARCHER, Action.CLASSIFY, "study", None),
        (DOCTOR, Action.VIEW, "care", None),
        (DOCTOR, Action.SHARE, "", 1),
    ]
    for account, action, purpose, end in given:
        told.grant(account, image, action, purpose, end, REGISTRAR)
    told.revoke(DOCTOR, image, Action.VIEW, OWNER)
    told.break_glass(DOCTOR, image, True)
    told.break_glass(STRANGER, image, False)
    told.break_glass_for_another(STRANGER, image)
    told.consent(SERVICE, image, ConsentChange.WITHDRAW)
    told.consent(OWNER, image, ConsentChange.GIVE)
    told.grant(DOCTOR, image, Action.VIEW, "", None, STRANGER)
    told.pause(OWNER, PauseChange.RESUME)
    told.pause(OWNER, PauseChange.PAUSE)
    told.pause(OWNER, PauseChange.PAUSE)
    told.pause(OWNER, PauseChange.RESUME)
    told.offer_ownership(HEIR, RoleChange.OFFER, OWNER)
    told.accept_ownership(DOCTOR, 0)
    told.accept_ownership(HEIR, DAY_MS - 1000)
    told.wait(1000)
    told.accept_ownership(HEIR, 0)
    told.erase(OWNER, image)
    told.erase(HEIR, image)
    told.erase(HEIR, image)
    told.teardown()
    assert set(chain.counts.uses) == USES
    assert set(chain.counts.refusals) - {""} == REFUSALS


def test_the_same_histories_lead_to_the_same_decisions(chain: MovingChain) -> None:
    counts = run(chain, examples=30, steps=30, derandomize=True)
    assert counts.steps > 300
    assert counts.decisions > 20_000


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_same_histories_lead_to_the_same_decisions_for_long(chain: MovingChain) -> None:
    counts = run(chain, examples=400, steps=50, derandomize=False)
    print(f"\n{counts.steps} events, {counts.decisions} decisions")  # noqa: T201 - the result
    print(f"uses {dict(counts.uses)}\nrefusals {dict(counts.refusals)}")  # noqa: T201
    assert set(counts.uses) == USES
    assert set(counts.refusals) - {""} == REFUSALS
