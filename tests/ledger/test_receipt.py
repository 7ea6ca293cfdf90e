import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal import errors
from medseal.digest import Digest
from medseal.errors import (
    CheckpointError,
    DigestMismatchError,
    InclusionError,
    InputError,
    LedgerError,
    ReceiptError,
)
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.commitment import commit
from medseal.ledger.events import Event, EventKind
from medseal.ledger.merkle import Frontier, Tree, leaf_hash
from medseal.ledger.note import SigningKey, VerifyingKey
from medseal.ledger.receipt import MAX_RECEIPT_BYTES, Anchor, Opening, Receipt, verify

VECTORS = Path(__file__).parents[1] / "vectors" / "receipt"
SALT = bytes(range(32))
VALUES, METADATA = Digest.plain(b"values"), Digest.plain(b"metadata")
OPENING = Opening(salt=SALT, values=VALUES, metadata=METADATA)
ANCHOR = Anchor(
    chain_id=1337,
    contract="0x" + "ab" * 20,
    transaction="0x" + "cd" * 32,
    block_number=12,
    block_hash="0x" + "ef" * 32,
)


def make_receipt(log_key: SigningKey, index: int = 2, size: int = 7) -> Receipt:
    leaves = [
        Event(
            kind=EventKind.SEAL,
            at_ms=number,
            subject=str(commit(SALT, VALUES, METADATA)),
            details={"number": number},
            nonce=f"{number:032x}",
        ).leaf()
        for number in range(size)
    ]
    frontier, nodes = Frontier(), {}
    for place, leaf in enumerate(leaves):
        nodes[0, place] = leaf_hash(leaf)
        nodes.update({(a, b): node for a, b, node in frontier.append(leaf_hash(leaf))})
    head = Checkpoint(origin=log_key.name, size=size, root=frontier.root()).sign(log_key)
    path = Tree(size, lambda level, place: nodes[level, place]).inclusion_path(index)
    return Receipt(leaf=leaves[index], index=index, path=path, checkpoint=head)


@pytest.fixture
def receipt(log_key: SigningKey) -> Receipt:
    return make_receipt(log_key)


def with_digest(body: bytes) -> bytes:
    """Return a body under a digest line that fits, as somebody who forges would write it."""
    return body + b"digest sha256:" + hashlib.sha256(body).hexdigest().encode() + b"\n"


def split_digest(data: bytes) -> bytes:
    return data[: data.rindex(b"digest sha256:")]


def test_a_receipt_proves_its_event(receipt: Receipt, log_key: SigningKey) -> None:
    data = receipt.to_bytes()
    event = verify(data, log_key.vkey)
    assert event == Event.parse(receipt.leaf)
    assert event == verify(receipt, log_key.vkey)
    assert Receipt.parse(data) == receipt
    assert receipt.leaf_hash.value == leaf_hash(receipt.leaf)
    assert receipt.size == 7


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (4, 5), (6, 7), (7, 8)])
def test_shapes_of_trees(log_key: SigningKey, index: int, size: int) -> None:
    data = make_receipt(log_key, index, size).to_bytes()
    assert verify(data, log_key.vkey).details["number"] == index


def test_an_opening_binds_the_image(receipt: Receipt, log_key: SigningKey) -> None:
    opened = receipt.with_opening(OPENING)
    verify(opened.to_bytes(), log_key.vkey)
    opened.check_values(VALUES)
    with pytest.raises(DigestMismatchError, match="other stored values") as caught:
        opened.check_values(METADATA)
    assert (caught.value.expected, caught.value.actual) == (str(VALUES), str(METADATA))
    shared = opened.without_opening()
    assert shared == receipt
    assert SALT.hex() not in shared.to_bytes().decode()
    assert str(VALUES) not in shared.to_bytes().decode()
    with pytest.raises(ReceiptError, match="no opening"):
        shared.check_values(VALUES)


def test_an_opening_of_another_image_is_refused(receipt: Receipt, log_key: SigningKey) -> None:
    other = Opening(salt=SALT, values=METADATA, metadata=VALUES)
    with pytest.raises(DigestMismatchError, match="does not fit the commitment"):
        receipt.with_opening(other)
    forged = replace(receipt, opening=other)
    with pytest.raises(ReceiptError, match="does not fit the commitment"):
        verify(forged.to_bytes(), log_key.vkey)
    with pytest.raises(InputError, match="32 bytes"):
        Opening(salt=b"short", values=VALUES, metadata=METADATA)


