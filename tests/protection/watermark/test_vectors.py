import json
from pathlib import Path

import numpy as np
import pytest

from medseal.protection.watermark.carrier import carrier
from medseal.protection.watermark.payload import encode, most_likely_messages, open_message

VECTORS = Path(__file__).parents[2] / "vectors" / "watermark-payload"
FILES = sorted(path for path in VECTORS.glob("*.json") if path.stem != "tile")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path):
    vector = json.loads(path.read_text())
    key = bytes.fromhex(vector["key"])
    coded = np.array([int(bit) for bit in vector["coded"]])
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


def test_the_tile_is_laid_out_as_specified():
    vector = json.loads((VECTORS / "tile.json").read_text())
    pattern = carrier(bytes.fromhex(vector["key"]))
    assert pattern.bit_of[:8, :8].ravel().tolist() == vector["bit_of"]
    assert np.array_equal(pattern.bit_of[8:, 8:], pattern.bit_of[:8, :8])
    signs = "".join("1" if sign > 0 else "0" for sign in pattern.signs.ravel())
    assert signs == vector["signs"]
