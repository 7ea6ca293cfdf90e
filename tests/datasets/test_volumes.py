import pytest

from medseal.datasets.volumes import slice_numbers
from medseal.errors import ConfigurationError


def test_slices_are_spread_evenly_inside():
    assert slice_numbers(1) == (0,)
    assert slice_numbers(3, at_most=8) == (0, 1, 2)
    assert slice_numbers(100, at_most=4) == (12, 37, 62, 87)


@pytest.mark.parametrize(("frames", "at_most"), [(0, 1), (1, 0)])
def test_no_slices_are_refused(frames, at_most):
    with pytest.raises(ConfigurationError, match="at least one"):
        slice_numbers(frames, at_most=at_most)
