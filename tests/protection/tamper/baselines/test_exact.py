import dataclasses

import numpy as np
import pytest

from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper.baselines import FileHash, Signature, ValuesHash
from tests.protection.pictures import grey

IMAGE = grey(64, 64)


@pytest.mark.parametrize("method", [FileHash(), ValuesHash(), Signature()], ids=lambda m: m.name)
def test_the_same_image_passes_and_one_value_by_one_level_does_not(method):
    record = method.enrol(IMAGE)
    assert method.compare(IMAGE, record).score == 0
    forged, _ = forgeries.change_block(IMAGE, np.random.default_rng(0), size=1, steps=1)
    assert method.compare(forged, record).score > method.threshold
    turned = distortions.quarter_turn(IMAGE, turns=1)
    assert method.compare(turned, record).score > method.threshold


def test_another_container_changes_the_file_and_not_the_values():
    other = dataclasses.replace(IMAGE, source_format="tiff")
    for method, score in ((FileHash(), 1), (ValuesHash(), 0), (Signature(), 0)):
        if method.name.startswith("Ed25519"):
            record = method.enrol(IMAGE)
            assert method.compare(other, record).score == score
        else:
            assert method.compare(other, method.enrol(IMAGE)).score == score


def test_a_signature_of_another_key_does_not_fit():
    assert Signature().compare(IMAGE, Signature().enrol(IMAGE)).score == 1
