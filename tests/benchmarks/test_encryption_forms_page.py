import json

import pytest

from benchmarks.encryption_forms_page import forms_glance, forms_lines
from benchmarks.report import RESULTS


@pytest.fixture
def result():
    return json.loads((RESULTS / "encryption.json").read_text(encoding="utf-8"))["result"]


def test_every_channel_and_damage_has_a_row(result):
    text = "\n".join(forms_lines(result))
    for channel in result["analog"]["clinical"]:
        assert f"\n| {channel} |" in text
    for damage in result["channel"]["qualities"]["70"]["damages"]:
        assert f"\n| {damage} |" in text


def test_what_was_asked_stands_beside_what_was_measured(result):
    rows = list(forms_glance(result))
    assert sum("analog cipher image" in row for row in rows) == 9
    assert all(row.endswith((" met |", " not met |")) for row in rows)


def test_a_figure_that_falls_short_is_said_to(result):
    result["analog"]["clinical"]["JPEG 70"]["unet"]["psnr_db"] = 37.4
    result["channel"]["qualities"]["50"]["damages"]["JPEG 50"]["exact_share"] = 0.99
    short = [row for row in forms_glance(result) if row.endswith(" not met |")]
    assert ["JPEG 70" in short[0], "JPEG 50" in short[1], len(short)] == [True, True, 2]


def test_exactness_needs_all_draws():
    found = {"draws": 10_000, "real_images": 5, "round_trips": 120_000, "exact": 120_000}
    (row,) = forms_glance({"exactness": found})
    assert row.endswith(" met |")
    assert "120,000 round trips, 120,000 exact" in "".join(forms_lines({"exactness": found}))
    for change in ({"exact": 119_999}, {"draws": 9_999}):
        (row,) = forms_glance({"exactness": found | change})
        assert row.endswith(" not met |")


def test_what_was_not_measured_is_left_out():
    assert forms_lines({}) == []
    assert list(forms_glance({})) == []


def test_the_slowest_network_and_way_is_held_to_what_was_asked():
    quick = {"encrypt_ms": 20.0, "decrypt_ms": 21.0}
    found = {f"{side}x{side}, {name}": dict(quick) for side in (512, 2048) for name in "ab"}
    assert [row.endswith(" met |") for row in forms_glance({"times": found})] == [True, True]
    found["512x512, b"]["decrypt_ms"] = 60.5
    small, large = forms_glance({"times": found})
    assert small.endswith("60 ms | not met |")
    assert large.endswith("| 21 ms | met |")
