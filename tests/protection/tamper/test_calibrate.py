import numpy as np
import pytest

from medseal import weights
from medseal.errors import InputError
from medseal.protection.tamper import calibrate as module
from medseal.protection.tamper.calibrate import calibrate
from medseal.protection.tamper.reference.fusion import CLUES
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
    networks = load_folder(folder)
    seen = module._trials(networks, data, per_collection=4)
    logits = np.array([networks.calibrated(found) for found in seen.clues])
    untouched = logits[~np.array(seen.labels)]
    assert (untouched > 0).sum() <= 1
    assert untouched.max() == pytest.approx(0, abs=0.5)


def trials(images, *, seed):
    """Return clues of copies of some images: what is sure is forged unless all tiles are so."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(images), 40)
    labels = np.tile(np.arange(40) % 2 == 0, images)
    found = rng.normal(0, 1, (len(labels), CLUES))
    rough = rng.normal(0, 3, len(labels))
    found[:, 0] += rough + 3 * labels
    found[:, 2] = rough
    return found, labels, number


def test_clues_that_excuse_a_sure_tile_are_weighed_against_it():
    found, labels, number = trials(30, seed=0)
    fused = module._fused(found, labels, number)
    assert fused.caught > fused.caught_without + 0.2
    assert fused.fusion.weights[0] > 0 > fused.fusion.weights[2]
    others, labels, _ = trials(30, seed=1)
    above = np.array([fused.fusion.logit(one) for one in others]) > fused.threshold
    assert above[~labels].mean() < 0.02
    assert above[labels].mean() == pytest.approx(fused.caught, abs=0.1)


def test_of_few_images_the_surest_tile_decides_alone():
    found, labels, number = trials(module._FOLDS - 1, seed=0)
    fused = module._fused(found, labels, number)
    assert fused.fusion.logit(found[0]) == found[0, 0]
    assert fused.caught == fused.caught_without


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
