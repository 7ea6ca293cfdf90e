import dataclasses
import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.digest import Digest
from medseal.errors import FingerprintError
from medseal.imaging import values_digest
from medseal.protection.tamper import (
    MAX_FINGERPRINT_BYTES,
    Fingerprint,
    fingerprint,
    signer_of,
)
from medseal.protection.tamper.fingerprint import MAX_ROBUST_BYTES
from tests.protection.pictures import KEY, grey, picture


@pytest.fixture(scope="module")
def record():
    return fingerprint(grey(512, 512), KEY)


@given(
    shape=st.tuples(
        st.integers(1, 40), st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])
    ),
    dtype=st.sampled_from(["u1", "u2", "i2", "i4", "f4", "f8"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_write_then_read_gives_the_same_record(shape, dtype, seed):
    values = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    name = "RGB" if shape[3] == 3 else "MONOCHROME1"
    made = fingerprint(picture(values, photometric=name), KEY)
    data = made.to_bytes()
    assert Fingerprint.from_bytes(data) == made
    assert Fingerprint.from_bytes(data).to_bytes() == data
    Fingerprint.from_bytes(data).authenticate(KEY)
    Fingerprint.from_bytes(data).verify_signature(signer_of(KEY))
    assert len(data) <= MAX_FINGERPRINT_BYTES


def test_a_single_frame_takes_little_room(record):
    without_robust_part = len(record.to_bytes()) - len(record.robust)
    assert without_robust_part < 2400
    assert len(record.to_bytes()) <= 6 * 1024


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_a_robust_part_is_carried_and_authenticated(record, robust):
    made = dataclasses.replace(record, robust=robust)._completed(KEY)
    again = Fingerprint.from_bytes(made.to_bytes())
    assert again.robust == robust
    again.authenticate(KEY)
    another = dataclasses.replace(again, robust=robust + b"\0")
    with pytest.raises(FingerprintError, match="damaged or was made with another key"):
        another.authenticate(KEY)
    with pytest.raises(FingerprintError, match="its signature does not fit"):
        another.verify_signature()


def test_the_longest_robust_part_fits_and_a_longer_one_is_refused(record):
    made = dataclasses.replace(record, robust=bytes(MAX_ROBUST_BYTES))._completed(KEY)
    assert Fingerprint.from_bytes(made.to_bytes()) == made
    with pytest.raises(FingerprintError, match="wrong length"):
        dataclasses.replace(record, robust=bytes(MAX_ROBUST_BYTES + 1))


def test_keys_for_purposes_differ_by_image_and_purpose(record):
    other = fingerprint(grey(512, 512), KEY)
    keys = {made.sub_key(KEY, purpose) for made in (record, other) for purpose in (b"a", b"b")}
    assert len(keys) == 4
    assert record.sub_key(KEY, b"a") == record.sub_key(KEY, b"a")


def test_a_long_series_stays_bounded():
    values = np.zeros((3000, 4, 4, 1), np.uint8)
    data = fingerprint(picture(values), KEY).to_bytes()
    assert len(data) <= MAX_FINGERPRINT_BYTES
    assert Fingerprint.from_bytes(data).to_bytes() == data


def test_the_digest_is_that_of_the_values_or_the_one_given():
    image = grey()
    assert fingerprint(image, KEY).values == values_digest(image)
    known = Digest.plain(b"known")
    assert fingerprint(image, KEY, values=known).values == known


def test_two_fingerprints_of_one_image_share_no_mac():
    image = grey()
    one, two = fingerprint(image, KEY), fingerprint(image, KEY)
    assert one.salt != two.salt
    assert np.mean(one.tile_macs == two.tile_macs) < 0.01


@given(position=st.integers(0, 10**9), flip=st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_every_changed_byte_is_refused(record, position, flip):
    data = bytearray(record.to_bytes())
    data[position % len(data)] ^= flip
    with pytest.raises(FingerprintError, match="fingerprint"):
        Fingerprint.from_bytes(bytes(data)).authenticate(KEY)
    with pytest.raises(FingerprintError, match="fingerprint"):
        Fingerprint.from_bytes(bytes(data)).verify_signature()


def test_a_record_of_somebody_else_proves_no_origin(record):
    forged = fingerprint(grey(512, 512), bytes(32))
    forged.verify_signature()
    with pytest.raises(FingerprintError, match="signed by another key than the given one"):
        forged.verify_signature(signer_of(KEY))
    record.verify_signature(signer_of(KEY))


@given(cut=st.integers(0, 10**9), more=st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_cut_and_lengthened_records_are_refused(record, cut, more):
    data = record.to_bytes()
    for damaged in (data[: cut % len(data)], data + b"\0" + more):
        with pytest.raises(FingerprintError, match="fingerprint"):
            Fingerprint.from_bytes(damaged)


@given(st.binary(max_size=200))
def test_noise_is_refused(data):
    for hostile in (data, b"MFP\x02" + data):
        with pytest.raises(FingerprintError, match="fingerprint"):
            Fingerprint.from_bytes(hostile)


def test_sizes_that_would_take_gigabytes_are_refused_at_once(record):
    data = bytearray(record.to_bytes())
    data[52:64] = b"\xff" * 12  # frames, rows, columns
    with pytest.raises(FingerprintError, match="geometry in the fingerprint is out of range"):
        Fingerprint.from_bytes(bytes(data))


def test_the_wrong_key_is_refused(record):
    with pytest.raises(FingerprintError, match="damaged or was made with another key"):
        record.authenticate(secrets.token_bytes(32))


@pytest.mark.parametrize("key", [b"", bytes(31), "k" * 32])
def test_a_key_of_another_length_is_refused(key, record):
    with pytest.raises(FingerprintError, match="a fingerprint key has 32 bytes"):
        fingerprint(grey(), key)
    with pytest.raises(FingerprintError, match="a fingerprint key has 32 bytes"):
        record.authenticate(key)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": 0}, "geometry"),
        ({"rows": 2**20, "columns": 2**20}, "geometry"),
        ({"samples": 5}, "geometry"),
        ({"kind": "c"}, "kind of number"),
        ({"cell_bytes": 3}, "kind of number"),
        ({"bits_stored": 9}, "kind of number"),
        ({"photometric_interpretation": "grey"}, "photometric"),
        ({"photometric_interpretation": ""}, "photometric"),
        ({"salt": b""}, "wrong length"),
        ({"macs": b""}, "wrong length"),
        ({"textured": b""}, "wrong length"),
        ({"signer": b""}, "wrong length"),
        ({"tag": b""}, "wrong length"),
        ({"signature": b""}, "wrong length"),
    ],
)
def test_impossible_fields_are_refused(record, changes, message):
    with pytest.raises(FingerprintError, match=message):
        dataclasses.replace(record, **changes)


def test_a_record_of_version_1_is_refused_in_one_line(record):
    older = b"MFP\x01" + record.to_bytes()[4:]
    with pytest.raises(FingerprintError, match=r"^not a fingerprint of version 2; seal the image"):
        Fingerprint.from_bytes(older)


def test_unused_bits_must_be_zero():
    made = fingerprint(picture(np.zeros((3, 3), np.uint8)), KEY)
    assert made.grid.tiles == 9
    with pytest.raises(FingerprintError, match="unused bits of the fingerprint are not zero"):
        dataclasses.replace(made, textured=b"\x00\x01")
