import numpy as np
import pytest

from medseal import weights
from medseal.errors import InputError
from medseal.protection.tamper import calibrate as module
from medseal.protection.tamper.calibrate import calibrate
from medseal.protection.tamper.reference.inference import CALIBRATION, load_folder
from tests.protection.tamper.reference.test_images import TRAINED, data_in, levels, written
from tests.protection.tamper.reference.test_inference import saved, tensors_of
from tests.protection.tamper.reference.test_networks import seeing_network


@pytest.fixture(scope="module", autouse=True)
def _few_trials():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BENIGN_TRIALS", 6)
        patch.setattr(module, "_FORGED_TRIALS", 5)
        patch.setattr(module, "_PROVEN_TRIALS", 3)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


def model_in(folder, calibration=(1.0, 0.0, 0.5)):
    return saved(folder, tensors_of(seeing_network(), calibration=calibration))


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory, data):
    folder = model_in(tmp_path_factory.mktemp("model"))
    return folder, calibrate(folder, data_dir=data)


def test_what_was_fixed_stands_in_the_folder(calibrated):
    folder, card = calibrated
    networks = load_folder(folder)
    assert card == weights.read_card(folder)
    scale, offset, place = weights.load_folder(folder)[1][CALIBRATION]
    assert (networks.scale, networks.offset) == (scale, offset)
    assert networks.scale > 0
    assert 0.1 <= networks.place_threshold == place <= 0.9
    assert networks.narrowing is not None


def test_the_card_says_on_how_many_copies(calibrated):
    metrics = calibrated[1].metrics
    # Two images are kept for it.
    seen = metrics["calibration_untouched_copies"] + metrics["calibration_forged_copies"]
    assert seen + metrics["calibration_unreadable"] == 2 * (6 + 5)
    assert 0 <= metrics["calibration_caught"] <= 1
    assert 0 <= metrics["calibration_pixel_f1"] <= 1


def test_the_threshold_lies_at_the_worst_untouched_copy(calibrated, data):
    """Of a dozen untouched copies 0.2 % are none: hardly one exceeds the threshold."""
    folder, _ = calibrated
    seen = module._trials(load_folder(folder), data, per_collection=4)
    above = np.array(seen.benign) > 0
    assert above.sum() <= 1
    assert max(seen.benign) == pytest.approx(0, abs=0.5)


def test_a_former_calibration_does_not_matter(tmp_path, calibrated, data):
    folder = model_in(tmp_path, calibration=(7.0, 3.0, 0.2))
    load_folder(folder)
    calibrate(folder, data_dir=data)
    again, first = (weights.load_folder(one)[1][CALIBRATION] for one in (folder, calibrated[0]))
    assert np.array_equal(again, first)


def test_without_images_the_model_stays_as_it_was(tmp_path):
    (tmp_path / "data").mkdir()
    data = written(tmp_path / "data", [("x/a.png", "any", TRAINED[0], levels(64, 64))])
    folder = model_in(tmp_path)
    before = weights.read_card(folder).sha256
    with pytest.raises(InputError, match="no images to calibrate on"):
        calibrate(folder, data_dir=data)
    assert weights.read_card(folder).sha256 == before
