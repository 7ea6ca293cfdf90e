import numpy as np
import pytest
import torch

from medseal import weights
from medseal.classification import pretrain as module
from medseal.classification.augment import AugmentConfig
from medseal.classification.config import read_config
from medseal.classification.examples import Examples
from medseal.classification.fit import FitConfig, to_batch
from medseal.classification.initial import first_network
from medseal.classification.networks import NetworkConfig, build
from medseal.classification.pretrain import PretrainConfig, SimSiam, pretrain
from medseal.classification.train import train
from medseal.errors import ConfigurationError

VIEWS = AugmentConfig(share=1.0, zoom=0.2, brightness=(0.5, 0.2))
CONFIG = """
id = "tiny-pretrained"
version = "1"
task = "pretraining"
modality = "any"
method = "edge-cnn"
dataset = "pooled"
limits = "made of phantoms for a test"
[pretrain]
datasets = ["brain-mri"]
projection = 16
[preprocess]
rows = 32
columns = 32
[network]
width = 0.5
[train]
batch_size = 16
max_epochs = 1
threads = 1
bfloat16 = false
"""


def rings(count, seed):
    """Images of rings, each at another distance: the same in every mirrored or turned view."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32] - 15.5
    radius = np.hypot(rows, columns)
    pitch = generator.permutation(np.geomspace(0.15, 2.5, count))[:, None, None]
    images = (128 + 100 * np.cos(radius * pitch)).astype(np.uint8)
    return Examples(images=images, labels=np.zeros(count, np.int64))


def run(folder, method="edge-cnn", **changes):
    config = FitConfig(
        **{"batch_size": 16, "max_epochs": 3, "threads": 1, "bfloat16": False, **changes}
    )
    folder.mkdir(exist_ok=True)
    settings = NetworkConfig(rows=32, columns=32, width=0.5 if method == "edge-cnn" else 0.125)
    network = build(method, settings, seed=config.seed)
    state = pretrain(
        rings(49, 1),
        rings(16, 2),
        network=network,
        settings=PretrainConfig(datasets=("a",), projection=16),
        config=config,
        augmentation=VIEWS,
        folder=folder,
        run_digest=f"run-{config.seed}",
    )
    return network, state


def losses(state):
    return [(row.train_loss, row.validation_loss, row.validation_accuracy) for row in state.rows]


def test_views_of_an_image_come_to_look_alike(tmp_path):
    network, state = run(tmp_path, max_epochs=14, learning_rate=0.02, select_by="last")
    assert state.rows[-1].train_loss < state.rows[0].train_loss - 0.25
    with torch.inference_mode():
        vectors = network.eval().features(to_batch(rings(16, 2).images)).mean(dim=(2, 3))
    alike = torch.corrcoef(vectors)
    assert alike.min() < 0.95  # not collapsed: different images stay different
    drawn = build("edge-cnn", network.config, seed=1)
    assert torch.equal(network.output.weight, drawn.output.weight)
    assert not torch.equal(network.stem[0].weight, drawn.stem[0].weight)


@pytest.mark.parametrize("method", ["five-layer-cnn", "resnet50"])
def test_other_networks(tmp_path, method):
    _, state = run(tmp_path, method=method, max_epochs=1)
    assert -1 <= state.rows[0].validation_loss <= 1


def test_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    settings = {"schedule": "cosine", "ema_decay": 0.9}
    whole, whole_state = run(tmp_path / "whole", **settings)
    real = module._train_epoch

    def stops_in_epoch_three(*args, **options):
        if options["epoch"] == 3:
            raise KeyboardInterrupt("power cut")
        return real(*args, **options)

    monkeypatch.setattr(module, "_train_epoch", stops_in_epoch_three)
    with pytest.raises(KeyboardInterrupt, match="power cut"):
        run(tmp_path / "cut", **settings)
    monkeypatch.undo()
    resumed, state = run(tmp_path / "cut", **settings)
    assert losses(state) == losses(whole_state)
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_vectors_have_the_size_that_is_asked_for():
    encoder = build("edge-cnn", NetworkConfig(rows=32, columns=32), seed=1)
    model = SimSiam(encoder, projection=24).eval()
    assert model(torch.rand(2, 1, 32, 32)).shape == (2, 24)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"datasets": ("a", "a")}, "stand once each"), ({"projection": 6}, "multiple of 4")],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        PretrainConfig(**wrong)


def test_model_starts_from_the_folder_that_a_run_has_written(brain_folder, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    result = train(path, data_dir=brain_folder, output_dir=tmp_path)
    card, tensors = weights.load_folder(result.folder)
    assert card.classes == ()
    assert card.training["datasets"] == ["brain-mri"]
    assert card.metrics["images"] == card.training["validation_images"]
    assert not any(name.startswith("output") for name in tensors)
    text = CONFIG.replace('"pooled"', '"brain-mri"').replace("tiny-pretrained", "tiny-tuned")
    text = text.replace('datasets = ["brain-mri"]\n', "").replace("projection = 16\n", "")
    path.write_text(text + '[initial]\nweights = "tiny-pretrained"\n')
    network, origin = first_network(
        read_config(path),
        NetworkConfig(rows=32, columns=32, width=0.5),
        config_dir=tmp_path,
        output_dir=tmp_path,
    )
    assert origin == {"weights": "tiny-pretrained", "sha256": card.sha256.value.hex()}
    stem = torch.tensor(tensors["stem.0.weight"]).float()
    torch.testing.assert_close(network.stem[0].weight, stem)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("edge-cnn", "linear-svm"), "linear-svm cannot be pre-trained"),
        (('"pooled"', '"brain-mri"'), "datasets go with dataset"),
        (('datasets = ["brain-mri"]', ""), "datasets go with dataset"),
    ],
)
def test_contradictions_are_refused(tmp_path, change, message):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace(*change))
    with pytest.raises(ConfigurationError, match=message):
        read_config(path)
