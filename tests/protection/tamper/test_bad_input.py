"""Bad input ends in a named outcome or a typed error, never in `authentic`."""

import dataclasses

import numpy as np
import pytest

from medseal.errors import FingerprintError
from medseal.protection.attacks import distortions
from medseal.protection.tamper import Fingerprint, check, fingerprint, signer_of
from tests.protection.pictures import KEY, grey, picture, texture

OTHER_KEY = bytes(32)
EQUAL = ("authentic", "transcoded")


def kinds():
    """Return an image of every kind of number, size and look."""
    levels = texture(102, 102)
    colour = np.stack([texture(102, 102, seed=s) * 255 for s in range(3)], axis=-1)
    yield "tiny", grey(102, 102)
    yield "one value", picture(np.full((1, 1), 7, np.uint8))
    yield "one row", picture(np.arange(250, dtype=np.uint8)[None])
    yield "long", picture(np.rint(texture(8, 4096) * 255).astype(np.uint8))
    yield "constant", picture(np.full((102, 102), 90, np.uint8))
    yield "12 bits", picture(np.rint(levels * 4095).astype(np.uint16), bits=12)
    yield "16 bits", picture(np.rint(levels * 65535).astype(np.uint16))
    yield "signed", picture(np.rint(levels * 3000 - 1024).astype(np.int16))
    yield "32 bits", picture(np.rint(levels * 2**31).astype(np.uint32))
    yield "64 bits", picture(np.rint(levels * 2**40).astype(np.uint64))
    yield "floats", picture(levels.astype(np.float32))
    yield "not numbers", picture(np.where(levels > 0.5, np.nan, levels))
    yield "no number at all", picture(np.full((40, 40), np.nan, np.float32))
    yield "infinite", picture(np.where(levels > 0.6, np.inf, levels))
    yield "colour", picture(colour[None].astype(np.uint8), photometric="RGB")
    yield "shown inverted", picture(grey(102, 102).stored_values, photometric="MONOCHROME1")
    yield "series", picture(np.rint(texture(30, 240) * 255).astype(np.uint8).reshape(8, 30, 30, 1))


KINDS = dict(kinds())


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_image_is_recognised(name):
    image = KINDS[name]
    record = fingerprint(image, KEY)
    assert Fingerprint.from_bytes(record.to_bytes()) == record
    assert check(image, record, KEY).outcome == "authentic"
    assert check(image, record, None, signer=signer_of(KEY)).outcome == "authentic"


@pytest.mark.parametrize("name", KINDS)
def test_one_changed_value_is_never_called_equal(name):
    image = KINDS[name]
    record = fingerprint(image, KEY)
    values = image.stored_values.copy()
    place = tuple(side // 2 for side in values.shape)
    values[place] = 5 if values.dtype.kind == "f" else values[place] ^ 1
    report = check(image.with_stored_values(values), record, KEY)
    # One single value leaves nothing that could be equal.
    assert report.outcome == ("unverifiable" if name == "one value" else "tampered")
    assert report.mask.any() == (report.outcome == "tampered")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_the_record_of_another_image_is_never_called_equal(name, other):
    if name == other or {name, other} == {"tiny", "shown inverted"}:
        return
    record = fingerprint(KINDS[other], KEY)
    for key in (KEY, None):
        assert check(KINDS[name], record, key).outcome not in EQUAL


def test_a_record_of_another_patient_with_the_same_shape_is_never_called_equal():
    report = check(grey(200, 200, seed=1), fingerprint(grey(200, 200, seed=2), KEY), KEY)
    assert report.outcome not in EQUAL


@pytest.mark.parametrize("key", [KEY, None])
def test_a_stripped_record_is_an_error(key):
    record = fingerprint(grey(), KEY)
    padded = dataclasses.replace(record, robust=b"robust")
    for stripped in (padded, dataclasses.replace(record, macs=bytes(len(record.macs)))):
        with pytest.raises(FingerprintError, match="is damaged"):
            check(grey(), stripped, key)


@pytest.mark.parametrize("place", [4, 30, 60, 200, -1, -70])
@pytest.mark.parametrize("key", [KEY, None])
def test_a_damaged_record_is_an_error(place, key):
    image = grey()
    data = bytearray(fingerprint(image, KEY).to_bytes())
    data[place] ^= 16
    with pytest.raises(FingerprintError, match="fingerprint"):
        check(image, Fingerprint.from_bytes(bytes(data)), key)


def test_a_record_that_somebody_else_made_is_an_error():
    image = grey()
    forged = fingerprint(image, OTHER_KEY)
    with pytest.raises(FingerprintError, match="made with another key"):
        check(image, forged, KEY)
    with pytest.raises(FingerprintError, match="signed by another key"):
        check(image, forged, None, signer=signer_of(KEY))


def test_an_older_record_of_a_newer_image_is_never_called_equal():
    older = grey()
    values = older.stored_values.copy()
    values[0, 100:110, 100:110] ^= 3
    newer = older.with_stored_values(values)
    assert check(newer, fingerprint(older, KEY), KEY).outcome == "tampered"
    assert check(older, fingerprint(newer, KEY), KEY).outcome == "tampered"


@pytest.mark.parametrize("name", ["tiny", "12 bits", "signed", "colour"])
def test_inverted_values_are_named(name):
    image = KINDS[name]
    report = check(distortions.invert(image), fingerprint(image, KEY), KEY)
    assert report.outcome not in EQUAL
