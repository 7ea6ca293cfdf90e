import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.digest import Digest
from medseal.errors import DigestMismatchError, InputError
from medseal.ledger.commitment import check_commitment, commit, new_salt

VALUES, METADATA = Digest.plain(b"values"), Digest.plain(b"metadata")


def test_commitment_is_the_hash_of_the_five_parts() -> None:
    salt = bytes(range(32))
    expected = hashlib.sha256(b"\x00\x01" + salt + VALUES.value + METADATA.value).digest()
    assert commit(salt, VALUES, METADATA).value == expected


@given(st.binary(min_size=32, max_size=32), st.integers(0, 255), st.sampled_from("svm"))
def test_every_part_is_bound(salt: bytes, bit: int, part: str) -> None:
    def flipped(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    commitment = commit(salt, VALUES, METADATA)
    check_commitment(commitment, salt, VALUES, METADATA)
    other = (
        flipped(salt) if part == "s" else salt,
        Digest(flipped(VALUES.value)) if part == "v" else VALUES,
        Digest(flipped(METADATA.value)) if part == "m" else METADATA,
    )
    with pytest.raises(DigestMismatchError, match="does not fit the commitment"):
        check_commitment(commitment, *other)


def test_salts_are_fresh_and_have_one_length() -> None:
    assert len({new_salt() for _ in range(100)}) == 100
    with pytest.raises(InputError, match="32 bytes, not 31"):
        commit(bytes(31), VALUES, METADATA)
