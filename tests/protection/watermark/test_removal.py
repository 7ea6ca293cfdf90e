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
from tests.protection.pictures import KEY, PAYLOAD, grey, picture, texture

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
HEADER_BYTES = 81


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


COVERS = {
    "8 bit": lambda: grey(192, 160),
    "12 bit, two frames": volume,
    "16 bit": lambda: picture((texture(192, 160) * 65535).astype(np.uint16)),
    "signed": lambda: picture((texture(192, 160) * 3000 - 1000).astype(np.int16)),
    "colour": colour,
    "float": lambda: picture((texture(192, 160) * 7.5 - 1).astype(np.float32)),
    "saturated": lambda: picture(np.clip(texture(320, 288) * 500 - 80, 0, 255).astype(np.uint8)),
}


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


def test_the_side_information_does_not_show_in_a_log() -> None:
    made = embed_removable(grey(192, 160), PAYLOAD, KEY)
    assert "side_information" not in repr(made)
