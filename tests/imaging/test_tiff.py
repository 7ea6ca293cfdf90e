"""TIFF both ways."""

import struct
import tracemalloc
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from medseal.errors import (
    ImageTooLargeError,
    InputError,
    UnreadableImageError,
    UnsupportedImageError,
)
from medseal.imaging import encode, read_bytes
from tests.imaging.image_builders import image

COLOURS = {1: "MONOCHROME2", 2: "MONOCHROME2A", 3: "RGB", 4: "RGBA"}
DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]


def _saved(values, **options):
    stream = BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_round_trip(data):
    samples = data.draw(st.integers(1, 4))
    frames = data.draw(st.integers(1, 3))
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shape = (frames, *data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5))), samples)
    values = data.draw(arrays(dtype, shape))
    made = image(values, dtype.itemsize * 8, COLOURS[samples])
    again = read_bytes(encode(made, "tiff"), name="x")
    np.testing.assert_array_equal(again.stored_values, values)
    assert again.stored_values.dtype == dtype
    assert again.bits_stored == made.bits_stored
    assert again.photometric_interpretation == COLOURS[samples]


@pytest.mark.parametrize("colour", ["MONOCHROME1", "MONOCHROME2"])
def test_bits_and_inversion_are_remembered(colour):
    made = image(np.full((2, 3, 3, 1), 1000, np.int16), 12, colour)
    again = read_bytes(encode(made, "tiff"), name="x")
    assert (again.bits_stored, again.photometric_interpretation) == (12, colour)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_foreign_files(compression, tile, planar):
    values = np.random.default_rng(0).integers(0, 65536, (30, 20, 3)).astype(np.uint16)
    stored = values if planar == "contig" else values.transpose(2, 0, 1)
    data = _saved(
        stored, compression=compression, tile=tile, planarconfig=planar, photometric="rgb"
    )
    np.testing.assert_array_equal(read_bytes(data, name="x").stored_values[0], values)


def test_big_endian_and_bigtiff():
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    for options in ({"byteorder": ">"}, {"bigtiff": True}):
        made = read_bytes(_saved(values, **options), name="x")
        np.testing.assert_array_equal(made.stored_values[0, :, :, 0], values)


def test_single_bits_and_palette():
    bits = np.random.default_rng(0).integers(0, 2, (9, 11)).astype(bool)
    stream = BytesIO()
    Image.fromarray(bits).save(stream, "TIFF", compression="group4")
    made = read_bytes(stream.getvalue(), name="x")
    np.testing.assert_array_equal(made.stored_values[0, :, :, 0], bits)
    assert made.bits_stored == 1
    palette = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "P")
    palette.putpalette([c for i in range(256) for c in (i * 16 % 256, 255 - i, 7)])
    stream = BytesIO()
    palette.save(stream, "TIFF")
    made = read_bytes(stream.getvalue(), name="x")
    np.testing.assert_array_equal(made.stored_values[0], np.asarray(palette.convert("RGB")))
    assert made.bits_stored == 8


def test_thumbnails_are_left_out_and_other_sizes_refused():
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(np.zeros((8, 8), np.uint8), metadata=None)
        file.write(np.zeros((2, 2), np.uint8), subfiletype=1, metadata=None)
    assert read_bytes(stream.getvalue(), name="x").stored_values.shape == (1, 8, 8, 1)
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(np.zeros((8, 8), np.uint8), metadata=None)
        file.write(np.zeros((4, 8), np.uint8), metadata=None)
    with pytest.raises(UnsupportedImageError, match="pages of several sizes"):
        read_bytes(stream.getvalue(), name="x")


@pytest.mark.parametrize(
    ("options", "dtype", "message"),
    [
        ({"photometric": "separated", "planarconfig": "contig"}, np.uint8, "photometric"),
        ({"compression": "jpeg2000", "photometric": "rgb"}, np.uint8, "save it with deflate"),
        ({"photometric": "minisblack"}, np.complex64, "unusual kind"),
    ],
)
def test_unsupported_kinds(options, dtype, message):
    samples = 4 if options["photometric"] == "separated" else 3
    with pytest.raises(InputError, match=message):
        read_bytes(_saved(np.zeros((16, 16, samples), dtype), **options), name="x")


def test_bombs_cost_nothing():
    data = bytearray(_saved(np.zeros((64, 64), np.uint8), compression="zlib", metadata=None))
    for tag in (256, 257):
        _set_tag(data, tag, 2**31 - 1)
    tracemalloc.start()
    with pytest.raises(ImageTooLargeError, match="exceed the limits"):
        read_bytes(bytes(data), name="x")
    bomb = bytearray(_saved(np.zeros((8000, 8000), np.uint8), compression="zlib", metadata=None))
    for tag in (256, 257, 278):
        _set_tag(bomb, tag, 8)
    with pytest.raises(UnreadableImageError, match="cannot read the TIFF file"):
        read_bytes(bytes(bomb), name="x")
    tracemalloc.stop()


def _set_tag(data, tag, value):
    offset = struct.unpack_from("<L", data, 4)[0]
    count = struct.unpack_from("<H", data, offset)[0]
    for index in range(count):
        at = offset + 2 + 12 * index
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HLL", data, at + 2, 4, 1, value)


def test_a_loop_of_pages_ends():
    data = bytearray(_saved(np.zeros((4, 4), np.uint8), metadata=None))
    offset = struct.unpack_from("<L", data, 4)[0]
    count = struct.unpack_from("<H", data, offset)[0]
    struct.pack_into("<L", data, offset + 2 + 12 * count, offset)
    with pytest.raises(UnreadableImageError, match="form a loop"):
        read_bytes(bytes(data), name="x")


def test_a_larger_jpeg_in_a_strip_is_refused():
    values = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    data = bytearray(_saved(values, compression="jpeg", metadata=None))
    for tag in (256, 257, 278):
        _set_tag(data, tag, 8)
    with pytest.raises(UnreadableImageError, match="larger than stated"):
        read_bytes(bytes(data), name="x")


@pytest.mark.parametrize("colour", ["YBR_FULL", "PALETTE COLOR"])
def test_what_tiff_cannot_say(colour):
    values = np.zeros((1, 2, 2, 3 if colour == "YBR_FULL" else 1), np.uint8)
    with pytest.raises(UnsupportedImageError, match=r"write a \.dcm file"):
        encode(image(values, 8, colour), "tiff")
