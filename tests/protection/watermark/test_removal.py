"""Taking a mark out: exact for every pair of images, and refused for every other copy."""

import dataclasses
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medseal.errors import (
    DigestMismatchError,
    ImageMismatchError,
    SideInformationError,
    WatermarkCapacityError,
)
from medseal.imaging import MedicalImage, encode, read_bytes, values_digest
from medseal.protection.watermark import embed, embed_removable, remove, side_information
from tests.protection.pictures import KEY, PAYLOAD, grey, loud, picture, texture

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
HEADER_BYTES = 81
CODING = 80
DIFFERENCES, MAPS = 1, 2


def image_of(values: np.ndarray) -> MedicalImage:
    return picture(values, photometric="RGB" if values.shape[-1] == 3 else "MONOCHROME2")


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.tuples(*(st.integers(1, n) for n in (3, 4, 4)), st.sampled_from([1, 3])))
    elements = hnp.from_dtype(np.dtype(dtype))
    one = draw(hnp.arrays(dtype, shape, elements=elements))
    other = draw(hnp.arrays(dtype, shape, elements=elements) | st.just(one))
    return one, other


@given(pair=pairs())
def test_every_pair_of_one_kind_is_exact_to_the_bit(pair: tuple[np.ndarray, np.ndarray]) -> None:
    original, marked = map(image_of, pair)
    restored = remove(marked, side_information(original, marked))
    assert restored.stored_values.dtype == original.stored_values.dtype
    assert restored.stored_values.tobytes() == original.stored_values.tobytes()


def volume() -> MedicalImage:
    frames = [texture(256, 224, seed=seed) * 4095 for seed in range(2)]
    return picture(np.stack(frames).astype(np.uint16)[..., None], bits=12)


def colour() -> MedicalImage:
    planes = [texture(160, 144, seed=seed) * 255 for seed in range(3)]
    values = np.stack(planes, axis=-1).astype(np.uint8)[None]
    return picture(values, photometric="RGB")


