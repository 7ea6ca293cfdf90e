"""Rewritten, truncated and forked logs of every small size: the first entry is named."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import CheckpointError, ConsistencyError, InputError, LedgerError
from medseal.ledger import EmbeddedLedger, Event, SigningKey, TreeExport, check_same_log
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.difference import (
    MAX_EXPORT_LEAVES,
    _HashTree,
    first_difference,
    is_export,
    refuse_difference,
)
from medseal.ledger.merkle import Frontier, Tree, leaf_hash

Make = Callable[[int], Event]
KEY = SigningKey(name="medseal.example/test", seed=bytes(range(32)))
SIZES = range(1, 71)


def hashes(names: list[str]) -> bytes:
    return b"".join(leaf_hash(name.encode()) for name in names)


def signed(names: list[str], key: SigningKey = KEY) -> TreeExport:
    frontier = Frontier()
    for name in names:
        frontier.append(leaf_hash(name.encode()))
    head = Checkpoint(origin=key.name, size=len(names), root=frontier.root()).sign(key)
    return TreeExport(checkpoint=head, leaves=hashes(names))


def straight(first: list[str], second: list[str]) -> int | None:
    """Compare entry by entry: the model."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return None


def log_of(size: int) -> list[str]:
    return [f"entry {index}" for index in range(size)]


def test_the_tree_over_hashes_has_the_root_of_the_log() -> None:
    for size in range(130):
        names = log_of(size)
        tree = _HashTree(hashes(names))
        assert Tree(tree.size, tree.node).root() == signed(names).checkpoint.root


@pytest.mark.parametrize("size", SIZES)
def test_a_rewritten_entry_is_named(size: int) -> None:
    draw = np.random.default_rng(size)
    names = log_of(size)
    old = signed(names)
    for place in {0, size - 1, *map(int, draw.integers(size, size=6))}:
        others = list(names)
        for also in {place, int(draw.integers(place, size))}:
            others[also] = "rewritten"
        # The rewritten log may have grown since.
        for grown in (others, [*others, "later", "later still"]):
            with pytest.raises(ConsistencyError, match=f"entry {place} is the first") as caught:
                check_same_log(old, signed(grown))
            assert caught.value.index == place


@pytest.mark.parametrize("size", SIZES)
def test_a_truncated_log_is_named_by_its_first_missing_entry(size: int) -> None:
    old = signed(log_of(size))
    for left in range(size):
        with pytest.raises(ConsistencyError, match=f"now has {left}, entry {left}") as caught:
            check_same_log(old, signed(log_of(left)))
        assert caught.value.index == left


@pytest.mark.parametrize("size", SIZES)
def test_a_fork_is_named_and_a_continuation_is_not(size: int) -> None:
    common = log_of(size)
    ours = signed([*common, *(f"ours {index}" for index in range(5))])
    for extra in range(1, 8):
        theirs = signed([*common, *(f"theirs {index}" for index in range(extra))])
        with pytest.raises(ConsistencyError, match="forked") as caught:
            check_same_log(ours, theirs)
        assert caught.value.index == size
    assert check_same_log(signed(common), ours) == size
    assert check_same_log(ours, ours) == size + 5


@given(st.lists(st.sampled_from("abc"), max_size=80), st.lists(st.sampled_from("abc"), max_size=80))
def test_the_descent_agrees_with_a_comparison_of_every_entry(
    first: list[str], second: list[str]
) -> None:
    one, other = _HashTree(hashes(first)), _HashTree(hashes(second))
    found = first_difference(one.size, one.node, other.size, other.node)
    assert found == straight(first, second)


def test_the_descent_reads_few_hashes() -> None:
    size = 5000
    names = log_of(size)
    others = list(names)
    others[size - 3] = "rewritten"
    one, other = _HashTree(hashes(names)), _HashTree(hashes(others))
    asked: list[tuple[int, int]] = []

    def counting(level: int, index: int) -> bytes:
        asked.append((level, index))
        return other.node(level, index)

    assert first_difference(size, one.node, size, counting) == size - 3
    assert len(asked) <= 2 * size.bit_length()


