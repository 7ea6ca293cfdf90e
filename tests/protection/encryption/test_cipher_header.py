import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import CipherHeaderError, CipherKeyError
from medseal.protection.encryption import cipher_header as spec
from medseal.protection.encryption.cipher_header import CipherHeader, plain_tag_of

KEY = bytes(range(32))

headers = st.builds(
    CipherHeader,
    form=st.just("integer"),
    backbone=st.sampled_from(spec.BACKBONES[1:]),
    nonce=st.binary(min_size=16, max_size=16),
    frames=st.integers(1, 100),
    rows=st.integers(1, 1024),
    columns=st.integers(1, 1024),
    samples=st.integers(1, spec.MAX_SAMPLES),
    bits_allocated=st.sampled_from((8, 16)),
    bits_stored=st.integers(1, 8),
    is_signed=st.booleans(),
    photometric_interpretation=st.sampled_from(("MONOCHROME2", "RGB", "PALETTE COLOR")),
    parameters=st.binary(max_size=spec.MAX_PARAMETERS_BYTES),
    plain_tag=st.binary(min_size=32, max_size=32),
)


def example(**changes: object) -> CipherHeader:
    fields: dict[str, object] = {
        "form": "integer",
        "backbone": "unet",
        "nonce": bytes(16),
        "frames": 1,
        "rows": 5,
        "columns": 7,
        "samples": 3,
        "bits_allocated": 8,
        "bits_stored": 8,
        "is_signed": False,
        "photometric_interpretation": "RGB",
        "parameters": b"\x06",
        "plain_tag": bytes(32),
    }
    return CipherHeader(**(fields | changes))


@given(headers)
def test_bytes_give_back_the_header(header: CipherHeader) -> None:
    tagged = header.with_tag(KEY)
    assert CipherHeader.from_bytes(tagged.to_bytes()) == tagged
    assert len(tagged.to_bytes()) <= spec.MAX_HEADER_BYTES
    tagged.check_tag(KEY)


@given(st.data())
def test_any_damage_is_a_header_error(draw: st.DataObject) -> None:
    data = example().with_tag(KEY).to_bytes()
    place = draw.draw(st.integers(0, len(data) - 1))
    damaged = bytearray(data)
    damaged[place] ^= draw.draw(st.integers(1, 255))
    for wrong in (bytes(damaged), data[:place], data + bytes(place + 1)):
        with pytest.raises(CipherHeaderError, match=r"header|version"):
            CipherHeader.from_bytes(wrong)


@given(st.data())
def test_a_field_that_was_changed_with_its_checksum_does_not_fit_the_key(
    draw: st.DataObject,
) -> None:
    data = bytearray(example().with_tag(KEY).to_bytes()[: -spec._CHECKSUM_BYTES])
    place = draw.draw(st.integers(len(spec.MAGIC) + 1, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))
    checksum = spec.hashlib.sha256(data).digest()[: spec._CHECKSUM_BYTES]
    with pytest.raises((CipherHeaderError, CipherKeyError), match=r"header|key|form|bits|tag|phot"):
        CipherHeader.from_bytes(bytes(data) + checksum).check_tag(KEY)


@pytest.mark.parametrize("bit", [0, 100, 255])
def test_a_key_with_one_other_bit_is_refused(bit: int) -> None:
    wrong = (int.from_bytes(KEY, "big") ^ (1 << bit)).to_bytes(32, "big")
    with pytest.raises(CipherKeyError, match="does not belong"):
        example().with_tag(KEY).check_tag(wrong)


def test_a_header_without_a_tag_is_neither_written_nor_accepted() -> None:
    with pytest.raises(CipherHeaderError, match="with_tag"):
        example().to_bytes()
    with pytest.raises(CipherKeyError, match="does not belong"):
        example().check_tag(KEY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "other"}, "form"),
        ({"backbone": ""}, "does not go with"),
        ({"form": "digital"}, "does not go with"),
        ({"nonce": bytes(15)}, "nonce"),
        ({"frames": 0}, "limits"),
        ({"rows": 2**20, "columns": 2**20}, "limits"),
        ({"frames": 16384, "rows": 2**13, "columns": 2**13}, "limits"),
        ({"samples": 5}, "limits"),
        ({"bits_allocated": 32}, "limits"),
        ({"bits_stored": 9}, "do not fit"),
        ({"photometric_interpretation": "Name^Given"}, "photometric"),
        ({"photometric_interpretation": "A" * 33}, "photometric"),
        ({"parameters": bytes(65)}, "parameters"),
        ({"plain_tag": bytes(31)}, "plain tag"),
        ({"header_tag": bytes(15)}, "header tag"),
    ],
)
def test_a_field_outside_its_limits_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(CipherHeaderError, match=message):
        example(**changes)


def test_the_kind_of_the_plain_values_follows_from_the_header() -> None:
    assert example().shape == (1, 5, 7, 3)
    assert example().value_count == 105
    assert example().dtype == np.uint8
    assert example(bits_allocated=16, bits_stored=12, is_signed=True).dtype == np.int16


def test_the_plain_tag_depends_on_values_key_nonce_and_form_and_on_no_byte_order() -> None:
    values = np.arange(10, dtype="<i2")
    tag = plain_tag_of(KEY, bytes(16), "integer", values)
    assert plain_tag_of(KEY, bytes(16), "integer", values.astype(">i2")) == tag
    others = [
        plain_tag_of(KEY, bytes(16), "integer", values + 1),
        plain_tag_of(KEY[::-1], bytes(16), "integer", values),
        plain_tag_of(KEY, bytes([1] * 16), "integer", values),
        plain_tag_of(KEY, bytes(16), "digital", values),
    ]
    assert len({tag, *others}) == 5


def test_a_tag_covers_every_field() -> None:
    tagged = example().with_tag(KEY)
    for changes in ({"backbone": "resnet"}, {"rows": 7, "columns": 5}, {"parameters": b"\x05"}):
        with pytest.raises(CipherKeyError, match="does not belong"):
            dataclasses.replace(tagged, **changes).check_tag(KEY)
