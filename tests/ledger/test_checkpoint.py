import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal import errors
from medseal.errors import CheckpointError
from medseal.ledger.checkpoint import MAX_TREE_SIZE, Checkpoint, verify_checkpoint
from medseal.ledger.note import NoteSignature, SigningKey, VerifyingKey

VECTORS = Path(__file__).parents[1] / "vectors" / "checkpoint"

# The example of c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()  # noqa: E501 - word for word


def flips(data: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


@pytest.fixture
def head(log_key: SigningKey) -> Checkpoint:
    return Checkpoint(origin=log_key.name, size=7, root=bytes(range(32))).sign(log_key)


def test_the_example_of_the_specification_round_trips() -> None:
    checkpoint = Checkpoint.parse(EXAMPLE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.signatures[1].timestamp_s == 1679315147
    assert checkpoint.to_bytes() == EXAMPLE


def test_signed_and_verified(head: Checkpoint, log_key: SigningKey) -> None:
    assert verify_checkpoint(head.to_bytes(), log_key.vkey) == head
    lines = head.to_bytes().decode().split("\n")
    assert lines[:2] == [log_key.name, "7"]
    assert lines[3] == ""
    assert lines[4].startswith(f"— {log_key.name} ")


def test_a_witness_cosigns(head: Checkpoint, log_key: SigningKey, witness_key: SigningKey) -> None:
    cosigned = head.sign(witness_key, timestamp_s=1_700_000_000)
    data = cosigned.to_bytes()
    assert data.startswith(head.to_bytes())
    # Who does not know the witness ignores its line; who wants it refuses a head without.
    assert verify_checkpoint(data, log_key.vkey) == cosigned
    assert verify_checkpoint(data, log_key.vkey, witnesses=(witness_key.vkey,)) == cosigned
    with pytest.raises(CheckpointError, match="lacks the signature of 'witness"):
        verify_checkpoint(head.to_bytes(), log_key.vkey, witnesses=(witness_key.vkey,))


def test_a_witness_cannot_stand_for_the_log(log_key: SigningKey, witness_key: SigningKey) -> None:
    head = Checkpoint(origin=log_key.name, size=7, root=bytes(32))
    only_witness = head.sign(witness_key, timestamp_s=1).to_bytes()
    with pytest.raises(CheckpointError, match="lacks the signature of 'medseal"):
        verify_checkpoint(only_witness, log_key.vkey, witnesses=(witness_key.vkey,))


def test_every_flipped_bit_is_refused(head: Checkpoint, log_key: SigningKey) -> None:
    for changed in flips(head.to_bytes()):
        with pytest.raises(CheckpointError, match=r"."):
            verify_checkpoint(changed, log_key.vkey)


def test_every_flipped_bit_is_refused_by_who_wants_the_witness(
    head: Checkpoint, log_key: SigningKey, witness_key: SigningKey
) -> None:
    data = head.sign(witness_key, timestamp_s=1_700_000_000).to_bytes()
    for changed in flips(data):
        with pytest.raises(CheckpointError, match=r"."):
            verify_checkpoint(changed, log_key.vkey, witnesses=(witness_key.vkey,))


def test_every_truncation_is_refused(head: Checkpoint, log_key: SigningKey) -> None:
    data = head.to_bytes()
    for end in range(len(data)):
        with pytest.raises(CheckpointError, match=r"."):
            verify_checkpoint(data[:end], log_key.vkey)


def test_another_origin_is_refused(log_key: SigningKey) -> None:
    foreign = Checkpoint(origin="other.example", size=7, root=bytes(32)).sign(log_key)
    with pytest.raises(CheckpointError, match="of another log"):
        verify_checkpoint(foreign.to_bytes(), log_key.vkey)
    with pytest.raises(CheckpointError, match="of another log"):
        foreign.verify(log_key.vkey)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n7\n", "\n07\n", "decimal"),
        ("\n7\n", "\n+7\n", "decimal"),
        ("\n7\n", "\n7 \n", "decimal"),
        ("\n7\n", "\n\u0667\n", "decimal"),
        ("\n7\n", "\n\n", "decimal"),
        ("\n7\n", f"\n{MAX_TREE_SIZE + 1}\n", "63 bits"),
        ("Hh8=\n", "Hh9=\n", "canonical"),
        ("AAEC", "", "63 bits and a root"),
        ("\n7\n", "\n", "an origin, a size and a root"),
    ],
)
def test_other_spellings_are_refused(head: Checkpoint, old: str, new: str, message: str) -> None:
    text = head.to_bytes().decode()
    assert old in text
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.parse(text.replace(old, new, 1).encode())


def test_two_lines_are_no_checkpoint(head: Checkpoint) -> None:
    body, _, rest = head.to_bytes().partition(b"\n\n")
    with pytest.raises(CheckpointError, match="an origin, a size and a root"):
        Checkpoint.parse(b"\n".join(body.split(b"\n")[:2]) + b"\n\n" + rest)


def test_extension_lines_are_kept_and_signed(log_key: SigningKey) -> None:
    head = Checkpoint(origin=log_key.name, size=0, root=bytes(32), extensions=("one", "two")).sign(
        log_key
    )
    assert verify_checkpoint(head.to_bytes(), log_key.vkey).extensions == ("one", "two")
    shorter = replace(head, extensions=("one",))
    with pytest.raises(CheckpointError, match="does not fit"):
        shorter.verify(log_key.vkey)
    with pytest.raises(CheckpointError, match="empty or holds a control"):
        replace(head, extensions=("",))


names = st.text(
    st.characters(min_codepoint=33, exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")),
    min_size=1,
    max_size=20,
).filter(lambda name: "+" not in name and not any(c.isspace() for c in name))
lines = st.builds(
    NoteSignature,
    name=names,
    key_id=st.binary(min_size=4, max_size=4),
    value=st.binary(min_size=1, max_size=80),
)


@given(
    st.builds(
        Checkpoint,
        origin=names,
        size=st.integers(0, MAX_TREE_SIZE),
        root=st.binary(min_size=32, max_size=32),
        extensions=st.lists(names, max_size=3).map(tuple),
        signatures=st.lists(lines, min_size=1, max_size=5).map(tuple),
    )
)
def test_round_trip(checkpoint: Checkpoint) -> None:
    assert Checkpoint.parse(checkpoint.to_bytes()) == checkpoint


@given(st.binary(max_size=200))
def test_what_parses_is_written_the_same(tail: bytes) -> None:
    data = EXAMPLE[:100] + tail + EXAMPLE[100:]
    try:
        parsed = Checkpoint.parse(data)
    except CheckpointError:
        return
    assert parsed.to_bytes() == data


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    data = vector["checkpoint"].encode()
    key = VerifyingKey.parse(vector["vkey"])
    witnesses = [VerifyingKey.parse(text) for text in vector["witnesses"]]
    if vector["expect"] == "success":
        head = verify_checkpoint(data, key, witnesses=witnesses)
        assert head.size == vector["size"]
        assert head.to_bytes() == data
    else:
        with pytest.raises(getattr(errors, vector["expect"]), match=vector["message"]):
            verify_checkpoint(data, key, witnesses=witnesses)


def test_there_are_vectors() -> None:
    assert len(list(VECTORS.glob("*.json"))) >= 10
