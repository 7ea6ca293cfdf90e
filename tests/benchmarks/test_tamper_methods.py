import numpy as np
import pytest

from benchmarks.tamper_methods import BLIND, PRODUCT, answered, detectors
from medseal.errors import InputError
from medseal.protection.attacks import forgeries
from tests.protection.pictures import grey

IMAGE = grey(128, 128)
NOWHERE = np.zeros((128, 128), np.bool_)
WITH_RECORD = [each.name for each in detectors() if not each.is_blind]


@pytest.mark.parametrize("name", WITH_RECORD)
def test_an_untouched_copy_passes_every_method_with_a_record(name):
    (detector,) = detectors([name])
    kept = answered(detector, IMAGE, detector.enrol(IMAGE), NOWHERE)
    assert not kept["flagged"]
    assert not kept["abstained"]
    assert "f1" not in kept


def test_the_product_names_and_locates_an_edit():
    forged, mask = forgeries.change_block(IMAGE, np.random.default_rng(1), size=16, steps=40)
    (product,) = detectors([PRODUCT])
    kept = answered(product, forged, product.enrol(IMAGE), mask)
    assert (kept["outcome"], kept["flagged"]) == ("tampered", True)
    assert 0.3 < kept["iou"] < kept["f1"] <= 1


def test_a_baseline_that_does_not_flag_shows_no_mask():
    (method,) = detectors(["thumbnail 192 + MACs"])
    assert not method.answer(IMAGE, method.enrol(IMAGE)).mask.any()


def test_another_training_of_the_blind_detector_is_named_with_its_folder(tmp_path):
    first, second = detectors([PRODUCT, f"without removal={tmp_path}"])
    assert (first.name, second.name, second.folder) == (PRODUCT, "without removal", tmp_path)
    assert second.is_blind
    assert BLIND in {each.name for each in detectors()}


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="unknown method magic; here are medseal, medseal blind"):
        detectors(["magic"])
