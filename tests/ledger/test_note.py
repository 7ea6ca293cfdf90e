import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import CheckpointError, InputError
from medseal.ledger.note import (
    COSIGNATURE_V1,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSignature,
    SignedNote,
    SigningKey,
    VerifyingKey,
    cosigned_message,
    decode_base64,
)

# Known answers of the reference implementation, golang.org/x/mod/sumdb/note (BSD-3-Clause).
PETER_SEED_TEXT = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
PETER_LINE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
ENOCH_LINE = (
    "— EnochRoot "
    "rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ="
)
NOTE = TEXT + f"\n{PETER_LINE}\n{ENOCH_LINE}\n".encode()


def test_reference_note_is_written_and_verified() -> None:
    signer = SigningKey.parse(PETER_SEED_TEXT)
    assert str(signer.vkey) == PETER
    assert str(NoteSignature.make(TEXT, signer)) == PETER_LINE
    note = SignedNote.parse(NOTE)
    assert note.to_bytes() == NOTE
    assert note.text == TEXT
    peter, enoch = VerifyingKey.parse(PETER), VerifyingKey.parse(ENOCH)
    assert note.verify((peter,)) == {peter}
    assert note.verify((peter, enoch)) == {peter, enoch}


def test_unknown_keys_are_ignored_but_one_known_key_must_sign() -> None:
    stranger = SigningKey.generate("stranger.example")
    note = SignedNote.parse(NOTE)
    assert note.verify((stranger.vkey, VerifyingKey.parse(PETER)))
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        note.verify((stranger.vkey,))
    # The name alone does not make a key known: its id differs.
    namesake = SigningKey.generate("PeterNeumann")
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        note.verify((namesake.vkey,))


def test_one_bad_line_of_a_known_key_refuses_the_note() -> None:
    peter, enoch = VerifyingKey.parse(PETER), VerifyingKey.parse(ENOCH)
    other = SignedNote.parse(NOTE.replace(b"cryptography", b"cryptographY"))
    with pytest.raises(CheckpointError, match="does not fit"):
        other.verify((peter, enoch))
    good, bad = SignedNote.parse(NOTE).signatures
    bad = NoteSignature(name=bad.name, key_id=bad.key_id, value=good.value)
    with pytest.raises(CheckpointError, match="'EnochRoot' does not fit"):
        SignedNote(text=TEXT, signatures=(good, bad)).verify((peter, enoch))


