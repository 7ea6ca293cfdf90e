"""The lossless codestream inside a digital cipher image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import CipherIntegrityError
from medseal.protection.encryption.channel_codestream import pack, unpack

TYPES = ("u1", "i1", "u2", "i2")


def smooth(rows: int, columns: int, top: int) -> np.ndarray:
    across = np.arange(columns)[None] * 3 + np.arange(rows)[:, None] * 2
    return (np.sin(across / 40) + 1) * top / 2


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20), st.integers(1, 4)),
    kind=st.sampled_from(TYPES),
    spread=st.sampled_from((1, 7, 300)),
    seed=st.integers(0, 2**32 - 1),
)
def test_round_trip(shape: tuple[int, int, int, int], kind: str, spread: int, seed: int) -> None:
    limits = np.iinfo(kind)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(limits.min, limits.max, shape, endpoint=True)
    values = (drawn // spread * spread).clip(limits.min, limits.max).astype(kind)
    back = unpack(pack(values), shape, values.dtype)
    assert back.dtype == values.dtype
    assert np.array_equal(back, values)


def test_a_smooth_image_shrinks() -> None:
    values = smooth(128, 128, 4000).astype(np.int16)[None, :, :, None] - 1000
    assert len(pack(values)) < values.nbytes / 3


def test_colours_are_coded_together() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 1), np.uint8)
    colour = np.repeat(grey, 3, axis=3)
    assert len(pack(colour)) < 1.2 * len(pack(grey))


def test_values_far_apart_cost_what_their_number_costs() -> None:
    few = np.random.default_rng(2).integers(0, 16, (1, 64, 64, 1))
    apart, near = (few * 1000).astype(np.uint16), few.astype(np.uint16)
    assert len(pack(apart)) < 1.05 * len(pack(near)) + 64


@pytest.mark.parametrize("cut", [0, 1, 5, 12, 40])
def test_a_cut_stream_is_refused(cut: int) -> None:
    values = smooth(32, 32, 250).astype(np.uint8)[None, :, :, None]
    with pytest.raises(CipherIntegrityError, match="malformed"):
        unpack(pack(values)[:cut], values.shape, values.dtype)


def test_another_size_is_refused() -> None:
    values = smooth(32, 32, 250).astype(np.uint8)[None, :, :, None]
    with pytest.raises(CipherIntegrityError, match="malformed"):
        unpack(pack(values), (1, 32, 33, 1), values.dtype)
