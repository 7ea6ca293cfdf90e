"""The canonical data set does not depend on how the elements are encoded."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medseal.errors import UnreadableImageError
from medseal.imaging.canonical import canonical_dataset
from medseal.imaging.dicom_file import parse
from tests.imaging.image_builders import dicom_bytes

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)

ELEMENTS = st.fixed_dictionaries(
    {},
    optional={
        (0x0010, 0x0010, "PN"): st.sampled_from(["A^B", "LONGER^NAME^X"]),
        (0x0018, 0x9073, "FD"): st.floats(allow_nan=False, allow_infinity=False),
        (0x0028, 0x0106, "US"): st.integers(0, 65535),
        (0x0040, 0x9096, "SL"): st.integers(-(2**31), 2**31 - 1),
        (0x0028, 0x0009, "AT"): st.sampled_from([0x00181063, 0x00541234]),
        (0x6000, 0x3000, "OW"): st.binary(min_size=2, max_size=2).map(lambda b: b * 4),
        (0x0009, 0x1001, "UN"): st.binary(min_size=1, max_size=3).map(lambda b: b * 2),
        (0x0009, 0x1002, "UL"): st.integers(0, 2**32 - 1),
    },
)


def _build(layers, undefined, syntax=ExplicitVRLittleEndian):
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3"
    for (group, element, vr), value in layers[0].items():
        # pydicom writes words as they are, in big endian too.
        swaps = vr == "OW" and syntax == ExplicitVRBigEndian
        words = np.frombuffer(value, ">u2").astype("<u2").tobytes() if swaps else value
        dataset.add_new((group, element), vr, words)
    if len(layers) > 1:
        item = _build(layers[1:], undefined, syntax)
        item.is_undefined_length_sequence_item = undefined
        for tag in ((0x0040, 0x0275), (0x0009, 0x1010)):
            dataset.add_new(tag, "SQ", [item])
            dataset[tag].is_undefined_length = undefined
    return dataset


def _canonical(data):
    return bytes(canonical_dataset(parse(data, name="x").dataset, name="x"))


@settings(max_examples=40, deadline=None)
@given(layers=st.lists(ELEMENTS, min_size=1, max_size=3))
def test_every_encoding_gives_the_same_bytes(layers):
    # A private sequence of defined length has no VR in implicit VR: the items themselves tell.
    forms = {
        _canonical(dicom_bytes(_build(layers, undefined, syntax), syntax))
        for undefined in (False, True)
        for syntax in SYNTAXES
    }
    assert len(forms) == 1


def test_padding_signatures_and_group_lengths_are_left_out_on_every_level():
    plain = _build([{}, {}], False)
    signed = _build([{}, {}], False)
    for level in (signed, signed[0x0040, 0x0275].value[0]):
        signature = Dataset()
        signature.MACIDNumber = 1
        level.DigitalSignaturesSequence = [signature]
        level.MACParametersSequence = [signature]
        level.add_new(0xFFFCFFFC, "OB", b"\0\0")
    data = dicom_bytes(signed)
    at = data.index(b"\x08\x00\x16\x00UI")
    with_group_length = data[:at] + struct.pack("<HH2sHL", 8, 0, b"UL", 4, 99) + data[at:]
    assert _canonical(with_group_length) == _canonical(dicom_bytes(plain))


@pytest.mark.parametrize("change", [0, 1, 2])
def test_a_change_shows(change):
    layers = [{(0x0010, 0x0010, "PN"): "A^B"}, {(0x0028, 0x0106, "US"): 7}]
    first = _canonical(dicom_bytes(_build(layers, False)))
    layers[change > 0] = [
        {(0x0010, 0x0010, "PN"): "A^C"},
        {(0x0028, 0x0106, "US"): 8},
        {(0x0028, 0x0106, "US"): 7, (0x0009, 0x1001, "UN"): b"\0\0"},
    ][change]
    assert _canonical(dicom_bytes(_build(layers, False))) != first


def test_un_that_is_no_sequence_is_a_value():
    item_tag = b"\xfe\xff\x00\xe0"
    value = item_tag + b"\xff\xff\0\0" + b"1234"
    layers = [{(0x0009, 0x1001, "UN"): value}]
    assert value in _canonical(dicom_bytes(_build(layers, False)))


def test_a_cut_element_is_named():
    data = dicom_bytes(_build([{(0x0010, 0x0010, "PN"): "LONGER^NAME^X"}], False))
    with pytest.raises(UnreadableImageError, match=r"inside element \(0010,0010\)"):
        parse(data[:-3], name="x")
