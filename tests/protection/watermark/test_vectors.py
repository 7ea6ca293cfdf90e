import json
from pathlib import Path

import numpy as np
import pytest

from medseal.protection.attacks.distortions import jpeg
from medseal.protection.watermark import embed
from medseal.protection.watermark.pattern import pattern
from medseal.protection.watermark.payload import (
    PLAIN_BITS,
    derive,
    encode,
    encode_plain,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.quantisation import STEPS, candidates, log_likelihoods, quantiser
from tests.protection.pictures import KEY, PAYLOAD, loud

VECTORS = Path(__file__).parents[2] / "vectors" / "watermark-payload"
LAYOUTS = ("pattern", "quantiser")
FILES = sorted(path for path in VECTORS.glob("*.json") if path.stem not in LAYOUTS)


def bits_of(vector):
    return np.array([int(bit) for bit in vector["coded"]], np.uint8)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path):
    vector = json.loads(path.read_text())
    key = bytes.fromhex(vector["key"])
    coded = bits_of(vector)
    (message,) = most_likely_messages(coded[None] * 2.0 - 1.0)
    payload = open_message(message, key)
    if vector["payload"] is None:
        assert payload is None
        return
    assert payload is not None
    assert payload.hex() == vector["payload"]
    assert message[8:].hex() == vector["mac"]
    if path.stem == "valid":
        assert np.array_equal(encode(payload, key), coded)
    if path.stem == "plain":
        assert np.array_equal(encode_plain(payload, key), coded)
    if path.stem.startswith("valid"):
        assert np.array_equal(encode(payload, key, coded * 2.0 - 1.0), coded)


def test_the_pattern_is_laid_out_as_specified():
    vector = json.loads((VECTORS / "pattern.json").read_text())
    keyed = pattern(bytes.fromhex(vector["key"]))

    def waves(name):
        return [[int(part) for part in pair.split(",")] for pair in vector[name].split()]

    assert keyed.waves.tolist() == waves("waves")
    assert keyed.sync_waves.tolist() == waves("sync_waves")
    assert keyed.bit_of.tolist() == [int(bit) for bit in vector["bit_of"].split()]
    assert "".join("1" if sign > 0 else "0" for sign in keyed.signs) == vector["signs"]
    valid = bits_of(json.loads((VECTORS / "valid.json").read_text()))
    assert np.allclose(keyed.tile(valid)[0], vector["first_row_of_valid"], atol=2e-6)


def test_the_quantiser_is_laid_out_as_specified():
    vector = json.loads((VECTORS / "quantiser.json").read_text())
    key = bytes.fromhex(vector["key"])
    keyed = quantiser(key)
    assert keyed.bit_of.tolist() == [int(bit) for bit in vector["bit_of"].split()]
    assert keyed.ring_of.tolist() == [int(ring) for ring in vector["ring_of"].split()]
    assert "".join("1" if sign > 0 else "0" for sign in keyed.signs) == vector["signs"]
    words = [int(word) for word in vector["dither"].split()]
    assert np.allclose(keyed.dither, np.array(words) / 2**64, atol=1e-15)
    drawn = np.frombuffer(derive(key, "tile of the test vector", 64 * 64), np.uint8)
    values, _ = keyed.values(drawn.reshape(64, 64).astype(np.float64))
    assert np.allclose(values, vector["values"], atol=2e-6)
    coded = bits_of(json.loads((VECTORS / "plain.json").read_text()))
    assert len(coded) == PLAIN_BITS
    assert vector["step"] in STEPS
    nearest = keyed.nearest(values, coded, vector["step"])
    assert np.allclose(nearest, vector["nearest_to_plain"], atol=2e-6)
    assert np.allclose(
        log_likelihoods(keyed, np.array(vector["nearest_to_plain"]), vector["step"]),
        coded * 2.0 - 1.0,
        atol=1e-6,
    )


# A reader of the quantised mark made from the page alone, in plain NumPy.


def layout():
    vector = json.loads((VECTORS / "quantiser.json").read_text())
    bit_of, ring_of, words = (
        np.array([int(each) for each in vector[name].split()], np.uint64)
        for name in ("bit_of", "ring_of", "dither")
    )
    signs = np.array([1 if sign == "1" else -1 for sign in vector["signs"]])
    return bit_of.astype(int), ring_of.astype(int), signs, words / 2.0**64


def windows(plane, side):
    padded = np.pad(plane, side // 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side))


def smoothed_as_specified(levels, shape):
    around = windows(levels, 3).reshape(*levels.shape, 9)
    around = np.delete(around, 4, axis=2)
    most, least = around.max(axis=2), around.min(axis=2)
    specks = (most - least < 48) & ((levels > most + 48) | (levels < least - 48))
    clean = np.where(specks, (most + least) / 2, levels)
    deviation = 0.4 * levels.shape[0] / shape[0]
    reach = int(4 * deviation) + 1
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
    for axis in (0, 1):
        wide = np.pad(
            clean, [(reach, reach) if each == axis else (0, 0) for each in (0, 1)], "edge"
        )
        clean = np.apply_along_axis(np.convolve, axis, wide, bell / bell.sum(), "valid")
    # Means of areas, of which the size of the image is a multiple here.
    rows, columns = (whole // part for whole, part in zip(levels.shape, shape, strict=True))
    return clean.reshape(shape[0], rows, shape[1], columns).mean(axis=(1, 3))


def values_as_specified(frame):
    bit_of, ring_of, signs, _ = layout()
    detail = frame - windows(frame, 9).mean(axis=(2, 3))
    energy = windows(detail**2, 17).mean(axis=(2, 3))
    share = energy / energy.mean()
    heard = detail * share / (share + 0.3) * (share + 0.3) ** (-1 / 4)
    tile = heard.reshape(frame.shape[0] // 64, 64, frame.shape[1] // 64, 64).sum(axis=(0, 2))
    waves = [(u, v) for u in range(64) for v in range(32) if v > 0 or 0 < u < 32]
    waves = np.array([(u, v) for u, v in waves if 4 <= min(u, 64 - u) ** 2 + v**2 <= 368])
    parts = np.fft.fft2(tile)[waves[:, 0], waves[:, 1]]
    slots = np.concatenate([parts.real, parts.imag])
    rings = ring_of[bit_of]
    levels = np.sqrt(np.bincount(rings, slots**2) / np.bincount(rings))
    sums = np.bincount(bit_of, slots * signs) / np.sqrt(np.bincount(bit_of))
    lengths = np.hypot(np.minimum(waves[:, 0], 64 - waves[:, 0]), waves[:, 1])
    radius = np.bincount(rings, np.tile(lengths, 2)) / np.bincount(rings)
    return sums / levels[ring_of], ((radius / radius.mean()) ** 0.8)[ring_of]


def test_a_reader_made_from_the_page_reads_a_copy():
    copy = jpeg(embed(loud(512, 384), PAYLOAD, KEY), quality=70)
    levels = copy.stored_values[0, :, :, 0].astype(np.float64)
    values, profile = values_as_specified(smoothed_as_specified(levels, (256, 192)))
    dither = layout()[3]
    rows = np.stack(
        [-np.cos(2 * np.pi * (values / (0.36 * 1.12**k * profile) - dither)) for k in range(14)]
    )
    assert PAYLOAD in {open_message(message, KEY) for message in most_likely_messages(rows)}
    upright = candidates(levels.astype(np.float32), KEY)[:14]
    assert np.abs(rows - upright).max() < 1e-3