def test_an_event_without_commitment_has_no_opening(log_key: SigningKey) -> None:
    leaf = Event(kind=EventKind.VERIFY, at_ms=1, nonce="0" * 32).leaf()
    head = Checkpoint(origin=log_key.name, size=1, root=leaf_hash(leaf)).sign(log_key)
    plain = Receipt(leaf=leaf, index=0, path=(), checkpoint=head)
    verify(plain, log_key.vkey)
    with pytest.raises(ReceiptError, match="names no commitment"):
        plain.with_opening(OPENING)


def test_every_flipped_bit_is_refused(receipt: Receipt, log_key: SigningKey) -> None:
    data = replace(receipt, opening=OPENING, anchor=ANCHOR).to_bytes()
    verify(data, log_key.vkey)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LedgerError, match=r"."):
            verify(bytes(changed), log_key.vkey)


def test_every_flipped_bit_is_refused_although_the_digest_line_was_mended(
    receipt: Receipt, log_key: SigningKey, witness_key: SigningKey
) -> None:
    cosigned = replace(
        receipt, checkpoint=receipt.checkpoint.sign(witness_key, timestamp_s=1), opening=OPENING
    )
    body = split_digest(cosigned.to_bytes())
    witnesses = (witness_key.vkey,)
    verify(with_digest(body), log_key.vkey, witnesses=witnesses)
    for bit in range(8 * len(body)):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ReceiptError, CheckpointError, InclusionError), match=r"."):
            verify(with_digest(bytes(changed)), log_key.vkey, witnesses=witnesses)


def test_every_truncation_is_refused(receipt: Receipt, log_key: SigningKey) -> None:
    data = receipt.to_bytes()
    for end in range(len(data)):
        with pytest.raises(ReceiptError, match=r"not a receipt|damaged"):
            verify(data[:end], log_key.vkey)


def test_another_log_is_refused(receipt: Receipt) -> None:
    other = SigningKey(name=receipt.checkpoint.origin, seed=bytes(32))
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        verify(receipt, other.vkey)


def test_an_entry_that_was_not_signed_is_refused(receipt: Receipt, log_key: SigningKey) -> None:
    event = Event.parse(receipt.leaf)
    forged = replace(receipt, leaf=replace(event, at_ms=event.at_ms + 1).leaf())
    with pytest.raises(InclusionError, match="does not lead to the root"):
        verify(forged, log_key.vkey)
    with pytest.raises(InclusionError, match="does not lead to the root"):
        verify(replace(receipt, index=3), log_key.vkey)


def test_a_witness_can_be_demanded(
    receipt: Receipt, log_key: SigningKey, witness_key: SigningKey
) -> None:
    with pytest.raises(CheckpointError, match="lacks the signature of 'witness"):
        verify(receipt, log_key.vkey, witnesses=(witness_key.vkey,))


def test_a_leaf_that_is_no_event_is_refused_though_it_is_in_the_log(log_key: SigningKey) -> None:
    leaf = b'medseal-event/v1\n{"free":"text"}'
    head = Checkpoint(origin=log_key.name, size=1, root=leaf_hash(leaf)).sign(log_key)
    odd = Receipt(leaf=leaf, index=0, path=(), checkpoint=head)
    with pytest.raises(ReceiptError, match="no valid event"):
        verify(odd.to_bytes(), log_key.vkey)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"medseal-receipt/v1", b"medseal-receipt/v2", "version 1"),
        (b"index 2\n", b"index 02\n", "leading zeros"),
        (b"index 2\n", b"index 2\nindex 2\n", "does not know"),
        (b"index 2\n", b"index 7\n", "older than the entry"),
        (b"index 2\n", b"", "lacks its leaf or its index"),
        (b"index 2\n", b"index 2\nfuture x\n", "does not know"),
        (b"index 2\npath", b"path", "lacks"),
        (b"leaf medseal", b"leaf  medseal", "another version"),
        (b"leaf medseal-event/v1", b"leaf medseal-event/v2", "another version"),
        (b'"seal"', b'"s\xffal"', "no ASCII"),
        (b"path ", b"path =", "malformed path"),
        (b"path ", b"path AAAA\npath ", "path is malformed"),
        (b"\n\n", b"\n", "leading zeros|does not know|ends before"),
        (b"\n\n", b"\n\n\n", "decimal without leading zeros"),
    ],
)
def test_other_spellings_are_refused(
    receipt: Receipt, log_key: SigningKey, old: bytes, new: bytes, message: str
) -> None:
    body = split_digest(receipt.to_bytes())
    assert old in body
    with pytest.raises(LedgerError, match=message):
        verify(with_digest(body.replace(old, new, 1)), log_key.vkey)


