from pathlib import Path

import pytest

from medseal.protection.encryption.cnn import analog_layout
from medseal.protection.encryption.cnn.analog_layout import BITS_A_CELL, layout_of

SPEC = Path(__file__).parents[4] / "docs" / "spec"


@pytest.mark.parametrize("cells", [640, 4095, 4096, 50_176, 5_000_000])
def test_the_codewords_fit_their_cells(cells: int) -> None:
    layout = layout_of(cells)
    assert layout.detail is not None
    parts = [part for part in (layout.base, layout.detail) if part is not None]
    assert parts[0].start == 0
    assert sum(part.cells for part in parts) == cells
    for part in parts:
        assert part.code.coded_bits * part.times <= BITS_A_CELL * part.cells
        assert part.message_bytes * 8 == part.code.message_bits


def test_a_message_is_as_long_as_the_code_allows() -> None:
    detail = layout_of(50_176).detail
    assert detail is not None
    assert detail.code.message_bits > 0.58 * BITS_A_CELL * detail.cells - 64


@pytest.mark.parametrize(
    ("cells", "base", "detail"), [(1, 0, 0), (639, 0, 0), (640, 0, 1), (4096, 1, 1)]
)
def test_small_images_have_fewer_parts(cells: int, base: int, detail: int) -> None:
    layout = layout_of(cells)
    assert (layout.base is not None, layout.detail is not None) == (bool(base), bool(detail))


@pytest.mark.parametrize("cells", [1, 2, 391, 4096, 50_176])
def test_every_pixel_has_a_cell_of_its_own(cells: int) -> None:
    assert sorted(layout_of(cells).residual_cells()) == list(range(cells))


def test_neighbours_of_one_area_are_spread_over_both_parts() -> None:
    layout = layout_of(50_176)
    assert layout.base is not None
    corner = layout.residual_cells()[:2000]
    assert (corner < layout.base.cells).mean() == pytest.approx(0.3, abs=0.03)


def test_the_page_states_the_division_of_the_cells() -> None:
    page = " ".join((SPEC / "cipher-analog.md").read_text().split())
    assert f"| below {analog_layout._LEAST_CELLS} | none | none |" in page
    assert f"| from {analog_layout._LEAST_CELLS_WITH_BASE} on |" in page
    assert f"floor({analog_layout._BASE_SHARE} N) cells" in page
    assert f"floor({analog_layout._GOLDEN} N)" in page
    assert f"codeword of rate {analog_layout._BASE_RATE} sent twice" in page
    assert analog_layout._BASE_TIMES == 2
    assert f"the detail one of rate {analog_layout._DETAIL_RATE}." in page
    assert analog_layout._DETAIL_TIMES == 1
