"""Frames of side information: exact for every frame, and refused where they are malformed."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medseal.errors import SideInformationError
from medseal.protection.watermark.deflated import (
    read_difference,
    read_residual,
    unmarked,
    write_difference,
    write_residual,
)
from medseal.protection.watermark.residual import (
    MAP_LIMIT,
    MAX_SCALE,
    SHIFT_LIMITS,
    Residual,
    differences,
)

WHOLE = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
SHAPE = (6, 5, 3)


@st.composite
def residuals(draw: st.DrawFn) -> Residual:
    shape = draw(st.tuples(st.integers(1, 4 * SHAPE[0]), st.integers(1, 4 * SHAPE[1])))
    values = st.integers(-MAP_LIMIT, MAP_LIMIT)
    scales = draw(st.lists(st.integers(0, MAX_SCALE), min_size=1, max_size=SHAPE[2]))
    return Residual(
        map=draw(hnp.arrays(np.int8, shape, elements=values)),
        scales=tuple(scales),
        shift=draw(st.integers(*SHIFT_LIMITS)),
    )


@given(residual=residuals())
def test_a_residual_is_read_as_it_was_written(residual: Residual) -> None:
    written = b"before" + write_residual(residual)
    found, end = read_residual(written + b"behind", 6, SHAPE)
    assert end == len(written)
    if not residual.map.any():
        assert found is None
        assert written == b"before\0"
        return
    assert found is not None
    np.testing.assert_array_equal(found.map, residual.map)
    assert (found.scales, found.shift) == (residual.scales, residual.shift)
    assert write_residual(found) == write_residual(residual)


@given(
    residual=residuals(),
    dtype=st.sampled_from(WHOLE),
    other=st.sampled_from(WHOLE),
    limits=st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2),
    data=st.data(),
)
def test_map_and_difference_lead_from_any_frame_to_any_other(
    residual: Residual,
    dtype: str,
    other: str,
    limits: tuple[int, int],
    data: st.DataObject,
) -> None:
    cover = data.draw(hnp.arrays(dtype, SHAPE, elements=hnp.from_dtype(np.dtype(dtype))))
    marked = data.draw(hnp.arrays(other, SHAPE, elements=hnp.from_dtype(np.dtype(other))))
    nearly = unmarked(marked, residual, cover.dtype, limits)
    written = write_difference(cover, nearly)
    restored, end = read_difference(written, 0, nearly, cover.dtype)
    assert end == len(written)
    assert restored.dtype == cover.dtype
    np.testing.assert_array_equal(restored, cover)


def test_a_mark_without_clipped_values_leaves_no_difference() -> None:
    rng = np.random.default_rng(1)
    residual = Residual.of(rng.integers(-9, 10, (12, 10)).astype(np.int8), [0.4, 0.8, 1.2])
    cover = rng.integers(60, 190, SHAPE).astype(np.uint8)
    ((_, added),) = differences(residual, SHAPE[:2])
    marked = (cover + added).astype(np.uint8)
    assert added.any()
    np.testing.assert_array_equal(unmarked(marked, residual, cover.dtype, (0, 255)), cover)
    assert write_difference(cover, cover) == bytes(5)


def test_air_that_the_mark_could_not_darken_is_left() -> None:
    residual = Residual.of(np.full((4, 4), -3, np.int8), [1.0])
    black = np.zeros((4, 4, 1), np.uint8)
    np.testing.assert_array_equal(unmarked(black, residual, black.dtype, (0, 255)), black)


WRITTEN = write_residual(Residual.of(np.arange(-6, 6, dtype=np.int8).reshape(3, 4), [1.0, 2.0]))
SCALES_END = 9


def changed(place: int, replacement: bytes) -> bytes:
    return WRITTEN[:place] + replacement + WRITTEN[place + len(replacement) :]


MALFORMED = {
    "too many samples": ("too many samples", changed(0, b"\4")),
    "scale": ("out of range", changed(1, (MAX_SCALE + 1).to_bytes(4, "big"))),
    "shift": ("out of range", changed(SCALES_END, bytes([SHIFT_LIMITS[1] + 1]))),
    "shift below": ("out of range", changed(SCALES_END, bytes([256 + SHIFT_LIMITS[0] - 1]))),
    "no rows": ("does not fit", changed(SCALES_END + 1, bytes(4))),
    "too many rows": ("does not fit", changed(SCALES_END + 1, (25).to_bytes(4, "big"))),
    "too many columns": ("does not fit", changed(SCALES_END + 5, b"\xff" * 4)),
    "one row more": ("wrong length", changed(SCALES_END + 1, (4).to_bytes(4, "big"))),
    "longer stream": ("early", changed(SCALES_END + 9, b"\xff" * 4)),
    "damaged stream": ("damaged", changed(SCALES_END + 13, b"\0\0")),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_residual_is_refused(case: str) -> None:
    words, data = MALFORMED[case]
    with pytest.raises(SideInformationError, match=words):
        read_residual(data, 0, SHAPE)


def test_every_truncation_of_a_residual_is_refused() -> None:
    for size in range(len(WRITTEN)):
        with pytest.raises(SideInformationError, match="early"):
            read_residual(WRITTEN[:size], 0, SHAPE)


def test_a_value_that_no_map_holds() -> None:
    stream = zlib.compress(np.full(12, -MAP_LIMIT - 1, np.int8).tobytes())
    data = WRITTEN[: SCALES_END + 9] + len(stream).to_bytes(4, "big") + stream
    with pytest.raises(SideInformationError, match="out of range"):
        read_residual(data, 0, SHAPE)


def test_a_bomb_is_not_inflated() -> None:
    stream = zlib.compress(bytes(50_000_000))
    data = WRITTEN[: SCALES_END + 9] + len(stream).to_bytes(4, "big") + stream
    with pytest.raises(SideInformationError, match="wrong length"):
        read_residual(data, 0, SHAPE)


@pytest.mark.parametrize("width", [2, 3, 9])
def test_a_difference_wider_than_the_values_is_refused(width: int) -> None:
    given_values = np.zeros((2, 2, 1), np.uint8)
    stream = zlib.compress(bytes(4 * width))
    data = bytes([width]) + len(stream).to_bytes(4, "big") + stream
    with pytest.raises(SideInformationError, match="unknown width"):
        read_difference(data, 0, given_values, given_values.dtype)
