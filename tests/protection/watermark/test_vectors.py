import json
from pathlib import Path

import numpy as np
import pytest

from medseal.protection.watermark.pattern import pattern
from medseal.protection.watermark.payload import (
    PLAIN_BITS,
    derive,
    encode,
    encode_plain,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.quantisation import STEPS, log_likelihoods, quantiser

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
