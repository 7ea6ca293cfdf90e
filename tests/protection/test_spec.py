"""The figures in the specifications are those of the code."""

import re
from pathlib import Path

import numpy as np

from medseal.imaging.limits import MAX_FRAMES
from medseal.protection.tamper import MAX_FINGERPRINT_BYTES, fingerprint
from medseal.protection.tamper.fingerprint import MAX_ROBUST_BYTES
from medseal.protection.tamper.tiles import MAX_TILES
from medseal.protection.watermark import MIN_SIDE, payload, quantisation
from medseal.protection.watermark.extract import MAX_HYPOTHESES, extract
from medseal.protection.watermark.frame import _SMALL_SIDE, FRAME_SIDE, LOCAL_SIDE, SMALL_FRAME_SIDE
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
    assert f"length, at most {MAX_ROBUST_BYTES}," in page


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
    assert (
        f"a long side of {FRAME_SIDE} places, or of {SMALL_FRAME_SIDE} where the long side of the "
        f"image is below {_SMALL_SIDE};"
    ) in page
    assert f"integers of at most {MAP_LIMIT}" in page
    assert f"An image needs {MIN_SIDE} x {MIN_SIDE} places" in page


def test_quantised_mark():
    page = " ".join((SPEC / "watermark-payload.md").read_text().split())
    keyed = quantisation.quantiser(KEY)
    waves, slots = len(quantisation._WAVES), len(keyed.bit_of)
    rings = len(quantisation._PROFILE)
    bits = payload.PLAIN_BITS
    assert slots == 2 * waves
    least, beyond = ((TILE * bound) ** 2 for bound in quantisation._BAND)
    assert f"{np.ceil(least):g} <= m^2 + v^2 <= {np.floor(beyond):g} are" in page
    assert f"by u, then v: {waves}. Ranked" in page
    assert f"in ring floor({rings} k / {waves})" in page
    assert f"The {slots} slots are" in page
    assert f"floor({bits} r / {rings}) to floor({bits} (r + 1) / {rings}) - 1" in page
    assert f'`order("quantised bits", {bits})`' in page
    assert f'`order("quantised waves", {slots})`' in page
    shares = np.bincount(keyed.bit_of)
    assert f"{shares.min()} or {shares.max()} slots for each bit" in page
    assert f'`derive("quantised signs", {-(-slots // 8)})`' in page
    assert f'`words("quantised dither", {bits})`' in page
    assert f"which gives {bits} coded bits" in page


def test_listening_and_lattice_of_a_quantised_mark():
    page = " ".join((SPEC / "watermark-payload.md").read_text().split())
    steps, side = quantisation.STEPS, quantisation._ENERGY_SIDE
    ratio = steps[1] / steps[0]
    assert f"{steps[0]:g} * {ratio:g}^k for k = 0 to {len(steps) - 1}" in page
    assert f"(f_r / f)^{quantisation._STEP_SLOPE:g}" in page
    assert f"a deviation of {quantisation._SMOOTHING:g} times" in page
    assert f"differ by less than {quantisation._EVEN:g} levels" in page
    assert f"more than {quantisation._ODD:g} above" in page
    assert f"its mean over {LOCAL_SIDE} x {LOCAL_SIDE} places" in page
    assert f"over {side} x {side} places" in page
    assert quantisation._LOUDNESS == 1 / 4
    assert f"q / (q + {quantisation._QUIET:g}) * (q + {quantisation._QUIET:g})^(-1/4)" in page
    first, second = quantisation._LIFTS
    toe = f"p / (p + {quantisation._TOE:g})"
    assert f"p + {first:g} {toe}, then by p + {second:g} {toe}," in page
    assert f"a plain codeword for each of {len(steps)} steps in each of 8 orientations" in page
    assert f"of the other long side: {quantisation.CANDIDATES} in all" in page


def test_false_positives_of_a_watermark():
    page = " ".join((SPEC / "watermark-payload.md").read_text().split())
    single = round(extract(grey(128, 128), KEY).false_positive_rate * 2**32)
    assert f"`MAX_HYPOTHESES` = {MAX_HYPOTHESES}." in page
    assert f", {quantisation.CANDIDATES} by step 2" in page
    rows = re.findall(r"\| ([\d +*()]+) = (\d+) \| ([\d.e-]+) \|", page)
    assert [int(count) for _, count, _ in rows] == [single, MAX_HYPOTHESES]
    for terms, count, bound in rows:
        assert str(quantisation.CANDIDATES) in terms
        assert bound == f"{int(count) * 2**-32:.1e}".replace("e-0", "e-")
