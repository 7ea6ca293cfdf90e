"""Keys, accounts and logs for the tests of the ledger."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medseal.ledger import (
    COSIGNATURE_V1,
    AccessState,
    EmbeddedLedger,
    Event,
    EventKind,
    SigningKey,
    genesis_event,
)
from tests.ledger.cast import begun

OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32


@pytest.fixture
def log_key() -> SigningKey:
    return SigningKey(name="medseal.example/test", seed=bytes(range(32)))


@pytest.fixture
def witness_key() -> SigningKey:
    return SigningKey(
        name="witness.example/w1", seed=bytes(range(32, 64)), algorithm=COSIGNATURE_V1
    )


@pytest.fixture
def make_event() -> Callable[[int], Event]:
    def make(number: int) -> Event:
        return Event(
            kind=EventKind.SEAL,
            at_ms=1_700_000_000_000 + number,
            actor=OWNER,
            subject=SUBJECT,
            details={"number": number},
            nonce=f"{number:032x}",
        )

    return make


@pytest.fixture
def state() -> AccessState:
    return begun()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path, log_key: SigningKey) -> Iterator[EmbeddedLedger]:
    with EmbeddedLedger(path, signing_key=log_key, create=True) as opened:
        opened.append(genesis_event(OWNER, at_ms=1_600_000_000_000))
        yield opened
