"""The figures in the specifications are those of the code."""

from pathlib import Path

from medseal.imaging.limits import MAX_FRAMES
from medseal.protection.tamper import MAX_FINGERPRINT_BYTES, fingerprint
from medseal.protection.tamper.tiles import MAX_TILES
from medseal.protection.watermark import MIN_SIDE, payload
from medseal.protection.watermark.extract import MAX_HYPOTHESES, extract
from medseal.protection.watermark.frame import FRAME_SIDE
from medseal.protection.watermark.pattern import SYNC_WAVES, TILE, pattern
from medseal.protection.watermark.residual import MAP_LIMIT
from tests.protection.pictures import KEY, grey

SPEC = Path(__file__).parents[2] / "docs" / "spec"


def test_tamper_fingerprint():
    page = (SPEC / "tamper-fingerprint.md").read_text()
    size = len(fingerprint(grey(512, 512), KEY).to_bytes())
    assert f"`MAX_FINGERPRINT_BYTES` = {MAX_FINGERPRINT_BYTES}; {size} bytes for one grey" in page
    assert f"s * s <= {MAX_TILES}." in page
    assert f"1 to {MAX_FRAMES};" in page


def test_watermark_payload():
    page = " ".join((SPEC / "watermark-payload.md").read_text().split())
    keyed = pattern(KEY)
    waves = len(keyed.waves)
    assert f'order("waves", {waves + SYNC_WAVES})' in page
    assert f"The first {SYNC_WAVES} of them" in page
    assert f"The other n = {waves} carry bits. Their 2n = {2 * waves} slots" in page
    assert f"the last {2 * payload.CODED_BITS - 2 * waves} one." in page
    assert f'derive("signs", {-(-2 * waves // 8)})' in page
    assert f"gives {payload.CODED_BITS} coded bits" in page
    assert f"a period of {TILE} x {TILE} places" in page
    assert f"a long side of {FRAME_SIDE} places" in page
    assert f"integers of at most {MAP_LIMIT}" in page
    assert f"An image needs {MIN_SIDE} x {MIN_SIDE} places" in page


def test_false_positives_of_a_watermark():
    page = " ".join((SPEC / "watermark-payload.md").read_text().split())
    single = round(extract(grey(128, 128), KEY).false_positive_rate * 2**32)
    assert f"`MAX_HYPOTHESES` = {MAX_HYPOTHESES}." in page
    for count in (single, MAX_HYPOTHESES):
        assert f"= {count} | {count * 2**-32:.1e}".replace("e-0", "e-") in page
