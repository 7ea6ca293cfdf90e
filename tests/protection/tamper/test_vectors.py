import json
from pathlib import Path

import numpy as np
import pytest

import medseal.errors
from medseal.protection.tamper import Fingerprint, check, signer_of
from tests.protection.pictures import picture

VECTORS = Path(__file__).parents[2] / "vectors" / "tamper-fingerprint"
FILES = sorted(VECTORS.glob("*.json"))


def test_there_is_a_vector_for_every_outcome():
    outcomes = {json.loads(path.read_text()).get("outcome", "refused") for path in FILES}
    assert outcomes == {"authentic", "tampered", "transcoded", "refused"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_vector(path):
    vector = json.loads(path.read_text())
    data, key = bytes.fromhex(vector["fingerprint"]), bytes.fromhex(vector["key"])
    if "error" in vector:
        expected = getattr(medseal.errors, vector["error"])
        with pytest.raises(expected, match=vector["message"]):
            Fingerprint.from_bytes(data).authenticate(key)
        return
    record = Fingerprint.from_bytes(data)
    assert record.to_bytes() == data
    record.verify_signature(signer_of(key))
    image = picture(np.array(vector["values"], np.uint8))
    report = check(image, record, key)
    assert report.outcome == vector["outcome"]
    if "changed_tile" in vector:
        (region,) = report.regions
        place = [region.row, region.column, region.height, region.width]
        assert place == vector["changed_tile"]
