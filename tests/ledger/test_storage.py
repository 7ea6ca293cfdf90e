import pytest

from medseal.errors import DamagedLedgerError
from medseal.ledger import EmbeddedLedger, Event, EventKind
from medseal.ledger.merkle import leaf_hash
from medseal.ledger.storage import LogFile, leaf_prefix, leaf_prefixes


@pytest.fixture
def hashes(ledger: EmbeddedLedger) -> list[bytes]:
    """Leaf hashes of 600 entries that the log holds, in order."""
    events = [Event.new(EventKind.VERIFY, details={"number": n}) for n in range(600)]
    ledger.append_many(events)
    return [leaf_hash(event.leaf()) for event in events]


def opened(ledger: EmbeddedLedger) -> LogFile:
    return LogFile(ledger.path, writable=True, busy_timeout_seconds=1.0)


@pytest.mark.parametrize("count", [0, 1, 20, 31, 32, 255, 256, 257, 512, 600])
def test_many_leaves_are_found_as_one_by_one(
    ledger: EmbeddedLedger, hashes: list[bytes], count: int
) -> None:
    log = opened(ledger)
    strangers = [leaf_hash(b"%d" % number) for number in range(count // 2)]
    asked = [*hashes[:count], *strangers]
    expected = {value: log.find(value) for value in hashes[:count]}
    assert log.find_many(asked) == expected
    assert list(expected.values()) == list(range(1, count + 1))
    log.close()


def test_prefixes_of_many_are_those_of_each() -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(50)]
    hashes += [bytes(32), b"\xff" * 32, b"\x80" + bytes(31)]
    assert leaf_prefixes(hashes) == [leaf_prefix(value) for value in hashes]
    assert leaf_prefixes([]) == []


def test_a_leaf_that_shares_only_the_prefix_is_not_found(
    ledger: EmbeddedLedger, hashes: list[bytes]
) -> None:
    log = opened(ledger)
    strangers = [value[:8] + bytes(24) for value in hashes]
    assert [leaf_prefix(value) for value in strangers] == [leaf_prefix(value) for value in hashes]
    assert log.find_many(strangers) == {}
    log.close()


def test_of_equal_leaves_the_first_is_found(ledger: EmbeddedLedger, hashes: list[bytes]) -> None:
    log = opened(ledger)
    with log.writing():
        log.insert(ledger.size, [log.leaf(300)], [hashes[299]], [])
    assert log.find(hashes[299]) == 300
    assert log.find_many(hashes)[hashes[299]] == 300
    log.close()


def test_a_look_up_names_a_lost_entry(ledger: EmbeddedLedger, hashes: list[bytes]) -> None:
    log = opened(ledger)
    with log.writing():
        log.connection.execute("DELETE FROM leaf WHERE position = 300")
    with pytest.raises(DamagedLedgerError, match="the entry 300 is lost"):
        log.find_many(hashes)
    log.close()


@pytest.mark.parametrize("count", [1, 255, 256, 257, 700])
def test_rows_arrive_whatever_their_number(ledger: EmbeddedLedger, count: int) -> None:
    start = ledger.size
    events = [Event.new(EventKind.VERIFY, details={"number": n}) for n in range(count)]
    ledger.append_many(events)
    log = opened(ledger)
    assert log.leaves(start, start + count) == [event.leaf() for event in events]
    query = "SELECT count(*), min(position), max(position) FROM leaf_prefix"
    assert log.connection.execute(query).fetchone() == (count + 1, 0, count)
    nodes = log.connection.execute("SELECT count(*), max(position) FROM node").fetchone()
    inner = count + 1 - (count + 1).bit_count()
    assert nodes == (inner, inner - 1)
    log.close()
    assert ledger.audit().size == count + 1


def test_a_new_log_has_large_pages(ledger: EmbeddedLedger) -> None:
    assert ledger._reader.connection.execute("PRAGMA page_size").fetchone() == (16_384,)
