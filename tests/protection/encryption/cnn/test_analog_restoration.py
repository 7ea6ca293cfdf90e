import dataclasses

import numpy as np
import pytest

from medseal import weights
from medseal.digest import Digest
from medseal.errors import WeightsError
from medseal.protection.encryption.cnn import analog_restoration
from medseal.protection.encryption.cnn.analog_features import estimate
from medseal.protection.encryption.cnn.analog_plan import Convolution, NetworkConfig, plan_of
from medseal.weights import Card
from tests.protection.encryption.cnn.test_analog_train import damaged


def saved(folder, *, backbone="resnet", tensors=None):
    config = {"backbone": backbone, "width": 4, "depth": 1}
    rng = np.random.default_rng(1)
    if tensors is None:
        tensors = {}
        steps = [s for s in plan_of(NetworkConfig(**config)) if isinstance(s, Convolution)]
        for index, step in enumerate(steps):
            shape = (step.outputs, step.inputs, 3, 3)
            tensors[f"{index}.weight"] = rng.normal(0, 0.2, shape).astype(np.float32)
            tensors[f"{index}.bias"] = rng.normal(0, 0.2, step.outputs).astype(np.float32)
    card = Card(
        id="tiny",
        version="1",
        task="cipher-restoration-unet",
        modality="any",
        method="cipher-analog",
        sha256=Digest.plain(b""),
        default=False,
        limits="None.",
        network=config,
    )
    weights.save(folder, card=card, tensors=tensors)
    return folder / "tiny"


def test_any_sides_are_restored(tmp_path) -> None:
    network = analog_restoration.load_folder(saved(tmp_path, backbone="unet"))
    for rows, columns in ((1, 1), (17, 23), (8, 8)):
        restored = analog_restoration.restore(damaged(rows, columns), network)
        assert restored.shape == (rows, columns)
        assert np.isfinite(restored).all()


def test_large_planes_are_restored_in_strips_without_a_seam(tmp_path, monkeypatch) -> None:
    network = analog_restoration.load_folder(saved(tmp_path))
    shown = damaged(700, 24)
    in_strips = analog_restoration.restore(shown, network)
    monkeypatch.setattr(analog_restoration, "_STRIP_ROWS", 1000)
    assert np.allclose(in_strips, analog_restoration.restore(shown, network), atol=1e-6)


def test_what_was_heard_in_full_is_left_alone(tmp_path) -> None:
    network = analog_restoration.load_folder(saved(tmp_path))
    shown = damaged(16, 16)
    whole = dataclasses.replace(shown, noise=0.0, weight=np.ones((16, 16), np.float32))
    assert np.array_equal(analog_restoration.restore(whole, network), estimate(whole))


def test_other_tensors_are_refused(tmp_path) -> None:
    folder = saved(tmp_path, tensors={"0.weight": np.zeros((4, 20, 3, 3), np.float32)})
    with pytest.raises(WeightsError, match="not the tensors"):
        analog_restoration.load_folder(folder)
