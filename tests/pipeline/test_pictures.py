"""Pictures show what they claim: regions where they are, a difference in its direction."""

import io

import numpy as np
import pytest
from PIL import Image

from medseal.errors import ImageMismatchError
from medseal.imaging import MedicalImage
from medseal.pipeline.pictures import SIDE, Picture, difference, shown, strip, with_regions
from medseal.protection.tamper import Region


def grey(values: np.ndarray) -> MedicalImage:
    return MedicalImage(
        stored_values=values.astype(np.uint8)[np.newaxis, :, :, np.newaxis],
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="generated",
    )


@pytest.fixture
def ramp() -> MedicalImage:
    return grey(np.tile(np.arange(128) * 2, (64, 1)))


def test_the_longer_side_has_the_given_length(ramp: MedicalImage) -> None:
    assert shown(ramp).size == (SIDE, SIDE // 2)
    assert shown(ramp, side=50).size == (50, 25)


def test_no_difference_is_mid_grey(ramp: MedicalImage) -> None:
    picture, factor = difference(ramp, ramp)
    assert factor == 1
    assert np.unique(np.asarray(picture)).tolist() == [128]


def test_a_difference_is_enlarged_and_keeps_its_sign(ramp: MedicalImage) -> None:
    values = ramp.stored_values.copy()
    values[0, :32] += 1
    values[0, 32:] -= 1
    values[0, 32:, 0] = 0
    picture, factor = difference(ramp, ramp.with_stored_values(values), side=128)
    assert factor > 100
    shown_values = np.asarray(picture)
    assert shown_values[:30, 4:].min() > 230
    assert shown_values[34:, 4:].max() < 26


def test_a_difference_needs_one_shape(ramp: MedicalImage) -> None:
    other = grey(np.zeros((64, 64)))
    with pytest.raises(ImageMismatchError, match="one shape"):
        difference(ramp, other)


def test_a_region_is_framed_where_it_is() -> None:
    image = grey(np.full((100, 100), 128) + np.eye(100))
    region = Region(row=20, column=40, height=30, width=20, score=1.0)
    coloured = np.asarray(with_regions(image, [region], side=100)).astype(int)
    rows, columns = np.nonzero(coloured[:, :, 0] - coloured[:, :, 2] > 100)
    assert abs(rows.min() - 20) <= 2
    assert abs(rows.max() - 50) <= 2
    assert abs(columns.min() - 40) <= 2
    assert abs(columns.max() - 60) <= 2
    plain = np.asarray(with_regions(image, [], side=100))
    assert (plain[:, :, 0] == plain[:, :, 2]).all()


def test_a_mask_is_drawn_as_its_contour() -> None:
    image = grey(np.full((100, 100), 128) + np.eye(100))
    mask = np.zeros((100, 100), np.bool_)
    mask[20:50, 40:60] = True
    drawn = np.asarray(with_regions(image, [], mask=mask, side=100)).astype(int)
    coloured = drawn[:, :, 0] - drawn[:, :, 2] > 100
    assert coloured[20, 40:60].all()
    assert coloured[20:50, 59].all()
    assert not coloured[21:49, 41:59].any()
    assert not coloured[:19].any()


def test_the_most_changed_frame_is_shown_with_its_own_regions() -> None:
    image = grey(np.zeros((100, 100)))
    values = np.zeros((3, 100, 100, 1), image.stored_values.dtype)
    values[2] = 200
    series = image.with_stored_values(values)
    small = Region(row=80, column=80, height=9, width=9, score=1.0, frame=1)
    large = Region(row=20, column=40, height=30, width=20, score=1.0, frame=2)
    drawn = np.asarray(with_regions(series, [small, large], side=100)).astype(int)
    assert drawn[0, 0, 2] == 200
    coloured = drawn[:, :, 0] - drawn[:, :, 2] > 50
    assert coloured[10:60, 30:70].any()
    assert not coloured[70:, 70:].any()


def test_a_strip_has_one_panel_to_a_picture(ramp: MedicalImage) -> None:
    panel = Picture(image=shown(ramp), caption="one\ntwo", alternative="a ramp")
    one, three = (Image.open(io.BytesIO(strip([panel] * count))) for count in (1, 3))
    assert one.format == "PNG"
    assert one.height == three.height
    assert three.width > 2.8 * one.width
