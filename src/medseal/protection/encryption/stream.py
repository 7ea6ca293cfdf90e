"""Payload of a sealed package: chunks of AES-256-GCM in the STREAM construction.

The nonce of a chunk is its number and a mark on the last one, so that no chunk can be moved,
repeated, left out or added. The key serves one payload and no other. No security claim rests on
a learned method.

References
----------
Hoang, Reyhanitabar, Rogaway, Vizar 2015, "Online authenticated-encryption and its nonce-reuse
misuse-resistance", doi:10.1007/978-3-662-47989-6_24.
"""

import io

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medseal.errors import PayloadAuthenticationError
from medseal.protection.encryption.header import TAG_BYTES

__all__ = ["open_payload", "seal_payload", "sealed_size"]

_COUNTER_BYTES = 11


def _chunk_count(plaintext_bytes: int, chunk_bytes: int) -> int:
    """Return the number of chunks; an empty plaintext has one, so that it too carries a tag."""
    return max(1, -(-plaintext_bytes // chunk_bytes))


def _nonce(index: int, count: int) -> bytes:
    """Return the 12-byte nonce of a chunk: 11 bytes of its number, then 1 on the last."""
    return index.to_bytes(_COUNTER_BYTES, "big") + bytes((index == count - 1,))


def sealed_size(plaintext_bytes: int, *, chunk_bytes: int) -> int:
    """Return the length in bytes of a sealed payload: the plaintext and a tag for each chunk."""
    return plaintext_bytes + TAG_BYTES * _chunk_count(plaintext_bytes, chunk_bytes)


def seal_payload(
    key: bytes, plaintext: memoryview, sealed: memoryview, *, chunk_bytes: int
) -> None:
    """Seal `plaintext` into the buffer `sealed`, without a copy.

    Parameters
    ----------
    key
        32 bytes that seal this payload only.
    plaintext
        Flat view of bytes.
    sealed
        Flat writable view of exactly `sealed_size` bytes.
    chunk_bytes
        Plaintext bytes in each chunk but the last.
    """
    cipher = AESGCM(key)
    count = _chunk_count(plaintext.nbytes, chunk_bytes)
    for index in range(count):
        start = index * chunk_bytes
        chunk = plaintext[start : start + chunk_bytes]
        target = start + index * TAG_BYTES
        room = sealed[target : target + chunk.nbytes + TAG_BYTES]
        cipher.encrypt_into(_nonce(index, count), chunk, None, room)


def open_payload(
    key: bytes, sealed: memoryview, *, plaintext_bytes: int, chunk_bytes: int
) -> bytes:
    """Return the plaintext after every chunk has been authenticated, or nothing.

    Parameters
    ----------
    key
        32 bytes, as for `seal_payload`.
    sealed
        Flat view of exactly `sealed_size` bytes.
    plaintext_bytes
        Length of the plaintext, from an authenticated header.
    chunk_bytes
        Plaintext bytes in each chunk but the last, from an authenticated header.

    Raises
    ------
    PayloadAuthenticationError
        A chunk was changed, moved, repeated or exchanged.
    """
    cipher = AESGCM(key)
    count = _chunk_count(plaintext_bytes, chunk_bytes)
    # BytesIO hands its buffer over as bytes without the copy that a bytearray would need.
    buffer = io.BytesIO(bytes(plaintext_bytes))
    with buffer.getbuffer() as room:
        for index in range(count):
            start = index * chunk_bytes
            end = min(start + chunk_bytes, plaintext_bytes)
            source = start + index * TAG_BYTES
            chunk = sealed[source : source + end - start + TAG_BYTES]
            try:
                cipher.decrypt_into(_nonce(index, count), chunk, None, room[start:end])
            except InvalidTag:
                raise PayloadAuthenticationError(
                    f"chunk {index + 1} of {count} was changed or stands in the wrong place; "
                    "fetch the package again"
                ) from None
    return buffer.getvalue()