def test_another_order_of_lines_is_refused(receipt: Receipt, log_key: SigningKey) -> None:
    body = split_digest(receipt.to_bytes())
    lines = body.split(b"\n")
    lines[1], lines[2] = lines[2], lines[1]
    with pytest.raises(ReceiptError, match="canonical form"):
        verify(with_digest(b"\n".join(lines)), log_key.vkey)


def test_a_swapped_opening_line_is_refused(receipt: Receipt, log_key: SigningKey) -> None:
    body = split_digest(receipt.with_opening(OPENING).to_bytes())
    for old, new in ((SALT.hex(), SALT.hex().upper()), (str(VALUES), "sha256:00"), (" sha", "  s")):
        with pytest.raises(ReceiptError, match="opening"):
            verify(with_digest(body.replace(old.encode(), new.encode(), 1)), log_key.vkey)


def test_anchors_round_trip_and_have_one_form(receipt: Receipt) -> None:
    anchored = replace(receipt, anchor=ANCHOR)
    assert Receipt.parse(anchored.to_bytes()) == anchored
    body = split_digest(anchored.to_bytes())
    changes = {
        b'"chain_id":1337': b'"chain_id":"1337"',
        b'"block_number":12': b'"block_number":-1',
        b"0xab": b"0xAB",
        b'"contract"': b'"contracts"',
        b'{"block_hash"': b'{ "block_hash"',
    }
    for old, new in changes.items():
        assert old in body
        with pytest.raises(ReceiptError, match="anchor"):
            Receipt.parse(with_digest(body.replace(old, new, 1)))
    with pytest.raises(InputError, match="whole numbers"):
        replace(ANCHOR, chain_id=True)


def test_sizes_are_bounded(receipt: Receipt) -> None:
    with pytest.raises(ReceiptError, match="at most"):
        Receipt.parse(b"medseal-receipt/v1\n".ljust(MAX_RECEIPT_BYTES + 1))
    with pytest.raises(ReceiptError, match="path is malformed"):
        replace(receipt, path=(bytes(32),) * 65)
    with pytest.raises(ReceiptError, match="too long"):
        replace(receipt, leaf=receipt.leaf.ljust(5000))
    with pytest.raises(ReceiptError, match="one line of ASCII"):
        replace(receipt, leaf=receipt.leaf + b"\n")


@given(st.binary(max_size=300))
def test_garbage_never_escapes_the_tree_of_errors(data: bytes) -> None:
    with pytest.raises(LedgerError, match=r"."):
        Receipt.parse(data)
    with pytest.raises(LedgerError, match=r"."):
        Receipt.parse(with_digest(b"medseal-receipt/v1\n" + data))


@given(st.integers(0, 40), st.data())
def test_any_entry_of_any_size(index: int, data: st.DataObject) -> None:
    key = SigningKey(name="medseal.example/test", seed=bytes(range(32)))
    size = data.draw(st.integers(index + 1, 41))
    made = make_receipt(key, index, size)
    assert Receipt.parse(made.to_bytes()).to_bytes() == made.to_bytes()
    assert verify(made.to_bytes(), key.vkey).details["number"] == index


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    data = vector["receipt"].encode()
    key = VerifyingKey.parse(vector["vkey"])
    witnesses = [VerifyingKey.parse(text) for text in vector["witnesses"]]
    if vector["expect"] == "success":
        assert verify(data, key, witnesses=witnesses).kind == vector["kind"]
        assert Receipt.parse(data).to_bytes() == data
    else:
        with pytest.raises(getattr(errors, vector["expect"]), match=vector["message"]):
            verify(data, key, witnesses=witnesses)


def test_there_are_vectors() -> None:
    assert len(list(VECTORS.glob("*.json"))) >= 10


def test_receipts_are_small(log_key: SigningKey, make_event: Callable[[int], Event]) -> None:
    receipt = make_receipt(log_key, 0, 7)
    deep = replace(
        receipt,
        leaf=make_event(1).leaf(),
        path=(bytes(32),) * 20,
        checkpoint=replace(receipt.checkpoint, size=1_000_000),
    )
    assert len(deep.to_bytes()) < 2048
