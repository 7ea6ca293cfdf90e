"""The figures in the specifications are those of the code."""

from pathlib import Path

from medseal.imaging.limits import MAX_FRAMES
from medseal.protection.tamper import MAX_FINGERPRINT_BYTES, fingerprint
from medseal.protection.tamper.tiles import MAX_TILES
from medseal.protection.watermark import MIN_SIDE, payload
from medseal.protection.watermark.carrier import TILE, carrier
from medseal.protection.watermark.synchronise import MAX_CANDIDATES
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
    bits = carrier(KEY).bit_of
    assert f"the first {int((bits[:8, :8] == -1).sum())} carry the synchronisation" in page
    assert f"8 x 8 x {bits.shape[2]} = {bits[:8, :8].size} slots" in page
    assert f"{payload.CODED_BITS} coded bits, free distance 22" in page
    assert f"every {TILE} x {TILE} places" in page
    assert f"at most {MAX_CANDIDATES} candidates a round" in page
    assert (
        f"{7 * MAX_CANDIDATES} * 2^-32 = {7 * MAX_CANDIDATES * 2**-32:.1e}".replace("e-0", "e-")
        in page
    )
    assert f"{MAX_CANDIDATES * 2**-32:.1e}".replace("e-0", "e-") + " for a single frame" in page
    assert f"An image needs {MIN_SIDE} x {MIN_SIDE} places" in page
