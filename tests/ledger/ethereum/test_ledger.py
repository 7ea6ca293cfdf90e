"""The network ledger: the protocol of every ledger on real nodes, and what it adds to it."""

import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from medseal.digest import Digest
from medseal.errors import (
    AccessRefusedError,
    ChainMismatchError,
    ConsistencyError,
    InputError,
    LedgerError,
    UnreachableError,
)
from medseal.ledger import (
    Action,
    Anchor,
    EmbeddedLedger,
    EthereumLedger,
    Event,
    EventKind,
    Grant,
    KeySigner,
    Ledger,
    PauseChange,
    Receipt,
    Role,
    RoleChange,
    SigningKey,
    State,
    SyncState,
    break_glass_event,
    check_anchor,
    erase_event,
    genesis_event,
    grant_event,
    now_ms,
    pause_event,
    role_event,
    verify,
)
from tests.ledger.ethereum.gateways import (
    PERSON,
    QUICK,
    SUBJECT,
    check_truth,
    deploy,
    granted,
    quick,
    reopen,
    seals,
)
from tests.ledger.ethereum.nodes import NodeAccount, NodeProcess, start_anvil

Accounts = tuple[NodeAccount, ...]
WAIT_SECONDS = 30.0
NODES = ("anvil", "anvil_shanghai", "anvil_blocks", "ganache")
REASON = "sha256:" + "77" * 32
DOCTOR = "0" * 31 + "9"
OTHER_SUBJECT = "sha256:" + "6b" * 32


@pytest.fixture
def ledger(anvil: NodeProcess, accounts: Accounts, tmp_path: Path) -> Iterator[EthereumLedger]:
    with deploy(anvil, accounts[0], tmp_path / "gateway") as opened:
        yield opened


# --- The protocol, the same for every ledger ------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """A ledger under test, the account that may change rights in it, and how changes arrive."""

    ledger: Any
    actor: str
    settle: Callable[[], object]
    arrive: Callable[[Receipt], None]
    vkey: Any


@pytest.fixture(params=("embedded", *NODES))
def any_ledger(
    request: pytest.FixtureRequest, accounts: Accounts, tmp_path: Path
) -> Iterator[Subject]:
    if request.param == "embedded":
        key = SigningKey.generate("medseal.example/test")
        with EmbeddedLedger(tmp_path / "l.sqlite", signing_key=key, create=True) as embedded:
            embedded.append(genesis_event(accounts[0].account))
            account = accounts[0].account
            yield Subject(embedded, account, embedded.sync, lambda _: None, key.vkey)
    else:
        node = request.getfixturevalue(request.param)
        with deploy(node, accounts[0], tmp_path / "gateway") as opened:
            account = accounts[0].account
            yield Subject(
                opened,
                account,
                lambda: opened.wait("final", WAIT_SECONDS),
                lambda receipt: arrive(opened, receipt),
                opened.vkey,
            )


