import dataclasses

import numpy as np
import pytest

from medseal.protection.tamper import fingerprint
from medseal.protection.tamper.readings import INVERTED, mapped_readings, plain_reading
from tests.protection.pictures import KEY, grey, picture, texture


def twelve_bits():
    return picture(np.rint(texture(60, 50) * 4095).astype(np.uint16), bits=12)


def signed():
    values = np.rint(texture(60, 50) * 4000 - 1024).astype(np.int16)
    return picture(values, bits=16)


def colour(seed=0):
    planes = [grey(60, 50, seed=seed + s).stored_values for s in range(3)]
    return picture(np.concatenate(planes, axis=3), photometric="RGB")


def with_alpha(image, values, name):
    return image.with_stored_values(values, photometric_interpretation=name)


def test_equal_samples_are_read_as_they_are():
    image = grey(60, 50)
    reading = plain_reading(image, fingerprint(image, KEY))
    assert reading.name == ""
    assert reading.values is image.stored_values
    assert not reading.foreign.any()


def test_samples_come_and_go():
    image, opaque = grey(60, 50), np.full((1, 60, 50, 1), 255, np.uint8)
    values = image.stored_values
    as_colour = with_alpha(image, np.repeat(values, 3, axis=3), "RGB")
    veiled = with_alpha(image, np.concatenate([values, opaque], axis=3), "MONOCHROME2A")
    rgba = with_alpha(image, np.concatenate([as_colour.stored_values, opaque], axis=3), "RGBA")
    forms = (image, veiled, as_colour, rgba)
    for original in forms:
        for copy in forms:
            reading = plain_reading(copy, fingerprint(original, KEY))
            assert np.array_equal(reading.values, original.stored_values)
            assert not reading.foreign.any()
            change = np.sign(copy.samples - original.samples)
            assert reading.name == {0: "", 1: "samples added", -1: "samples dropped"}[int(change)]


def test_grey_in_colour_differences_is_neutral():
    image = grey(60, 50)
    neutral = np.full_like(image.stored_values, 128)
    copy = image.with_stored_values(
        np.concatenate([image.stored_values, neutral, neutral], axis=3),
        photometric_interpretation="YBR_FULL",
    )
    reading = plain_reading(copy, fingerprint(image, KEY))
    assert np.array_equal(reading.values, image.stored_values)
    assert not reading.foreign.any()


def test_what_the_record_cannot_hold_is_foreign():
    image = grey(60, 50)
    record = fingerprint(image, KEY)
    tinted = np.repeat(image.stored_values, 3, axis=3)
    tinted[0, 7, 8, 1] ^= 1
    wide = image.stored_values.astype(np.int16)
    wide[0, 9, 9] = -1
    for values, name, place in ((tinted, "RGB", (0, 7, 8)), (wide, "MONOCHROME2", (0, 9, 9))):
        copy = dataclasses.replace(
            picture(values, photometric=name), bits_stored=values.dtype.itemsize * 8
        )
        foreign = plain_reading(copy, record).foreign
        assert foreign[place]
        assert foreign.sum() == 1


def test_not_a_number_is_foreign_to_integers_and_equal_to_itself():
    values = texture(60, 50).astype(np.float32)
    values[3, 3] = np.nan
    image = picture(values)
    wide = picture(values.astype(np.float64))
    assert not plain_reading(wide, fingerprint(image, KEY)).foreign.any()
    assert plain_reading(image, fingerprint(grey(60, 50), KEY)).foreign[0, 3, 3]


CONVERSIONS = {
    "8 bits inverted": (grey(60, 50), lambda v: 255 - v, 8),
    "12 bits inverted": (twelve_bits(), lambda v: 4095 - v, 12),
    "12 bits inverted in 16": (twelve_bits(), lambda v: 65535 - v, 16),
    "signed inverted": (signed(), lambda v: -1 - v, 16),
    "8 bits in 16": (grey(60, 50), lambda v: v.astype(np.uint16) * 257, 16),
    "8 bits shifted up": (grey(60, 50), lambda v: v.astype(np.uint16) << 8, 16),
    "12 bits shifted up": (twelve_bits(), lambda v: v << 4, 16),
    "signed to unsigned": (signed(), lambda v: (v.astype(np.int32) + 32768).astype(np.uint16), 16),
    "shares of one": (grey(60, 50), lambda v: v / np.float32(255), 32),
    "shares of one, 12 bits": (twelve_bits(), lambda v: v / np.float64(4095), 64),
    "colour inverted": (colour(), lambda v: 255 - v, 8),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_one_to_one_conversions_are_undone(name):
    image, convert, bits = CONVERSIONS[name]
    copy = picture(
        convert(image.stored_values), bits=bits, photometric=image.photometric_interpretation
    )
    found = [
        reading
        for reading in mapped_readings(copy, fingerprint(image, KEY))
        if np.array_equal(reading.values, image.stored_values) and not reading.foreign.any()
    ]
    assert len(found) == 1
    assert not found[0].is_same_picture
    assert (found[0].name == INVERTED) == ("inverted" in name)


def test_nothing_is_mapped_for_floats_and_very_wide_integers():
    floats = picture(texture(20, 20))
    wide = picture(np.ones((20, 20), np.uint64))
    assert list(mapped_readings(floats, fingerprint(floats, KEY))) == []
    assert list(mapped_readings(wide, fingerprint(wide, KEY))) == []
