from benchmarks.watermark_plots import draw
from benchmarks.watermark_tables import tables
from tests.benchmarks.test_watermark_tables import MEASURED


def test_rates_and_presence_are_drawn_as_png(tmp_path):
    written = draw(tables(MEASURED), MEASURED, tmp_path)
    assert [path.name for path in written] == ["watermark_large.png", "watermark_presence.png"]
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_nothing_is_drawn_of_nothing(tmp_path):
    assert draw({}, [], tmp_path) == []