@pytest.mark.parametrize("parse", [VerifyingKey.parse, SigningKey.parse])
def test_mangled_keys_are_refused(parse: object) -> None:
    text = PETER if parse == VerifyingKey.parse else PETER_SEED_TEXT
    mangled = [text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
    mangled.remove(text)
    mangled += [f"{text[:i]}{chr(ord(text[i]) + 1)}{text[i + 1 :]}" for i in range(len(text))]
    mangled += [text + "\n", text + "=", text.replace("c74f20a3", "C74F20A3")]
    for broken in mangled:
        with pytest.raises(InputError, match=r"key|unknown signature type"):
            parse(broken)  # type: ignore[operator]


def test_keys_of_unknown_type_or_length_are_refused() -> None:
    # Both key ids fit their contents; from the tests of the reference implementation.
    for text in (
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ):
        with pytest.raises(InputError, match=r"key|unknown signature type"):
            VerifyingKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2003b", "a\tb", "x" * 65])
def test_key_names(name: str) -> None:
    with pytest.raises(InputError, match="key name"):
        SigningKey.generate(name)


def test_secrets_stay_out_of_repr() -> None:
    signer = SigningKey.parse(PETER_SEED_TEXT)
    assert PETER_SEED_TEXT[-20:] not in repr(signer)
    assert signer.seed.hex() not in repr(signer)
    assert str(signer.seed) not in repr(signer)


def test_generated_keys_round_trip_and_differ() -> None:
    one, other = (SigningKey.generate("log.example", algorithm=COSIGNATURE_V1) for _ in range(2))
    assert one.vkey != other.vkey
    assert SigningKey.parse(one.to_text()) == one
    assert VerifyingKey.parse(str(one.vkey)) == one.vkey
    # The type is part of the id: one key may serve two types without confusion.
    twin = SigningKey(name=one.name, seed=one.seed)
    assert twin.vkey.public_key == one.vkey.public_key
    assert twin.vkey.key_id != one.vkey.key_id


def test_cosignature_binds_time_and_text() -> None:
    witness = SigningKey.generate("witness.example", algorithm=COSIGNATURE_V1)
    assert cosigned_message(b"text\n", 1679315147) == b"cosignature/v1\ntime 1679315147\ntext\n"
    line = NoteSignature.make(TEXT, witness, timestamp_s=1679315147)
    assert line.timestamp_s == 1679315147
    assert SignedNote(text=TEXT, signatures=(line,)).verify((witness.vkey,))
    later = (1679315148).to_bytes(8, "big") + line.value[8:]
    changed = NoteSignature(name=line.name, key_id=line.key_id, value=later)
    with pytest.raises(CheckpointError, match="does not fit"):
        SignedNote(text=TEXT, signatures=(changed,)).verify((witness.vkey,))
    beyond = NoteSignature(name=line.name, key_id=line.key_id, value=b"\x80" + line.value[1:])
    with pytest.raises(CheckpointError, match="63 bits"):
        SignedNote(text=TEXT, signatures=(beyond,)).verify((witness.vkey,))
    short = NoteSignature(name=line.name, key_id=line.key_id, value=line.value[:8])
    with pytest.raises(CheckpointError, match="does not fit"):
        SignedNote(text=TEXT, signatures=(short,)).verify((witness.vkey,))


def test_a_time_belongs_to_a_witness_only() -> None:
    witness = SigningKey.generate("witness.example", algorithm=COSIGNATURE_V1)
    with pytest.raises(InputError, match="with a time"):
        NoteSignature.make(TEXT, witness)
    with pytest.raises(InputError, match="with a time"):
        NoteSignature.make(TEXT, SigningKey.parse(PETER_SEED_TEXT), timestamp_s=1)
    assert NoteSignature.parse(PETER_LINE).timestamp_s is None


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (b"", "empty line"),
        (TEXT, "empty line"),
        (TEXT + b"\n", "empty line"),
        (NOTE[:-1], "empty line"),
        (NOTE + b"\n", "empty line"),
        (NOTE + b"x\n", "malformed signature"),
        (b"\n\n" + PETER_LINE.encode() + b"\n", "empty line"),
        (NOTE.replace(b"answer", b"an\tswer"), "control"),
        (NOTE.replace(b"\n", b"\r\n"), "control"),
        (NOTE.replace(b"answer", b"\xff"), "UTF-8"),
        (NOTE.replace("— P".encode(), b"- P"), "malformed signature"),
        (NOTE.replace("— P".encode(), "—  P".encode()), "malformed signature"),
        (NOTE.replace(b"PeterNeumann x", b"Peter+Neumann x"), "malformed signature"),
        (NOTE.replace(b"PeterNeumann x", b"PeterNeumann  x"), "base 64"),
        (NOTE.replace(b"nAM=", b"nAN="), "canonical"),
        (NOTE.replace(b"nAM=", b"nAM"), "base 64"),
        (NOTE.replace(b"nAM=", b"nAM=\xc2\xa0"), "base 64"),
        (TEXT + "\n— a AAAAAA==\n".encode(), "too short"),
        (TEXT + b"\n" + f"{PETER_LINE}\n".encode() * (MAX_SIGNATURES + 1), "at most 64"),
        (b"x" * MAX_NOTE_BYTES + b"\n\n", "at most 65536"),
    ],
)
def test_what_is_no_note_is_refused(note: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        SignedNote.parse(note)


def test_the_text_may_hold_empty_lines_and_many_signatures() -> None:
    text = b"a\n\n\nb\n"
    note = SignedNote(text=text, signatures=(NoteSignature.parse(PETER_LINE),) * MAX_SIGNATURES)
    assert SignedNote.parse(note.to_bytes()) == note


@given(st.binary(max_size=64))
def test_base_64_has_one_spelling(data: bytes) -> None:
    try:
        decoded = decode_base64(data.decode("latin-1"))
    except CheckpointError:
        return
    assert len(decoded) == len(data) // 4 * 3 - data[-2:].count(b"=")


@given(st.binary(max_size=300))
def test_garbage_never_escapes_the_tree_of_errors(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"note|signature|base 64"):
        SignedNote.parse(data)
