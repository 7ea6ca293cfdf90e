import json
from pathlib import Path

import numpy as np
import pytest

from medseal.protection.watermark.pattern import pattern
from medseal.protection.watermark.payload import encode, most_likely_messages, open_message

VECTORS = Path(__file__).parents[2] / "vectors" / "watermark-payload"
FILES = sorted(path for path in VECTORS.glob("*.json") if path.stem != "pattern")


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
