"""Which levels, code rate and sides a digital cipher image takes."""

import numpy as np
import pytest

from medseal.imaging import MedicalImage
from medseal.protection.encryption.channel_layout import Layout, chosen_layout


def flat(rows: int, columns: int, samples: int = 1) -> MedicalImage:
    return MedicalImage(
        stored_values=np.zeros((1, rows, columns, samples), np.uint8),
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2",
        source_format="png",
        decoder="test",
    )


def density(layout: Layout) -> float:
    top, bottom = layout.rate.split("/")
    return layout.bits * int(top) / int(bottom)


@pytest.mark.parametrize(("quality", "room"), [(30, 3.8), (50, 3.0), (70, 2.2), (95, 1.5)])
@pytest.mark.parametrize("bits_a_value", [1.0, 2.5])
def test_a_compressible_image_has_room(quality: int, room: float, bits_a_value: float) -> None:
    layout = chosen_layout(flat(200, 300), quality, int(200 * 300 * bits_a_value / 8))
    assert layout.rows * layout.columns <= room * 200 * 300
    assert layout.rows % 8 == layout.columns % 8 == 0
    assert layout.level_count <= layout.rows * layout.columns
    assert 1 <= layout.columns / layout.rows <= 2.5


def test_more_bytes_are_packed_more_densely() -> None:
    densities = [
        density(chosen_layout(flat(256, 256), 70, int(256 * 256 * bits / 8)))
        for bits in (0.5, 1.5, 2.5, 3.5, 4.2)
    ]
    assert densities == sorted(densities)
    assert densities[0] < 1 < densities[-1]


def test_what_hardly_compresses_gets_more_pixels_not_fewer_checks() -> None:
    layout = chosen_layout(flat(256, 256), 50, 256 * 256)
    assert density(layout) <= 1.7
    assert layout.rows * layout.columns > 3 * 256 * 256


def test_a_colour_image_has_the_room_of_its_values_if_it_needs_it() -> None:
    layout = chosen_layout(flat(100, 100, 3), 70, 3 * 100 * 100 * 4 // 8)
    assert 2.2 * 100 * 100 < layout.rows * layout.columns <= 3 * 2.2 * 100 * 100
