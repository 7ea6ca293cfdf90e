import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import PayloadAuthenticationError
from medseal.protection.encryption.stream import open_payload, seal_payload, sealed_size

KEY = bytes(range(32))
CHUNK = 8


def seal(plaintext: bytes, chunk_bytes: int = CHUNK) -> bytes:
    room = bytearray(sealed_size(len(plaintext), chunk_bytes=chunk_bytes))
    seal_payload(KEY, memoryview(plaintext), memoryview(room), chunk_bytes=chunk_bytes)
    return bytes(room)


def open_(sealed: bytes, plaintext_bytes: int) -> bytes:
    return open_payload(KEY, memoryview(sealed), plaintext_bytes=plaintext_bytes, chunk_bytes=CHUNK)


@given(st.binary(max_size=100))
def test_open_gives_back_the_plaintext(plaintext: bytes) -> None:
    assert open_(seal(plaintext), len(plaintext)) == plaintext


@pytest.mark.parametrize(
    ("size", "chunks"), [(0, 1), (1, 1), (7, 1), (8, 1), (9, 2), (16, 2), (17, 3)]
)
def test_each_chunk_adds_one_tag(size: int, chunks: int) -> None:
    assert sealed_size(size, chunk_bytes=CHUNK) == size + 16 * chunks == len(seal(bytes(size)))


def test_chunks_are_sealed_as_specified() -> None:
    cipher = AESGCM(KEY)
    expected = (
        cipher.encrypt(bytes(11) + b"\x00", b"abcdefgh", None)
        + cipher.encrypt(bytes(10) + b"\x01\x00", b"ijklmnop", None)
        + cipher.encrypt(bytes(10) + b"\x02\x01", b"qr", None)
    )
    assert seal(b"abcdefghijklmnopqr") == expected
    assert seal(b"") == cipher.encrypt(bytes(11) + b"\x01", b"", None)


@given(st.binary(min_size=9, max_size=60), st.data())
def test_any_other_order_of_chunks_is_refused(plaintext: bytes, draw: st.DataObject) -> None:
    sealed = seal(plaintext)
    step = CHUNK + 16
    chunks = [sealed[i : i + step] for i in range(0, len(sealed), step)]
    picked = draw.draw(st.lists(st.sampled_from(chunks), min_size=1, max_size=len(chunks) + 2))
    if picked == chunks:
        return
    length = sum(len(chunk) - 16 for chunk in picked)
    mixed = b"".join(picked)
    if len(mixed) != sealed_size(length, chunk_bytes=CHUNK):
        # A short chunk before the last one moves all later borders.
        length = max(
            n for n in range(len(mixed)) if sealed_size(n, chunk_bytes=CHUNK) <= len(mixed)
        )
        mixed = mixed[: sealed_size(length, chunk_bytes=CHUNK)]
    with pytest.raises(
        PayloadAuthenticationError, match="was changed or stands in the wrong place"
    ):
        open_(mixed, length)


@given(st.binary(max_size=40), st.data())
def test_any_flipped_bit_is_refused(plaintext: bytes, draw: st.DataObject) -> None:
    sealed = bytearray(seal(plaintext))
    place = draw.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[place // 8] ^= 1 << place % 8
    number = place // 8 // (CHUNK + 16) + 1
    with pytest.raises(PayloadAuthenticationError, match=f"^chunk {number} of "):
        open_(bytes(sealed), len(plaintext))


def test_sealing_the_same_twice_gives_the_same_so_the_key_must_be_new_each_time() -> None:
    assert seal(b"same") == seal(b"same")


def test_another_chunk_size_does_not_open() -> None:
    with pytest.raises(PayloadAuthenticationError, match="chunk 1 of 2"):
        open_(seal(bytes(16), chunk_bytes=16) + bytes(16), 16)
