"""The outbox file: states that are counted truly, items in order, and files of others refused."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from medseal.errors import LedgerBusyError, LedgerError, StorageError, StorageFullError
from medseal.ledger import State, SyncState
from medseal.ledger.item import (
    ANCHOR_SCOPE,
    BlockId,
    Item,
    ItemKind,
    NewItem,
    Settled,
    SignedTransaction,
    Stage,
)
from medseal.ledger.outbox import Outbox

IDENTITY = {"chain": "1", "contract": "0x" + "5a" * 20, "log": "medseal.example/test"}
ACCOUNT = "ab" * 20
BLOCK = ("0x" + "01" * 32, 7, "0x" + "02" * 32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def outbox(file: Path) -> Iterator[Outbox]:
    with Outbox(file, IDENTITY, busy_timeout_seconds=0.2) as opened:
        yield opened


def call(index: int, *, part: int = 0, scope: str = "pause") -> NewItem:
    data = index.to_bytes(4, "big")
    return NewItem(kind=ItemKind.CALL, place=index, part=part, data=data, scope=scope)


def anchor(size: int) -> NewItem:
    data = bytes(4) + size.to_bytes(32, "big") + size.to_bytes(32, "big")
    return NewItem(kind=ItemKind.ANCHOR, place=size, data=data, scope=ANCHOR_SCOPE)


def signed(nonce: int, number: int = 0) -> SignedTransaction:
    return SignedTransaction(
        hash=f"0x{nonce:060x}{number:04x}",
        account=ACCOUNT,
        nonce=nonce,
        raw=b"raw",
        price=10 * number,
        at_ms=1,
    )


def settled(
    item: Item, stage: Stage, block: tuple[str, int, str] = BLOCK, detail: str = ""
) -> Settled:
    name, number, value = block
    return Settled(
        position=item.position,
        stage=stage,
        detail=detail,
        hash=name,
        block_number=number,
        block_hash=value,
    )


def queued(outbox: Outbox) -> list[Item]:
    return outbox.items(Stage.QUEUED)


# --- Filling ------------------------------------------------------------------------------------


def test_items_keep_their_order_and_are_taken_once(outbox: Outbox) -> None:
    outbox.extend([call(3), call(4), call(4, part=1)], 5)
    outbox.extend([call(4), call(5)], 6)
    assert [(item.place, item.part) for item in queued(outbox)] == [(3, 0), (4, 0), (4, 1), (5, 0)]
    assert outbox.cursor() == 6


def test_an_anchor_replaces_those_that_wait_unsigned(outbox: Outbox) -> None:
    outbox.close_batch(anchor(10))
    (sent,) = queued(outbox)
    outbox.store_signed([(sent, signed(1))])
    outbox.close_batch(anchor(20))
    outbox.close_batch(anchor(30))
    assert [item.place for item in queued(outbox)] == [10, 30]
    assert outbox.last_anchor() == 30
    assert queued(outbox)[1].root == (30).to_bytes(32, "big")


def test_facts_are_kept_and_forgotten(outbox: Outbox) -> None:
    outbox.begin(9, {"recover": "yes"})
    assert (outbox.cursor(), outbox.meta("recover")) == (9, "yes")
    outbox.forget("recover")
    assert outbox.meta("recover") is None


# --- States -------------------------------------------------------------------------------------


def test_every_entry_counts_once(outbox: Outbox) -> None:
    assert outbox.counts(5) == SyncState(queued=5, submitted=0, mined=0, final=0)
    for size in (10, 20, 30):
        outbox.close_batch(anchor(size))
        outbox.store_signed([(queued(outbox)[-1], signed(size))])
    first, second, third = queued(outbox)
    outbox.settle([settled(first, Stage.FINAL, BLOCK)])
    outbox.settle([settled(second, Stage.MINED, BLOCK)])
    outbox.note(third, Stage.SUBMITTED)
    assert outbox.counts(45) == SyncState(queued=15, submitted=10, mined=10, final=10)
    # The log may be shorter than what another process has just anchored.
    assert outbox.counts(25) == SyncState(queued=0, submitted=5, mined=10, final=10)


def test_a_change_of_rights_counts_by_its_own_transaction(outbox: Outbox) -> None:
    outbox.extend([call(2), call(4), call(6), call(6, part=1), call(8)], 10)
    outbox.close_batch(anchor(10))
    refused, waiting, done, half, skipped = queued(outbox)[:5]
    outbox.settle([settled(queued(outbox)[5], Stage.FINAL, BLOCK)])
    outbox.settle([settled(refused, Stage.REFUSED, BLOCK, detail="not-registrar")])
    outbox.settle([settled(done, Stage.FINAL, BLOCK)])
    outbox.note(half, Stage.SUBMITTED)
    outbox.note(skipped, Stage.SKIPPED, "not-owner")
    assert outbox.counts(11) == SyncState(queued=2, submitted=1, mined=0, final=7, refused=1)
    told = outbox.state_of(refused.place)
    assert (told.state, told.anchored, told.detail) == (
        State.REFUSED,
        State.FINAL,
        "not-registrar",
    )
    assert outbox.state_of(waiting.place).state is State.QUEUED
    # Of several calls of one entry the one that is least far counts.
    assert outbox.state_of(6).state is State.SUBMITTED
    # What needs nothing on the chain is as far as its anchor, and says why.
    told = outbox.state_of(8)
    assert (told.state, told.detail, told.transaction) == (State.FINAL, "not-owner", BLOCK[0])
    assert outbox.state_of(10).state is State.QUEUED


def test_the_smallest_final_anchor_serves_an_entry(outbox: Outbox) -> None:
    for size in (10, 20, 30):
        outbox.close_batch(anchor(size))
        outbox.store_signed([(queued(outbox)[-1], signed(size))])
    first, second, third = queued(outbox)
    outbox.settle([settled(first, Stage.MINED, BLOCK)])
    outbox.settle([settled(second, Stage.FINAL, BLOCK)])
    outbox.settle([settled(third, Stage.FINAL, BLOCK)])
    found = outbox.anchor_of(5)
    assert found is not None
    assert found.place == 20
    assert outbox.anchor_of(30) is None
    newest = outbox.newest_anchor()
    assert newest is not None
    assert newest.place == 30
    at = outbox.anchor_at(10)
    assert at is not None
    assert at.stage is Stage.MINED
    assert outbox.anchor_at(11) is None


# --- Sending ------------------------------------------------------------------------------------


def test_signed_transactions_are_kept_newest_first(outbox: Outbox) -> None:
    outbox.extend([call(1)], 2)
    (item,) = queued(outbox)
    outbox.store_signed([(item, signed(4, 1))])
    outbox.store_signed([(item, signed(4, 2))])
    outbox.store_signed([(item, signed(4, 2))])
    assert outbox.signed(item) == [signed(4, 2), signed(4, 1)]
    (item,) = outbox.unanswered()
    assert (item.account, item.nonce) == (ACCOUNT, 4)


def test_numbers_in_use_are_those_that_wait_or_stand_in_a_block(outbox: Outbox) -> None:
    outbox.extend([call(index) for index in range(5)], 5)
    items = queued(outbox)
    for nonce, item in enumerate(items):
        outbox.store_signed([(item, signed(nonce))])
    outbox.settle([settled(items[2], Stage.FINAL, (signed(2).hash, *BLOCK[1:]))])
    outbox.note(items[3], Stage.REFUSED, "overtaken")
    outbox.note(items[4], Stage.SUBMITTED)
    assert outbox.nonces(ACCOUNT, 1) == {items[k].position: k for k in (1, 2, 4)}
    assert outbox.nonces("cd" * 20, 0) == {}


def test_scopes_that_wait_are_found_by_how_they_begin(outbox: Outbox) -> None:
    outbox.extend([call(1, scope="role/auditor/x"), call(2, scope="right/a_b/c")], 3)
    assert outbox.waits(("role/", "pause"), Stage.QUEUED)
    assert not outbox.waits(("role/", "pause"), Stage.SUBMITTED)
    assert not outbox.waits(("roles", "a"), Stage.QUEUED)
    assert [item.place for item in outbox.later(queued(outbox)[0])] == []


def test_changes_of_one_scope_know_those_before_and_behind(outbox: Outbox) -> None:
    outbox.extend([call(index, scope="right/a" if index % 2 else "pause") for index in range(6)], 6)
    items = queued(outbox)
    outbox.settle([settled(items[1], Stage.MINED, BLOCK)])
    assert [item.place for item in outbox.earlier(items[5])] == [3]
    assert [item.place for item in outbox.later(items[1])] == [3, 5]
    outbox.close_batch(anchor(6))
    outbox.close_batch(anchor(7))
    assert outbox.earlier(queued(outbox)[-1]) == []


def test_what_waits_under_numbers_comes_in_their_order(outbox: Outbox) -> None:
    outbox.extend([call(index) for index in range(4)], 4)
    for nonce, item in zip((9, 3, 5, 7), queued(outbox), strict=True):
        outbox.store_signed([(item, signed(nonce))])
    assert outbox.senders() == [ACCOUNT]
    outbox.settle([settled(queued(outbox)[2], Stage.MINED, BLOCK)])
    assert [item.nonce for item in outbox.numbered(ACCOUNT, 3, limit=9)] == [3, 7, 9]
    assert [item.nonce for item in outbox.numbered(ACCOUNT, 4, limit=1)] == [7]
    assert outbox.numbered("cd" * 20, 0, limit=9) == []


def test_what_is_held_back_says_why(outbox: Outbox) -> None:
    outbox.extend([call(index) for index in range(5)], 5)
    items = queued(outbox)
    outbox.hold(items[:3], "paused")
    outbox.hold(items[3:4], "not-registrar")
    assert outbox.reasons() == {"not-registrar": 1, "paused": 3}
    assert outbox.state_of(1).detail == "paused"
    outbox.note_sent(items[:4])
    assert outbox.reasons() == {}


def test_an_item_has_the_number_that_was_carried_out(outbox: Outbox) -> None:
    outbox.extend([call(1), call(2)], 3)
    first, second = queued(outbox)
    for nonce in (4, 3):
        outbox.store_signed([(first, signed(nonce)), (second, signed(nonce + 10))])
    assert outbox.current(queued(outbox)[0]) == signed(3)
    outbox.settle([settled(first, Stage.FINAL, (signed(4).hash, *BLOCK[1:]))])
    (found,) = outbox.items(Stage.FINAL)
    assert (found.account, found.nonce, outbox.current(found)) == (ACCOUNT, 4, signed(4))
    assert outbox.standing_nonce(ACCOUNT) == 4
    # A root that somebody else has anchored takes no number of ours.
    outbox.settle([settled(second, Stage.MINED, BLOCK)])
    (found,) = outbox.items(Stage.MINED)
    assert (found.account, found.nonce) == (None, None)
    assert outbox.nonces(ACCOUNT, 0) == {first.position: 4}
    assert outbox.standing_nonce("cd" * 20) == -1


def test_what_is_settled_and_what_must_follow_it_change_together(outbox: Outbox) -> None:
    outbox.extend([call(1), call(2)], 3)
    older, newer = queued(outbox)
    outbox.store_signed([(older, signed(9)), (newer, signed(2))])
    places = [(signed(nonce).hash, *BLOCK[1:]) for nonce in (9, 2)]
    both = [settled(item, Stage.FINAL, at) for item, at in zip((older, newer), places, strict=True)]
    outbox.settle(both, repeat=[newer])
    assert [item.place for item in outbox.items(Stage.FINAL)] == [1]
    assert [(item.place, item.detail, item.nonce) for item in queued(outbox)] == [
        (2, "repeated", None)
    ]


def test_what_is_repeated_was_never_signed(outbox: Outbox) -> None:
    outbox.extend([call(1), call(2)], 3)
    first, second = queued(outbox)
    outbox.store_signed([(first, signed(1)), (second, signed(2))])
    outbox.settle([settled(first, Stage.FINAL, BLOCK), settled(second, Stage.FINAL, BLOCK)])
    outbox.repeat([first])
    told = outbox.state_of(1)
    assert (told.state, told.detail, told.transaction) == (State.QUEUED, "repeated", None)
    (item,) = queued(outbox)
    assert (item.nonce, item.account, outbox.signed(item)) == (None, None, [])
    assert len(outbox.signed(second)) == 1


def test_blocks_that_vanish_take_their_items_back(outbox: Outbox) -> None:
    outbox.extend([call(index) for index in range(4)], 4)
    mined, final, other, adopted = queued(outbox)
    for nonce, item in enumerate((mined, final, other)):
        outbox.store_signed([(item, signed(nonce))])
    outbox.settle([settled(mined, Stage.MINED, (signed(0).hash, *BLOCK[1:]))])
    outbox.settle([settled(final, Stage.FINAL, (signed(1).hash, *BLOCK[1:]))])
    outbox.settle([settled(adopted, Stage.MINED, BLOCK)])
    outbox.settle([settled(other, Stage.FINAL, (BLOCK[0], 7, "0x" + "03" * 32))])
    assert outbox.newest_block() == 7
    first, second = sorted((BLOCK[2], "0x" + "03" * 32))
    both = [BlockId(7, first), BlockId(7, second)]
    assert outbox.blocks(BlockId(-1, ""), limit=9) == both
    assert outbox.blocks(BlockId(7, ""), limit=1) == both[:1]
    assert outbox.blocks(both[0], limit=9) == both[1:]
    assert outbox.blocks(BlockId(8, ""), limit=9) == []
    outbox.vanish([BlockId(7, BLOCK[2])])
    stages = [outbox.state_of(index) for index in range(4)]
    assert [told.state for told in stages] == [
        State.SUBMITTED,
        State.QUEUED,
        State.FINAL,
        # Nothing of ours could be sent again: it is signed anew.
        State.QUEUED,
    ]
    assert [told.detail for told in stages] == ["vanished", "vanished", "", "vanished"]


def test_what_is_deep_enough_becomes_final(outbox: Outbox) -> None:
    outbox.extend([call(1), call(2)], 3)
    for number, item in enumerate(queued(outbox)):
        outbox.settle([settled(item, Stage.MINED, (BLOCK[0], 7 + number, BLOCK[2]))])
    outbox.confirm(7)
    assert outbox.state_of(1).state is State.FINAL
    assert outbox.state_of(2).state is State.MINED


# --- Files --------------------------------------------------------------------------------------


def test_a_file_opens_again_for_the_same_log_only(outbox: Outbox, file: Path) -> None:
    outbox.extend([call(1)], 2)
    outbox.close()
    with Outbox(file, IDENTITY) as again:
        assert again.cursor() == 2
    with pytest.raises(LedgerError, match="another contract"):
        Outbox(file, IDENTITY | {"contract": "0x" + "00" * 20})
    assert file.stat().st_mode & 0o077 == 0


def test_a_file_without_the_index_of_scopes_gets_it(file: Path) -> None:
    with Outbox(file, IDENTITY) as first:
        first.extend([call(1)], 2)
        first._rows("DROP INDEX item_scope")
    with Outbox(file, IDENTITY) as again:
        names = again._rows("SELECT name FROM sqlite_master WHERE type = 'index'")
        assert ("item_scope",) in names
        plan = again._rows(
            "EXPLAIN QUERY PLAN SELECT 1 FROM item WHERE position < 9 AND scope = 'pause'"
        )
        assert "item_scope" in str(plan)
        assert len(queued(again)) == 1


def test_a_file_of_something_else_is_refused(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(LedgerError, match="not an outbox"):
        Outbox(file, IDENTITY)
    file.write_bytes(b"no database at all, but text" * 100)
    with pytest.raises(LedgerError, match="damaged"):
        Outbox(file, IDENTITY)
    with pytest.raises(StorageError, match="cannot be opened"):
        Outbox(file / "below", IDENTITY)


def test_a_full_disk_changes_nothing(outbox: Outbox) -> None:
    pages = outbox._value("PRAGMA page_count")
    outbox._rows(f"PRAGMA max_page_count = {pages}")
    many = [call(index, scope="x" * 1000) for index in range(100)]
    with pytest.raises(StorageFullError, match="no space is left"):
        outbox.extend(many, 100)
    assert (outbox.cursor(), queued(outbox)) == (0, [])
    outbox._rows("PRAGMA max_page_count = 100000")
    outbox.extend(many, 100)
    assert len(queued(outbox)) == 100


def test_one_thread_sends_at_a_time(outbox: Outbox) -> None:
    refused: list[str] = []

    def other() -> None:
        try:
            with outbox.exclusive():
                refused.append("not at all")
        except LedgerBusyError as error:
            refused.append(str(error))

    with outbox.exclusive():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "another process sends" in refused[0]
    with outbox.exclusive():
        pass


HOLD = """
import sys, time
from pathlib import Path
from medseal.ledger.outbox import Outbox
with Outbox(Path(sys.argv[1]), {}) as outbox, outbox.exclusive():
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_sends_at_a_time_and_its_end_frees_the_file(outbox: Outbox, file: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter and the text above
        [sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(LedgerBusyError, match="another process sends"), outbox.exclusive():
            pass
        child.kill()
    with outbox.exclusive():
        pass