def with_flat_parts(values: np.ndarray) -> MedicalImage:
    """Return an image with a black, a white and a grey block in the middle of its texture."""
    limits = np.iinfo(values.dtype)
    for index, level in enumerate((limits.min, limits.max, limits.max // 2)):
        values[60 + 60 * index : 100 + 60 * index, 100:180] = level
    return picture(values)


def with_a_flat_frame() -> MedicalImage:
    frames = np.stack([texture(320, 288) * 4095, np.zeros((320, 288))])
    return picture(frames.astype(np.uint16)[..., None], bits=12)


# Bit for bit in both codings: those up to the size of a map, and those beyond it.
COVERS = {
    "8 bit": lambda: grey(144, 128),
    "8 bit, larger": lambda: grey(400, 333),
    "8 bit, elongated": lambda: grey(96, 800),
    "16 bit, larger": lambda: picture((texture(320, 288) * 65535).astype(np.uint16)),
    "signed, larger": lambda: with_flat_parts((texture(320, 288) * 3000 - 1000).astype(np.int16)),
    "signed 8 bit, larger": lambda: picture((texture(320, 288) * 255 - 128).astype(np.int8)),
    "32 bit, larger": lambda: picture((texture(320, 288) * (2**32 - 1)).astype(np.uint32)),
    "signed 32 bit, larger": lambda: with_flat_parts(
        (texture(320, 288) * 2e9 - 1e9).astype(np.int32)
    ),
    "flat parts": lambda: with_flat_parts((texture(320, 288) * 255).astype(np.uint8)),
    "a flat frame": with_a_flat_frame,
    "12 bit, two frames": volume,
    "16 bit": lambda: picture((texture(144, 128) * 65535).astype(np.uint16)),
    "signed": lambda: picture((texture(144, 128) * 3000 - 1000).astype(np.int16)),
    "colour": colour,
    "float": lambda: picture((texture(144, 128) * 7.5 - 1).astype(np.float32)),
    "too loud, larger": lambda: loud(400, 384),
    "too loud, signed, larger": lambda: picture(
        loud(400, 384).stored_values.astype(np.int16) * 8 - 1000, bits=12
    ),
    "saturated": lambda: picture(np.clip(texture(320, 288) * 500 - 80, 0, 255).astype(np.uint8)),
}
BY_MAP = ("colour", "flat parts", "a flat frame", "saturated")


@pytest.mark.parametrize("cover", COVERS)
def test_the_mark_itself_is_taken_out(cover: str) -> None:
    image = COVERS[cover]()
    made = embed_removable(image, PAYLOAD, KEY)
    assert values_digest(made.image) != values_digest(image)
    assert values_digest(made.image) == values_digest(embed(image, PAYLOAD, KEY))
    restored = remove(made.image, made.side_information)
    assert restored.stored_values.tobytes() == image.stored_values.tobytes()
    assert restored.bits_stored == image.bits_stored
    assert len(made.side_information) < image.stored_values.nbytes
    is_by_map = "larger" in cover or cover in BY_MAP
    assert made.side_information[CODING] == (MAPS if is_by_map else DIFFERENCES)


def test_a_map_is_smaller_than_the_differences_of_a_large_image() -> None:
    image = grey(640, 576)
    made = embed_removable(image, PAYLOAD, KEY)
    assert 2 * len(made.side_information) < len(side_information(image, made.image))


def test_an_image_that_cannot_be_marked() -> None:
    with pytest.raises(WatermarkCapacityError, match="too small for a watermark"):
        embed_removable(grey(20, 20), PAYLOAD, KEY)


def test_a_copy_in_a_wider_or_narrower_container() -> None:
    narrow = grey(192, 160)
    wide = picture(narrow.stored_values.astype(np.uint16), bits=8)
    made = embed_removable(wide, PAYLOAD, KEY)
    copy = read_bytes(encode(made.image, "png"), name="copy.png")
    assert copy.stored_values.dtype == np.uint8
    restored = remove(copy, made.side_information)
    np.testing.assert_array_equal(restored.stored_values, narrow.stored_values)


def test_the_copy_keeps_its_own_fields() -> None:
    made = embed_removable(grey(192, 160), PAYLOAD, KEY)
    named = dataclasses.replace(made.image, modality="MR", spacing_mm=(0.5, 0.5))
    restored = remove(named, made.side_information)
    assert (restored.modality, restored.spacing_mm) == ("MR", (0.5, 0.5))


def test_any_other_copy_is_refused() -> None:
    made = embed_removable(grey(192, 160), PAYLOAD, KEY)
    values = made.image.stored_values.copy()
    values[0, 80, 80, 0] ^= 1
    with pytest.raises(DigestMismatchError, match="not those that were marked") as caught:
        remove(made.image.with_stored_values(values), made.side_information)
    assert caught.value.expected == str(values_digest(made.image))
    assert caught.value.actual != caught.value.expected


def test_a_pair_of_two_kinds_is_refused() -> None:
    one = grey(192, 160)
    with pytest.raises(ImageMismatchError, match="do not belong together"):
        side_information(one, grey(160, 192))
    with pytest.raises(ImageMismatchError, match="do not belong together"):
        side_information(one, picture(one.stored_values.astype(np.float32)))


# Version 1 of the format, byte for byte: cover [[0, 255], [9, 7]], copy [[1, 254], [9, 7]].
COVER = np.array([[0, 255], [9, 7]], np.uint8)
MARKED = np.array([[1, 254], [9, 7]], np.uint8)


def test_the_bytes_are_those_of_the_specification() -> None:
    cover, marked = picture(COVER), picture(MARKED)
    data = side_information(cover, marked)
    digests = values_digest(marked).value + values_digest(cover).value
    assert data[:HEADER_BYTES] == (
        b"\x01" + digests + bytes.fromhex("00 01 00000001 00000002 00000002 01 01")
    )
    # Deflate without compression is a stream that every writer could have made.
    stored = bytes.fromhex("7801 01 0400fbff ff010000 04030101")
    frame = bytes([1]) + len(stored).to_bytes(4, "big") + stored
    restored = remove(marked, data[:HEADER_BYTES] + frame)
    np.testing.assert_array_equal(restored.stored_values[0, :, :, 0], COVER)


def test_equal_frames_cost_five_bytes() -> None:
    marked = picture(MARKED)
    assert side_information(marked, marked)[HEADER_BYTES:] == bytes(5)


def test_every_truncation_and_every_changed_byte_is_refused() -> None:
    cover, marked = picture(COVER), picture(MARKED)
    data = side_information(cover, marked)
    refused = (SideInformationError, DigestMismatchError, ImageMismatchError)
    for size in range(len(data)):
        with pytest.raises(SideInformationError, match=r"early|wrong length|damaged"):
            remove(marked, data[:size])
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x81
        with pytest.raises(refused, match=r"\w"):
            remove(marked, bytes(broken))
    with pytest.raises(SideInformationError, match="after its end"):
        remove(marked, data + b"\0")


@given(data=st.binary(max_size=200))
def test_other_bytes_never_give_an_image(data: bytes) -> None:
    with pytest.raises(SideInformationError, match=r"early|update medseal"):
        remove(picture(MARKED), data)


def test_a_bomb_is_not_inflated() -> None:
    cover, marked = picture(COVER), picture(MARKED)
    start = side_information(cover, marked)[:HEADER_BYTES]
    bomb = zlib.compress(bytes(50_000_000))
    frame = bytes([1]) + len(bomb).to_bytes(4, "big") + bomb
    with pytest.raises(SideInformationError, match="wrong length"):
        remove(marked, start + frame)


def test_differences_that_lead_elsewhere() -> None:
    cover, marked = picture(COVER), picture(MARKED)
    data = side_information(cover, marked)
    with pytest.raises(SideInformationError, match="does not lead to the image it names"):
        remove(marked, data[:HEADER_BYTES] + bytes(5))


# Coding 2, byte for byte: a map of one place, 3, at two stored values a unit, so 6 everywhere. The
# value at 255 was clipped, hence left; the difference says that it had been 253.
MAP_COVER = np.array([[10, 253], [20, 0]], np.uint8)
MAP_MARKED = np.array([[16, 255], [26, 6]], np.uint8)
MAP_STREAM = bytes.fromhex("7801 01 0100feff 03 00040004")
MAP_FIELDS = bytes.fromhex("01 00000002 00 00000001 00000001") + (12).to_bytes(4, "big")
REST_STREAM = bytes.fromhex("7801 01 0400fbff 00fe0000 02fe00ff")


def by_map(fields: bytes = MAP_FIELDS, stream: bytes = MAP_STREAM) -> bytes:
    start = bytearray(side_information(picture(MAP_COVER), picture(MAP_MARKED))[:HEADER_BYTES])
    start[CODING] = MAPS
    limits = (0).to_bytes(8, "big") + (255).to_bytes(8, "big")
    rest = bytes([1]) + len(REST_STREAM).to_bytes(4, "big") + REST_STREAM
    return bytes(start) + limits + fields + stream + rest


def test_the_bytes_of_a_map_are_those_of_the_specification() -> None:
    restored = remove(picture(MAP_MARKED), by_map())
    np.testing.assert_array_equal(restored.stored_values[0, :, :, 0], MAP_COVER)


def test_every_truncation_and_every_changed_byte_of_a_map_is_refused_or_without_effect() -> None:
    data, marked = by_map(), picture(MAP_MARKED)
    for size in range(len(data)):
        with pytest.raises(SideInformationError, match=r"early|wrong length|damaged"):
            remove(marked, data[:size])
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 0x81
        try:
            restored = remove(marked, bytes(broken))
        except (SideInformationError, DigestMismatchError, ImageMismatchError):
            continue
        # A limit that no value reaches, or a scale that is the same modulo 256.
        assert HEADER_BYTES <= place < HEADER_BYTES + 21
        np.testing.assert_array_equal(restored.stored_values[0, :, :, 0], MAP_COVER)
    with pytest.raises(SideInformationError, match="after its end"):
        remove(marked, data + b"\0")


def test_maps_are_for_whole_numbers() -> None:
    values = MARKED.astype(np.float32)
    data = bytearray(side_information(picture(values), picture(values)))
    data[CODING] = MAPS
    with pytest.raises(SideInformationError, match="maps for floating values"):
        remove(picture(values), bytes(data))


def test_the_side_information_does_not_show_in_a_log() -> None:
    made = embed_removable(grey(192, 160), PAYLOAD, KEY)
    assert "side_information" not in repr(made)
