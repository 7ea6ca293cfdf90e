"""PNG both ways and JPEG, against Pillow."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from medseal.errors import ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from medseal.imaging import encode, read_bytes
from tests.imaging.image_builders import image

COLOURS = {1: "MONOCHROME2", 2: "MONOCHROME2A", 3: "RGB", 4: "RGBA"}


def _saved(picture, kind, **options):
    stream = BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_png_round_trip(data):
    samples = data.draw(st.integers(1, 4))
    bits = data.draw(st.integers(1, 16))
    shape = (1, *data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6))), samples)
    dtype = np.dtype("u1" if bits <= 8 and data.draw(st.booleans()) else "u2")
    values = data.draw(arrays(dtype, shape, elements=st.integers(0, (1 << bits) - 1)))
    made = image(values, bits, COLOURS[samples])
    again = read_bytes(encode(made, "png"), name="x")
    np.testing.assert_array_equal(again.stored_values, values)
    assert again.bits_stored == bits
    assert again.photometric_interpretation == COLOURS[samples]


def test_inverted_grey_is_remembered():
    made = image(np.ones((1, 2, 2, 1), np.uint16), 12, "MONOCHROME1")
    again = read_bytes(encode(made, "png"), name="x")
    assert again.photometric_interpretation == "MONOCHROME1"


def test_written_png_is_read_by_others():
    values = np.random.default_rng(0).integers(0, 65536, (1, 7, 9, 1)).astype(np.uint16)
    file = Image.open(BytesIO(encode(image(values, 16), "png")))
    np.testing.assert_array_equal(np.asarray(file), values[0, :, :, 0])


def test_sixteen_bit_colour_is_not_flattened():
    values = np.random.default_rng(0).integers(0, 65536, (1, 5, 6, 3)).astype(np.uint16)
    again = read_bytes(encode(image(values, 16, "RGB"), "png"), name="x")
    assert again.stored_values.dtype == np.uint16
    np.testing.assert_array_equal(again.stored_values, values)


def test_palette_becomes_rgb():
    indices = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "P")
    indices.putpalette([c for i in range(256) for c in (i * 16 % 256, 255 - i, 7)])
    made = read_bytes(_saved(indices, "PNG"), name="x")
    np.testing.assert_array_equal(made.stored_values[0], np.asarray(indices.convert("RGB")))
    clear = read_bytes(_saved(indices, "PNG", transparency=3), name="x")
    assert clear.photometric_interpretation == "RGBA"
    assert clear.stored_values[0, 0, 3, 3] == 0


def test_few_bits_are_not_scaled():
    bits = np.array([[True, False], [False, True]])
    made = read_bytes(_saved(Image.fromarray(bits), "PNG"), name="x")
    np.testing.assert_array_equal(made.stored_values[0, :, :, 0], bits)
    assert made.bits_stored == 1


def test_gamma_does_not_touch_stored_values():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    plain = _saved(Image.fromarray(values), "PNG")
    gamma = struct.pack(">I", 4) + b"gAMA" + struct.pack(">I", 22222)
    gamma += struct.pack(">I", zlib.crc32(gamma[4:]))
    made = read_bytes(plain[:33] + gamma + plain[33:], name="x")
    np.testing.assert_array_equal(made.stored_values[0, :, :, 0], values)


@pytest.mark.parametrize(
    ("values", "bits", "colour", "message"),
    [
        (np.zeros((2, 2, 2, 1), np.uint8), 8, "MONOCHROME2", "one frame; write a .tif"),
        (np.zeros((1, 2, 2, 1), np.int16), 12, "MONOCHROME2", "int16 values; write a .tif"),
        (np.zeros((1, 2, 2, 1), np.float32), 32, "MONOCHROME2", "float32 values; write a .tif"),
        (np.full((1, 2, 2, 1), 65536, np.uint32), 32, "MONOCHROME2", "uint32 values"),
        (np.zeros((1, 2, 2, 3), np.uint8), 8, "YBR_FULL", "YBR_FULL values; write a .dcm"),
        (np.zeros((1, 2, 2, 1), np.uint8), 8, "PALETTE COLOR", "PALETTE COLOR values"),
    ],
)
def test_what_png_cannot_hold(values, bits, colour, message):
    with pytest.raises(UnsupportedImageError, match=message):
        encode(image(values, bits, colour), "png")


def test_a_false_note_is_ignored():
    good = encode(image(np.full((1, 2, 2, 1), 300, np.uint16), 12), "png")
    made = read_bytes(_with_note(good, b"bits_stored=12", b"bits_stored=08"), name="x")
    assert made.bits_stored == 16
    made = read_bytes(_with_note(good, b"bits_stored=12", b"bits_stored=01"), name="x")
    assert made.bits_stored == 16
    made = read_bytes(_with_note(good, b"MONOCHROME2", b"MONOCHROME3"), name="x")
    assert (made.bits_stored, made.photometric_interpretation) == (16, "MONOCHROME2")


def _with_note(file, old, new):
    at = file.index(b"tEXt")
    length = int.from_bytes(file[at - 4 : at], "big")
    body = file[at : at + 4 + length].replace(old, new)
    return file[:at] + body + struct.pack(">I", zlib.crc32(body)) + file[at + 8 + length :]


def test_png_bombs_and_damage():
    good = encode(image(np.zeros((1, 4, 4, 1), np.uint8), 8), "png")
    header = b"IHDR" + struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    huge = good[:12] + header + struct.pack(">I", zlib.crc32(header)) + good[33:]
    with pytest.raises(ImageTooLargeError, match="exceed the limits"):
        read_bytes(huge, name="x")
    with pytest.raises(UnreadableImageError, match="ends early"):
        read_bytes(good[:-4], name="x")
    at = good.index(b"IDAT") + 5
    with pytest.raises(UnreadableImageError, match="chunk is damaged"):
        read_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], name="x")
    frames = [Image.new("L", (4, 4), value) for value in (0, 255)]
    animated = _saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedImageError, match="animated"):
        read_bytes(animated, name="x")


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_what_pillow_decodes(mode, progressive):
    shape = (20, 30) if mode == "L" else (20, 30, 3)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    data = _saved(picture, "JPEG", progressive=progressive)
    made = read_bytes(data, name="x")
    expected = np.asarray(Image.open(BytesIO(data))).reshape(made.stored_values.shape)
    np.testing.assert_array_equal(made.stored_values, expected)
    assert made.source_format == "jpeg"
    assert "libjpeg" in made.decoder


def test_jpeg_that_is_refused():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    data = _saved(picture, "JPEG")
    with pytest.raises(UnreadableImageError, match="cannot decode the JPEG file"):
        read_bytes(data[: len(data) // 2], name="x")
    at = data.index(b"\xff\xc0") + 5
    with pytest.raises(ImageTooLargeError, match="exceed the limits"):
        read_bytes(data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :], name="x")
    with pytest.raises(UnsupportedImageError, match="CMYK"):
        read_bytes(_saved(Image.new("CMYK", (8, 8)), "JPEG"), name="x")
    scan = data[data.index(b"\xff\xda") : -2]
    with pytest.raises(ImageTooLargeError, match="scans"):
        read_bytes(data[:-2] + scan * 300 + data[-2:], name="x")
