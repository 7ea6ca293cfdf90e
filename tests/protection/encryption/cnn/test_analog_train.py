import json

import numpy as np
import pytest
import torch

from medseal import weights
from medseal.errors import ConfigurationError, WeightsError
from medseal.protection.encryption.cipher_image import NO_CLAIM
from medseal.protection.encryption.cnn import analog_restoration
from medseal.protection.encryption.cnn.analog_features import Damaged, estimate, features, gate
from medseal.protection.encryption.cnn.analog_networks import RestorationNetwork
from medseal.protection.encryption.cnn.analog_plan import NetworkConfig
from medseal.protection.encryption.cnn.analog_train import LOG_NAME, train_restoration
from medseal.weights.run_file import CHECKPOINT_NAME
from tests.protection.encryption.cnn.test_analog_samples import groups, write

CONFIG = """id = "tiny"
version = "1"
task = "cipher-restoration-unet"
modality = "any"
method = "cipher-analog"
limits = "None."
[network]
backbone = "{backbone}"
width = 4
depth = 1
[train]
seed = {seed}
steps = {steps}
batch_size = 2
learning_rate = 0.01
patch_side = 32
per_collection = 9
validation_every = 2
bfloat16 = false
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    (first,), (last,) = groups(1, held_back=False), groups(1, held_back=True)
    rows = [("a/1.png", first, 100, 90), ("a/2.png", last, 70, 70)]
    return write(tmp_path_factory.mktemp("data"), rows)


def trained(folder, data, *, backbone="unet", seed=1, steps=4):
    path = folder / "tiny.toml"
    path.write_text(CONFIG.format(backbone=backbone, seed=seed, steps=steps))
    return train_restoration(path, data_dir=data, output_dir=folder / "models")


def damaged(rows: int, columns: int) -> Damaged:
    rng = np.random.default_rng(1)
    return Damaged(
        picture=rng.random((rows, columns)).astype(np.float32),
        error=0.01,
        residual=rng.normal(0, 0.02, (rows, columns)).astype(np.float32),
        weight=rng.random((rows, columns)).astype(np.float32),
        noise=0.01,
    )


@pytest.mark.parametrize("backbone", ["unet", "resnet", "autoencoder"])
def test_what_is_trained_runs_without_pytorch_as_it_did_with_it(tmp_path, data, backbone) -> None:
    run = trained(tmp_path, data, backbone=backbone)
    card, tensors = weights.load_folder(run.folder)
    assert card.limits.endswith(NO_CLAIM)
    assert card.metrics["part"] == "validation"
    network = RestorationNetwork(NetworkConfig(**card.network))
    network.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in tensors.items()})
    shown = damaged(64, 48)
    with torch.no_grad():
        answer = network(torch.from_numpy(features(shown))[None])[0, 0].numpy()
    expected = estimate(shown) + 0.01 * gate(shown) * answer
    assert np.abs(answer).max() > 0
    found = analog_restoration.restore(shown, analog_restoration.load_folder(run.folder))
    assert np.allclose(found, expected, atol=1e-6)


def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path, data) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = trained(tmp_path / "first", data)
    log = first.run_folder / LOG_NAME
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert (first.run_folder / CHECKPOINT_NAME).is_file()
    again = trained(tmp_path / "first", data)
    second = trained(tmp_path / "second", data)
    tensors = [weights.load_folder(run.folder)[1] for run in (first, again, second)]
    for other in tensors[1:]:
        assert all(np.array_equal(tensors[0][name], other[name]) for name in tensors[0])


def test_another_configuration_in_the_same_folder_is_refused(tmp_path, data) -> None:
    trained(tmp_path, data, steps=2)
    with pytest.raises(ConfigurationError, match="another"):
        trained(tmp_path, data, steps=2, seed=2)


def test_a_damaged_run_is_refused(tmp_path, data) -> None:
    run = trained(tmp_path, data, steps=2)
    (run.run_folder / CHECKPOINT_NAME).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="tiny"):
        trained(tmp_path, data, steps=2)
