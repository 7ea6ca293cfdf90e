import numpy as np
import pytest

from medseal.protection.tamper.baselines.method import luma
from tests.protection.pictures import grey, picture


def test_grey_is_taken_as_shown_and_colour_by_its_brightness():
    image = grey(40, 50)
    assert np.array_equal(luma(image), image.stored_values[0, :, :, 0])
    colour = np.zeros((1, 4, 4, 3), np.uint8)
    colour[..., 1] = 200
    green = luma(picture(colour, photometric="RGB"))
    assert green.dtype == np.float32
    assert green[0, 0] == pytest.approx(0.587 * 200, abs=0.6)
