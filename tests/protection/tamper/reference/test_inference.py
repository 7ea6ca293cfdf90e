import numpy as np
import pytest
import torch

from medseal import weights
from medseal.digest import Digest
from medseal.errors import DigestMismatchError, UnknownModelError, WeightsError
from medseal.protection.tamper.reference.fusion import CLUES
from medseal.protection.tamper.reference.inference import (
    CALIBRATION,
    MODEL_TAG_BYTES,
    TASK,
    load,
    load_folder,
)
from medseal.protection.tamper.reference.networks import TILE_MAPS
from medseal.weights import Card, store
from tests.protection.pictures import texture
from tests.protection.tamper.reference.test_networks import TINY, network_of, seeing_network


def tensors_of(network, calibration=(1.0, 0.0, 0.5)):
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return tensors | {CALIBRATION: np.array(calibration, np.float32)}


def saved(folder, tensors, *, model_id="tiny"):
    """Write a model folder as training and calibration do, and return it."""
    card = Card(
        id=model_id,
        version="1",
        task=TASK,
        modality="any",
        method="tamper-reference",
        limits="None.",
        default=True,
        sha256=Digest.plain(b""),
    )
    weights.save(folder, card=card, tensors=tensors)
    return folder / model_id


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install the network made by hand as the only model of the comparison."""
    (tmp_path / "weights").mkdir()
    saved(tmp_path / "weights", tensors_of(seeing_network()))
    monkeypatch.setattr(store, "_SHIPPED", tmp_path / "weights")
    load.cache_clear()
    yield load()
    load.cache_clear()


def levels(rows, columns, *, seed=0):
    return (255 * texture(rows, columns, seed=seed)).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 64), (96, 144)])
def test_it_computes_what_the_network_does(tmp_path, shape):
    network = network_of()
    found = load_folder(saved(tmp_path, tensors_of(network)))
    reading = found.read(levels(*shape))
    rng = np.random.default_rng(0)
    down, across = shape[0] // 16, shape[1] // 16
    residual = rng.normal(0, 2, (TINY.features, down, across)).astype(np.float32)
    maps = rng.uniform(0, 1, (TILE_MAPS, down, across)).astype(np.float32)
    tiles, places = found.judge(reading, residual, maps)
    given = torch.from_numpy((levels(*shape) - 128) / 64)[None, None]
    with torch.no_grad():
        wanted, features = network.read(given)
        both = network.judge(wanted, torch.from_numpy(residual)[None], torch.from_numpy(maps)[None])
    assert reading.features == pytest.approx(features[0].numpy(), abs=1e-3)
    assert tiles == pytest.approx(both[0][0, 0].numpy(), abs=1e-3)
    assert places == pytest.approx(both[1][0, 0].numpy(), abs=1e-3)


def test_a_folder_holds_networks_and_calibration(tmp_path):
    folder = saved(tmp_path, tensors_of(network_of(), calibration=(2.0, -3.0, 0.25)))
    found = load_folder(folder)
    assert (found.model_id, found.features, found.place_threshold) == ("tiny", 3, 0.25)
    known = np.zeros(CLUES)
    known[0] = 5
    assert found.calibrated(known) == 7.0
    assert found.tag == weights.read_card(folder).sha256.value[:MODEL_TAG_BYTES]


def test_the_installed_model_is_the_default_one(installed):
    assert installed.model_id == "tiny"
    assert load() is installed


def test_without_a_model_none_is_guessed(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_SHIPPED", tmp_path)
    load.cache_clear()
    with pytest.raises(UnknownModelError, match="tamper"):
        load()


def test_damaged_weights_are_refused(tmp_path):
    folder = saved(tmp_path, tensors_of(network_of()))
    path = folder / store.WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatchError, match="not those on its card"):
        load_folder(folder)


@pytest.mark.parametrize(
    "name", [CALIBRATION, "trunk.tile.weight", "features.bias", "compare.weight", "mask_logit.bias"]
)
def test_other_tensors_are_refused(tmp_path, name):
    tensors = tensors_of(network_of())
    del tensors[name]
    with pytest.raises(WeightsError, match="not the tensors of a comparison"):
        load_folder(saved(tmp_path, tensors))


def test_tensors_of_other_shapes_are_refused(tmp_path):
    tensors = tensors_of(network_of())
    tensors["trunk.quarters.weight"] = tensors["trunk.quarters.weight"][:, :1]
    with pytest.raises(WeightsError, match="not the tensors of a comparison"):
        load_folder(saved(tmp_path, tensors))


def test_a_calibration_of_two_numbers_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="not the tensors of a comparison"):
        load_folder(saved(tmp_path, tensors_of(network_of(), calibration=(1.0, 0.0))))
