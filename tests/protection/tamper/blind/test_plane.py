import numpy as np
import pytest

from medseal.errors import UnreadableImageError
from medseal.imaging import read_bytes
from medseal.protection.tamper.blind.plane import plane_of
from tests.imaging.image_builders import dicom_bytes, dicom_dataset
from tests.protection.pictures import picture, texture


def test_grey_of_8_bits_is_taken_as_it_is():
    values = np.rint(texture(40, 50) * 255).astype(np.uint8)
    plane = plane_of(picture(values), frame=0)
    assert plane.dtype == np.float32
    assert np.array_equal(plane, values)


def test_colour_is_its_brightness_in_whole_levels():
    values = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 3)).astype(np.uint8)
    plane = plane_of(picture(values, photometric="RGB"), frame=0)
    assert np.array_equal(plane, np.rint(plane))
    assert np.abs(plane - values[0] @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_more_bits_are_not_rounded():
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    plane = plane_of(picture(values, bits=12), frame=0)
    assert plane.min() >= 0
    assert plane.max() <= 255
    assert np.unique(plane).size > 2000


def test_each_frame_has_its_own():
    values = np.stack([np.full((8, 8, 1), level, np.uint8) for level in (10, 200)])
    image = picture(values)
    assert plane_of(image, frame=1).mean() == 200


def test_what_is_no_number_is_black():
    values = texture(30, 30).astype(np.float32)
    values[3, 4] = np.nan
    plane = plane_of(picture(values), frame=0)
    assert np.isfinite(plane).all()
    assert plane[3, 4] == 0


def test_a_palette_is_seen_as_it_is_shown():
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    dataset = dicom_dataset(values, 8, "PALETTE COLOR")
    table = (np.arange(15, -1, -1, dtype="<u2") * 4369).tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [16, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
    image = read_bytes(dicom_bytes(dataset), name="x")
    assert np.array_equal(plane_of(image, frame=0), 255.0 - values * 17)


def test_a_palette_that_is_missing_is_refused():
    image = picture(np.zeros((16, 16), np.uint8), photometric="PALETTE COLOR")
    with pytest.raises(UnreadableImageError, match="palette"):
        plane_of(image, frame=0)
