"""The four digests: test vectors, an independent computation, what each survives and shows."""

import base64
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal import errors
from medseal.imaging import MedicalImage, encode, read_with_digests, values_digest
from tests.imaging.image_builders import dicom_bytes, dicom_dataset, image

VECTORS = sorted(Path(__file__).parents[1].joinpath("vectors", "image-digests").glob("*.json"))
NAMES = ("file", "dataset", "frames", "values")


def _vector(name):
    path = next(path for path in VECTORS if path.stem == name)
    vector = json.loads(path.read_text())
    return base64.b64decode(vector["file"]), vector["digests"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path):
    vector = json.loads(path.read_text())
    data = base64.b64decode(vector["file"])
    if "expect" in vector:
        with pytest.raises(getattr(errors, vector["expect"]), match=vector["message"]):
            read_with_digests(data, name="x")
        return
    _, digests = read_with_digests(data, name="x")
    assert {name: str(getattr(digests, name)) for name in NAMES} == vector["digests"]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("implicit_little", "dataset frames values"),
        ("explicit_big", "dataset values"),
        ("deflated", "dataset frames values"),
        ("undefined_lengths", "dataset frames values"),
        ("padding_and_signature", "dataset frames values"),
        ("rle", "dataset values"),
        ("jpeg_2000", "dataset values"),
        ("wide_cells", "values"),
        ("element_changed", "frames values"),
        ("value_changed", "dataset"),
        ("inverted", "frames values"),
    ],
)
def test_what_each_digest_survives(name, same):
    _, reference = _vector("explicit_little")
    _, other = _vector(name)
    assert [key for key in NAMES if other[key] == reference[key]] == same.split()


def _framed(domain, *parts):
    state = hashlib.sha256(struct.pack(">Q", len(domain)) + domain)
    for part in parts:
        state.update(struct.pack(">Q", len(part)) + part)
    return f"sha256:{state.hexdigest()}"


def test_against_an_independent_computation():
    data, digests = _vector("explicit_little")
    values = (np.arange(64) * 63 - 2000).astype("<i2").tobytes()
    header = b'{"kind":"integer","shape":[1,8,8,1]}'

    def element(tag, value):
        return struct.pack(">LcQ", tag, b"V", len(value)) + value

    code = b"".join(
        (
            element(0x00080100, b"A "),
            element(0x00080102, b"99M "),
            element(0x00080104, b"x "),
        )
    )
    dataset = b"".join(
        (
            element(0x00080016, b"1.2.840.10008.5.1.4.1.1.7\0"),
            element(0x00080018, b"1.2.3.4\0"),
            element(0x00080060, b"OT"),
            struct.pack(">LcQQ", 0x00081032, b"S", 1, len(code)) + code,
            element(0x00100020, b"VECTOR"),
            element(0x00189073, struct.pack("<d", 1.5)),
            element(0x00280002, struct.pack("<H", 1)),
            element(0x00280004, b"MONOCHROME2 "),
            element(0x00280010, struct.pack("<H", 8)),
            element(0x00280011, struct.pack("<H", 8)),
            element(0x00280100, struct.pack("<H", 16)),
            element(0x00280101, struct.pack("<H", 13)),
            element(0x00280102, struct.pack("<H", 12)),
            element(0x00280103, struct.pack("<H", 1)),
            element(0x00280120, struct.pack("<h", -2000)),
        )
    )
    assert digests == {
        "file": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "dataset": _framed(b"medseal/image-dataset/v1", b"dicom", dataset),
        "frames": _framed(b"medseal/image-frames/v1", b"native", values),
        "values": _framed(b"medseal/image-values/v1", header, values),
    }


def test_frames_are_told_apart():
    values = np.arange(24, dtype="<u2").reshape(2, 3, 4)
    _, two = read_with_digests(dicom_bytes(dicom_dataset(values, 12)), name="x")
    _, one = read_with_digests(dicom_bytes(dicom_dataset(values.reshape(6, 4), 12)), name="x")
    assert two.frames != one.frames
    assert two.values != one.values


def test_pad_byte_is_no_part_of_a_frame():
    values = np.arange(9, dtype=np.uint8).reshape(3, 3)
    dataset = dicom_dataset(values, 8)
    _, first = read_with_digests(dicom_bytes(dataset), name="x")
    dataset.PixelData = values.tobytes() + b"\xff"
    _, second = read_with_digests(dicom_bytes(dataset), name="x")
    assert first.file != second.file
    assert (first.frames, first.values) == (second.frames, second.values)


@settings(max_examples=50, deadline=None)
@given(
    bits=st.integers(1, 16),
    wide=st.booleans(),
    seed=st.integers(0, 2**16),
    at=st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 6)),
)
def test_each_value_counts_and_the_width_does_not(bits, wide, seed, at):
    values = np.random.default_rng(seed).integers(0, 1 << bits, (2, 5, 7, 1))
    narrow = image(values.astype(np.uint16), bits)
    again = image(values.astype(np.uint32 if wide else np.uint16), bits)
    assert values_digest(narrow) == values_digest(again)
    values[(*at, 0)] ^= 1
    assert values_digest(narrow) != values_digest(image(values.astype(np.uint16), bits))


def test_values_beyond_bits_stored_do_not_collide():
    low, high = np.full((1, 2, 2, 1), 1, np.uint16), np.full((1, 2, 2, 1), 257, np.uint16)
    assert values_digest(image(low, 8)) != values_digest(image(high, 8))


@pytest.mark.parametrize("format_name", ["png", "tiff", "nifti", "nifti.gz"])
def test_values_survive_another_container(format_name):
    made = image(np.arange(40, dtype=np.uint16).reshape(1, 5, 8, 1), 12)
    _, digests = read_with_digests(encode(made, format_name), name="x")
    assert digests.values == values_digest(made)


def test_values_survive_a_container_that_states_neither_bits_nor_sign():
    numbers = np.arange(40, dtype=np.uint16).reshape(1, 5, 8, 1)
    wide = MedicalImage(
        stored_values=numbers.astype(np.int32),
        bits_stored=32,
        is_signed=True,
        photometric_interpretation="MONOCHROME1",
        source_format="nifti",
        decoder="generated",
    )
    assert values_digest(wide) == values_digest(image(numbers, 12))


def test_the_decoder_is_named():
    data, _ = _vector("jpeg_2000")
    made, digests = read_with_digests(data, name="x")
    assert digests.decoder == made.decoder
    assert digests.decoder.startswith("openjpeg 2.")