def arrive(ledger: EthereumLedger, receipt: Receipt) -> None:
    """Carry on until a change of rights is in force; a pause holds up the anchors after it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while ledger.state_of(receipt.index).state is not State.FINAL:
        assert time.monotonic() < deadline
        ledger.sync()
        time.sleep(0.02)


def test_receipts_are_durable_and_repeatable(any_ledger: Subject) -> None:
    ledger: Ledger = any_ledger.ledger
    start = any_ledger.ledger.size
    events = seals(5)
    receipts = ledger.append_many(events)
    assert [receipt.index for receipt in receipts] == list(range(start, start + 5))
    assert ledger.append(events[2]).index == start + 2
    assert ledger.append_many(events[:2])[1].leaf == receipts[1].leaf
    any_ledger.settle()
    for event, receipt in zip(events, receipts, strict=True):
        for shown in (receipt, ledger.prove(receipt.index), ledger.prove(receipt.leaf_hash)):
            assert verify(shown.to_bytes(), any_ledger.vkey) == event
    with pytest.raises(InputError, match="no entry of the log"):
        ledger.prove(Digest(bytes(32)))
    with pytest.raises(InputError, match="no checkpoint was signed"):
        ledger.prove(0, size=start + 3)


def test_grants_and_revocations_decide(any_ledger: Subject) -> None:
    ledger: Ledger = any_ledger.ledger
    end = now_ms() + 3_600_000
    ledger.grant(
        Grant(account=PERSON, subject=SUBJECT, action=Action.VIEW, purpose="care", expires_ms=end),
        actor=any_ledger.actor,
    )
    ledger.grant(
        Grant(account=PERSON, subject=SUBJECT, action=Action.CLASSIFY), actor=any_ledger.actor
    )
    any_ledger.settle()
    assert ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="care").reason == "granted"
    assert ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="study").reason == "purpose"
    late = ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="care", at_ms=end)
    assert late.reason == "expired"
    assert ledger.may(PERSON, SUBJECT, Action.SHARE).reason == "no-grant"
    assert ledger.may(any_ledger.actor, SUBJECT, Action.SHARE).reason == "owner"
    assert len(any_ledger.ledger.grants(account=PERSON)) == 2
    ledger.revoke(PERSON, SUBJECT, Action.VIEW, actor=any_ledger.actor)
    any_ledger.settle()
    # The contract clears the place of a grant; it cannot tell what was revoked from what never was.
    refused = ledger.may(PERSON, SUBJECT, Action.VIEW, purpose="care")
    assert refused.reason in ("revoked", "no-grant")
    assert ledger.may(PERSON, SUBJECT, Action.CLASSIFY)
    ledger.revoke(PERSON, SUBJECT, actor=any_ledger.actor)
    any_ledger.settle()
    assert not ledger.may(PERSON, SUBJECT, Action.CLASSIFY)
    assert any_ledger.ledger.grants(subject=SUBJECT) == []


def test_roles_emergencies_pause_and_erasure_decide(any_ledger: Subject) -> None:
    ledger, actor = any_ledger.ledger, any_ledger.actor
    ledger.append(role_event(PERSON, Role.RADIOLOGIST, RoleChange.ADD, actor=actor))
    any_ledger.settle()
    assert ledger.roles(PERSON) == (Role.RADIOLOGIST,)
    ledger.append(break_glass_event(SUBJECT, REASON, actor=PERSON))
    any_ledger.settle()
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "break-glass"
    any_ledger.arrive(ledger.append(pause_event(PauseChange.PAUSE, actor=actor)))
    with pytest.raises(AccessRefusedError, match="paused"):
        ledger.append(break_glass_event(SUBJECT, REASON, actor=PERSON))
    ledger.append(pause_event(PauseChange.RESUME, actor=actor))
    any_ledger.settle()
    ledger.append(erase_event(SUBJECT, actor=actor))
    assert ledger.may(actor, SUBJECT, Action.VIEW).reason == "erased"
    any_ledger.settle()
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "erased"
    with pytest.raises(AccessRefusedError, match="erased"):
        ledger.append(break_glass_event(SUBJECT, REASON, actor=PERSON))


def test_what_a_ledger_refuses_is_not_recorded(any_ledger: Subject) -> None:
    ledger, actor = any_ledger.ledger, any_ledger.actor
    size = ledger.size
    with pytest.raises(AccessRefusedError, match="not paused") as refusal:
        ledger.append_many([*seals(2), pause_event(PauseChange.RESUME, actor=actor)])
    assert refusal.value.reason == "not-paused"
    with pytest.raises(AccessRefusedError, match="radiologist") as refusal:
        ledger.append(break_glass_event(SUBJECT, REASON, actor=PERSON))
    assert refusal.value.reason == "not-clinical"
    with pytest.raises(InputError, match=r"details|account"):
        ledger.append(Event.new(EventKind.ROLE, actor=actor))
    assert ledger.size == size


def test_all_entries_become_final_and_are_counted_once(any_ledger: Subject) -> None:
    ledger = any_ledger.ledger
    add = role_event(PERSON, Role.AUDITOR, RoleChange.ADD, actor=any_ledger.actor)
    ledger.append_many([*seals(3), add])
    any_ledger.settle()
    assert ledger.sync() == SyncState(queued=0, submitted=0, mined=0, final=ledger.size)


# --- Anchors --------------------------------------------------------------------------------------


def test_a_receipt_carries_an_anchor_that_the_chain_confirms(ledger: EthereumLedger) -> None:
    receipt = ledger.append(seals(1)[0])
    assert ledger.prove(receipt.index).anchor is None
    ledger.wait("final", WAIT_SECONDS)
    proved = ledger.prove(receipt.index)
    told = ledger.state_of(receipt.index)
    assert proved.anchor == Anchor(
        chain_id=31337,
        contract=ledger.contract.address,
        transaction=told.transaction or "",
        block_number=told.block_number or 0,
        block_hash=told.block_hash or "",
    )
    verify(proved.to_bytes(), ledger.vkey)
    assert ledger.prove(receipt.index, size=proved.size).anchor == proved.anchor
    found = check_anchor(proved, ledger.node, chain_id=31337, contract=ledger.contract.address)
    assert found.confirmations >= 1
    # A later checkpoint does not change which anchor serves an entry.
    ledger.append_many(seals(3))
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.prove(receipt.index) == proved


def test_an_anchor_of_another_log_is_never_given_out(ledger: EthereumLedger) -> None:
    receipt = ledger.append(seals(1)[0])
    ledger.wait("final", WAIT_SECONDS)
    ledger._outbox._rows("UPDATE item SET data = zeroblob(68) WHERE kind = 0")
    with pytest.raises(ConsistencyError, match="was rewritten"):
        ledger.prove(receipt.index)


def test_after_a_rotation_of_the_key_receipts_verify_with_the_new_one(
    ledger: EthereumLedger,
) -> None:
    receipt = ledger.append(seals(1)[0])
    ledger.wait("final", WAIT_SECONDS)
    old = ledger.vkey
    new_key = SigningKey.generate(ledger.origin)
    ledger.log.rotate_key(new_key, actor=ledger.signer.account)
    # The head of the rotation is signed by both; it has no anchor yet.
    proved = ledger.prove(receipt.index)
    assert proved.anchor is None
    verify(proved, new_key.vkey)
    ledger.wait("final", WAIT_SECONDS)
    proved = ledger.prove(receipt.index)
    assert proved.anchor is not None
    verify(proved, new_key.vkey)
    # Who trusts the old key alone asks for the old head.
    early = ledger.prove(receipt.index, size=receipt.size)
    assert early.anchor is not None
    verify(early, old)


def test_batches_close_when_full_or_old(
    anvil: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(
        anvil, accounts[0], tmp_path / "gateway", quick(batch_leaves=10, batch_seconds=3600.0)
    ) as ledger:
        ledger.append_many(seals(7))
        assert ledger.sync().queued == 9
        ledger.append(seals(1)[0])
        assert ledger.sync().queued == 0
        ledger.append_many(seals(9))
        assert ledger.sync().queued == 9
        # An entry of the day before, or of tomorrow's clock, closes a batch at once.
        ledger.wait("final", WAIT_SECONDS)
        for shift_ms in (-86_400_000, 86_400_000):
            ledger.append(Event.new(EventKind.SEAL, at_ms=now_ms() + shift_ms))
            assert ledger.sync().queued == 0


def test_many_batches_become_one_anchor_when_the_node_was_away(
    anvil: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(anvil, accounts[0], tmp_path / "gateway", quick(batch_leaves=1)) as ledger:
        ledger.sync()
        mirror = ledger._relay._mirror
        for _ in range(5):
            ledger.append_many(seals(2))
            mirror.scan()
            mirror.close_batch()
        before = ledger.node.nonce(ledger.signer.address)
        ledger.wait("final", WAIT_SECONDS)
        assert ledger.node.nonce(ledger.signer.address) == before + 1
        check_truth(ledger)


# --- Folders and logs -----------------------------------------------------------------------------


def test_the_folder_lies_below_the_working_folder(
    anvil: NodeProcess, accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signer = KeySigner.from_key(accounts[0].key)
    with EthereumLedger.deploy(anvil.url, signer, settings=QUICK) as ledger:
        address = ledger.contract.address
        folder = tmp_path / ".medseal" / "networks" / f"31337-{address}"
        assert {file.name for file in folder.iterdir()} >= {
            "ledger.sqlite",
            "outbox.sqlite",
            "log.key",
        }
        assert stat.S_IMODE((folder / "log.key").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        vkey = ledger.vkey
        kinds = [event.kind for _, event in ledger.events()]
        assert kinds == [EventKind.GENESIS, EventKind.NETWORK]
    # A node that is away is no obstacle, as the folder says which chain it is.
    with EthereumLedger("http://127.0.0.1:9", address, signer, settings=QUICK) as again:
        assert (again.vkey, again.size) == (vkey, 2)
        assert again.append(seals(1)[0]).index == 2


def test_without_node_or_folder_the_chain_is_not_known(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signer = KeySigner.from_key(accounts[0].key)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        EthereumLedger("http://127.0.0.1:9", "0x" + "5a" * 20, signer, settings=QUICK)
    with EthereumLedger(
        "http://127.0.0.1:9",
        "0x" + "5a" * 20,
        signer,
        settings=replace(QUICK, chain_id=31337),
    ) as ledger:
        assert ledger.size == 2


def test_a_lost_key_of_the_log_is_not_made_anew(ledger: EthereumLedger, anvil: NodeProcess) -> None:
    (ledger.folder / "log.key").rename(ledger.folder / "log.key.away")
    with pytest.raises(LedgerError, match="key of the log is lost"):
        reopen(ledger, anvil)
    (ledger.folder / "log.key").write_text("no key")
    with pytest.raises(InputError, match="not the text form"):
        reopen(ledger, anvil)


def test_an_open_log_joins_once_and_stays_open(
    anvil: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[0].key)
    given = Grant(account=PERSON, subject=SUBJECT, action=Action.VIEW)
    key, owner = SigningKey.generate("medseal.example/test"), "0" * 31 + "1"
    with EmbeddedLedger(tmp_path / "l.sqlite", signing_key=key, create=True) as log:
        log.append(genesis_event(owner))
        log.append(grant_event(given, actor=owner))
        with EthereumLedger.deploy(
            anvil.url, signer, folder=tmp_path / "a", log=log, settings=QUICK
        ) as ledger:
            ledger.append_many(seals(2))
            ledger.wait("final", WAIT_SECONDS)
            assert ledger.vkey == key.vkey
            # Rights of before are not carried over; the contract judges from here on.
            assert granted(ledger) == 0
            assert log.may(PERSON, SUBJECT, Action.VIEW).reason == "network"
            address = ledger.contract.address
        with EthereumLedger(
            anvil.url, address, signer, folder=tmp_path / "a", log=log, settings=QUICK
        ) as ledger:
            assert [e.kind for _, e in ledger.events()].count(EventKind.NETWORK) == 1
        with pytest.raises(ChainMismatchError, match="belongs to the contract"):
            EthereumLedger.deploy(anvil.url, signer, folder=tmp_path / "b", log=log, settings=QUICK)
        assert log.size == 5


def test_the_reading_side_is_that_of_the_log(ledger: EthereumLedger) -> None:
    receipt = ledger.append(seals(1)[0])
    head = ledger.checkpoint()
    assert (head.size, head.origin) == (3, ledger.origin)
    assert ledger.audit().size == ledger.size == 3
    ledger.append_many(seals(2))
    assert ledger.check_continues(head.to_bytes()).size == 3
    assert ledger.consistency(3)
    assert ledger.checkpoint(3) == head
    assert next(ledger.events(receipt.index))[0] == 2


# --- Waiting --------------------------------------------------------------------------------------


def test_waiting_tells_how_far_the_entries_are(
    anvil_blocks: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(anvil_blocks, accounts[0], tmp_path / "gateway") as ledger:
        ledger.append_many(seals(4))
        seen: list[SyncState] = []
        ledger.wait("submitted", WAIT_SECONDS)
        assert ledger.state().queued == 0
        ledger.wait(State.FINAL, WAIT_SECONDS, progress=seen.append)
        assert seen[0].final < seen[-1].final == ledger.size
        for wrong in ("queued", "refused"):
            with pytest.raises(InputError, match="wait for submitted"):
                ledger.wait(wrong, 1.0)
        with pytest.raises(InputError, match="has no entry"):
            ledger.state_of(ledger.size)


def test_an_address_of_nothing_is_refused_at_once(
    anvil: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[0].key)
    with pytest.raises(ChainMismatchError, match="no contract stands"):
        EthereumLedger(anvil.url, "0x" + "5a" * 20, signer, folder=tmp_path / "a", settings=QUICK)
    with pytest.raises(InputError, match="an address is"):
        EthereumLedger(anvil.url, "5a", signer, folder=tmp_path / "b", settings=QUICK)
    with (
        start_anvil(chain_id=77) as other,
        pytest.raises(ChainMismatchError, match="serves chain 77"),
    ):
        EthereumLedger(
            other.url,
            "0x" + "5a" * 20,
            signer,
            folder=tmp_path / "c",
            settings=replace(QUICK, chain_id=31337),
        )