def test_an_export_survives_the_way_through_a_file() -> None:
    for size in (0, 1, 7, 64):
        export = signed(log_of(size))
        data = export.to_bytes()
        assert is_export(data)
        assert TreeExport.verified(data, KEY.vkey) == export
        assert TreeExport.verified(data, KEY.vkey).to_bytes() == data
    assert not is_export(export.checkpoint.to_bytes())


def test_every_changed_byte_of_an_export_is_refused() -> None:
    data = signed(log_of(3)).to_bytes()
    draw = np.random.default_rng(7)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(draw.integers(8))
        with pytest.raises(LedgerError, match=r"."):
            TreeExport.verified(bytes(damaged), KEY.vkey)


def test_what_no_export_is() -> None:
    export = signed(log_of(4))
    data = export.to_bytes()
    with pytest.raises(LedgerError, match="another number of hashes"):
        TreeExport.verified(data[:-1], KEY.vkey)
    with pytest.raises(LedgerError, match="another number of hashes"):
        TreeExport.verified(data + bytes(32), KEY.vkey)
    with pytest.raises(LedgerError, match="before their signed head"):
        TreeExport.verified(data[:60], KEY.vkey)
    with pytest.raises(LedgerError, match="not the hashes of a log"):
        TreeExport.verified(b"medseal-tree/v2 1\n", KEY.vkey)
    other = SigningKey.generate("other.example/log")
    with pytest.raises(CheckpointError, match="no signature"):
        TreeExport.verified(data, other.vkey)
    with pytest.raises(CheckpointError, match="two different logs"):
        check_same_log(export, signed(log_of(4), other))
    swapped = TreeExport(checkpoint=export.checkpoint, leaves=hashes(log_of(5)[1:]))
    with pytest.raises(LedgerError, match="not those of the signed head"):
        TreeExport.verified(swapped.to_bytes(), KEY.vkey)
    head = Checkpoint(origin="a", size=MAX_EXPORT_LEAVES + 1, root=bytes(32))
    with pytest.raises(LedgerError, match="at most"):
        TreeExport(checkpoint=head, leaves=b"")


def test_a_log_is_compared_with_what_a_witness_kept(
    ledger: EmbeddedLedger, make_event: Make
) -> None:
    ledger.append_many([make_event(number) for number in range(9)])
    kept = ledger.export()
    assert kept.size == 10
    ledger.append(make_event(20))
    ledger.check_same(kept)
    assert ledger.export(10).to_bytes() == kept.to_bytes()
    with pytest.raises(InputError, match="no checkpoint was signed"):
        ledger.export(3)


def test_an_owner_who_rewrites_his_log_is_found_out(
    path: Path, tmp_path: Path, log_key: SigningKey, make_event: Make
) -> None:
    """The owner has the key: his second log is sound in itself, only the witness can tell."""
    with EmbeddedLedger(path, signing_key=log_key, create=True) as first:
        first.append_many([make_event(number) for number in range(23)])
        kept = TreeExport.verified(first.export().to_bytes(), log_key.vkey)
    again = tmp_path / "again.sqlite"
    with EmbeddedLedger(again, signing_key=log_key, create=True) as second:
        second.append_many([make_event(number) for number in range(13)])
        second.append_many([make_event(number + 100) for number in range(14)])
        second.audit()
        with pytest.raises(ConsistencyError, match="entry 13 is the first") as caught:
            second.check_same(kept)
    assert caught.value.index == 13


def test_a_changed_hash_inside_the_log_is_the_audit_to_find(
    path: Path, log_key: SigningKey, make_event: Make
) -> None:
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        ledger.append_many([make_event(number) for number in range(8)])
        kept = ledger.export()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE node SET hash = zeroblob(32) WHERE position = 2")
    with EmbeddedLedger(path, vkey=log_key.vkey) as ledger:
        log = ledger._reader
        # The head is the one node over all, so the damage below is the replay's to find.
        refuse_difference(kept, 8, log.node)
        with pytest.raises(LedgerError, match="over the entry 3 differs"):
            ledger.audit()
