import numpy as np
import pytest
import torch

from medseal import weights
from medseal.digest import Digest
from medseal.errors import DigestMismatchError, WeightsError
from medseal.protection.tamper.blind.inference import Engine, load_folder
from medseal.protection.tamper.blind.networks import BlindNetwork, stored_tensors
from medseal.weights import Card
from tests.protection.pictures import texture
from tests.protection.tamper.blind.test_calibration import calibration
from tests.protection.tamper.blind.test_networks import TINY, network_of


def saved(folder, *, model_id="tiny", more=None):
    card = Card(
        id=model_id,
        version="1",
        task="tamper-blind",
        modality="any",
        method="tamper-blind",
        sha256=Digest.plain(b""),
        default=False,
        limits="None.",
    )
    network = stored_tensors(network_of())
    channels = TINY.channels[-1]
    centre, whitening = np.zeros(channels, np.float32), np.eye(channels, dtype=np.float32)
    numbers = calibration(centre=centre, whitening=whitening, **(more or {}))
    weights.save(folder, card=card, tensors=network | numbers.tensors())
    return folder / model_id


@pytest.mark.parametrize("shape", [(64, 64), (96, 144)])
def test_it_computes_what_the_network_does(shape):
    network = network_of()
    plane = np.rint(texture(*shape) * 255).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(plane)[None, None])
    found = Engine.of(stored_tensors(network), name="x").look(plane)
    # Kernels are stored in half precision.
    assert np.allclose(found.forged, expected.forged[0, 0], atol=2e-2)
    assert np.allclose(found.trusted, expected.trusted[0, 0], atol=2e-2)
    assert np.allclose(found.features, expected.features[0], atol=2e-2)
    assert found.score == pytest.approx(float(expected.score[0]), abs=2e-2)


def test_a_folder_holds_network_and_calibration(tmp_path):
    model = load_folder(saved(tmp_path))
    assert model.model_id == "tiny"
    assert model.calibration.slope == 2.0
    assert model.engine.look(np.zeros((64, 64), np.float32)).forged.shape == (64, 64)


def test_damaged_weights_are_refused(tmp_path):
    folder = saved(tmp_path, model_id="damaged")
    path = folder / weights.store.WEIGHTS_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatchError, match="not those on its card"):
        load_folder(folder)


def test_other_tensors_are_refused():
    tensors = stored_tensors(BlindNetwork(TINY))
    del tensors["stem.weights.weight"]
    with pytest.raises(WeightsError, match="not the tensors of a blind network"):
        Engine.of(tensors, name="x")
