import hashlib
import shutil

import numpy as np
import pytest
import torch

from medseal.classification.config import read_config
from medseal.classification.initial import first_network
from medseal.classification.networks import NetworkConfig, build
from medseal.errors import ConfigurationError, DigestMismatchError, UnknownModelError, WeightsError

HEAD = """
id = "a"
version = "1"
task = "tumour"
modality = "MR"
method = "{method}"
dataset = "brain-mri"
limits = "none known"
[initial]
"""


def start(tmp_path, method, initial, **settings):
    (tmp_path / "config.toml").write_text(HEAD.format(method=method) + initial)
    return first_network(
        read_config(tmp_path / "config.toml"),
        NetworkConfig(rows=32, columns=32, **settings),
        config_dir=tmp_path,
        output_dir=tmp_path,
    )


def foreign_resnet(tmp_path, **changes):
    """A state dict of ImageNet's shape, narrow, and its digest."""
    state = build("resnet50", NetworkConfig(classes=1000, width=0.125), seed=5).state_dict()
    torch.save({**state, **changes}, tmp_path / "resnet.pth")
    return state, hashlib.sha256((tmp_path / "resnet.pth").read_bytes()).hexdigest()


def test_without_initial_weights_the_seed_draws(tmp_path):
    network, origin = start(tmp_path, "edge-cnn", "")
    expected = build("edge-cnn", NetworkConfig(rows=32, columns=32), seed=1).state_dict()
    assert origin == {}
    assert all(torch.equal(network.state_dict()[k], v) for k, v in expected.items())


def test_efficientnet_starts_from_imagenet_with_its_own_head(tmp_path):
    initial = 'weights = "efficientnet-lite0"'
    network, origin = start(tmp_path, "efficientnet-lite0", initial, truncate=6)
    assert origin["weights"] == "efficientnet-lite0"
    assert len(origin["sha256"]) == 64
    drawn = build("efficientnet-lite0", network.config, seed=1)
    assert torch.equal(network.output.weight, drawn.output.weight)
    assert not torch.equal(network.stem.weight, drawn.stem.weight)
    assert network.stem_norm.running_var.min() >= 0


def test_resnet_from_a_path(tmp_path):
    state, sha256 = foreign_resnet(tmp_path)
    initial = f'weights = "./resnet.pth"\nsha256 = "{sha256}"'
    network, origin = start(tmp_path, "resnet50", initial, width=0.125)
    assert origin == {"weights": "resnet.pth", "sha256": sha256}
    assert torch.equal(
        network.state_dict()["layer3.0.conv1.weight"], state["layer3.0.conv1.weight"]
    )
    assert network.fc.weight.shape[0] == 2


def test_another_digest_is_refused(tmp_path):
    foreign_resnet(tmp_path)
    initial = f'weights = "./resnet.pth"\nsha256 = "{"0" * 64}"'
    with pytest.raises(DigestMismatchError, match="not the file that the configuration names"):
        start(tmp_path, "resnet50", initial, width=0.125)


def test_weights_of_another_network_are_refused(tmp_path):
    _, sha256 = foreign_resnet(tmp_path)
    initial = f'weights = "./resnet.pth"\nsha256 = "{sha256}"'
    with pytest.raises(ConfigurationError, match="weights of another network"):
        start(tmp_path, "edge-cnn", initial)
    with pytest.raises(WeightsError, match="has the shape"):
        start(tmp_path, "resnet50", initial, width=0.25)


def test_own_model_by_its_id(tmp_path, trained):
    shutil.copytree(trained.folder, tmp_path / "tiny-cnn")
    network, origin = start(tmp_path, "five-layer-cnn", 'weights = "tiny-cnn"')
    assert origin["weights"] == "tiny-cnn"
    state = network.state_dict()
    drawn = build("five-layer-cnn", network.config, seed=1).state_dict()
    assert not torch.equal(state["block1.0.weight"], drawn["block1.0.weight"])
    assert torch.equal(state["output.weight"], drawn["output.weight"])
    assert np.isfinite(state["block5.1.running_var"].numpy()).all()


def test_unknown_model_is_refused(tmp_path):
    with pytest.raises(UnknownModelError, match="no model 'no-such-model'"):
        start(tmp_path, "edge-cnn", 'weights = "no-such-model"')
