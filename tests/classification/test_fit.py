import json

import numpy as np
import pytest
import torch

from medseal.classification import fit as fit_module
from medseal.classification.augment import AugmentConfig
from medseal.classification.checkpoint import CHECKPOINT_NAME
from medseal.classification.examples import Examples
from medseal.classification.fit import (
    LOG_NAME,
    FitConfig,
    _validate,
    channels_last,
    fit,
    learner_for,
    logits_of,
    to_batch,
    train_epoch,
)
from medseal.classification.networks import NetworkConfig, build
from medseal.errors import ConfigurationError, WeightsError
from medseal.imaging.preprocess import PreprocessConfig, preprocess, standardise

SMALL = NetworkConfig(rows=32, columns=32)


def make_examples(count=24, seed=0):
    """Noise, with a bright square where the label is 1."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    images = generator.integers(0, 120, (count, 32, 32)).astype(np.uint8)
    images[labels == 1, 8:20, 8:20] = 250
    return Examples(images=images, labels=labels)


def run(folder, **changes):
    config = FitConfig(**{"batch_size": 8, "max_epochs": 4, "threads": 1, **changes})
    folder.mkdir(exist_ok=True)
    network = build("five-layer-cnn", SMALL, seed=config.seed)
    state = fit(
        make_examples(),
        make_examples(12, seed=9),
        network=network,
        config=config,
        augmentation=AugmentConfig(),
        folder=folder,
        run_digest=f"run-{config.seed}",
    )
    return network, state


def losses(state):
    return [(row.train_loss, row.validation_loss) for row in state.rows]


def same_weights(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_batch_equals_preprocess_to_the_last_bit():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    config = PreprocessConfig(rows=32, columns=32)
    batch = to_batch(standardise(image, config=config)[None])
    assert batch.shape == (1, 1, 32, 32)
    np.testing.assert_array_equal(batch[0, 0].numpy(), preprocess(image, config=config))


def test_steps_lower_the_loss():
    examples, config = make_examples(), FitConfig(batch_size=24, threads=1, bfloat16=False)
    network = build("five-layer-cnn", NetworkConfig(rows=32, columns=32, dropout=0), seed=1)
    learner = learner_for(network, config)
    still = AugmentConfig(rotation_degrees=0, zoom=0, flip=False)
    first, second = (
        train_epoch(learner, examples, config=config, augmentation=still, epoch=epoch)
        for epoch in (1, 2)
    )
    assert second < first


@pytest.mark.parametrize("bfloat16", [False, True])
def test_same_seed_same_result(tmp_path, bfloat16):
    one, state_one = run(tmp_path / "one", bfloat16=bfloat16)
    torch.rand(7)  # the global generator has no say
    two, state_two = run(tmp_path / "two", bfloat16=bfloat16)
    other, _ = run(tmp_path / "other", bfloat16=bfloat16, seed=2)
    assert losses(state_one) == losses(state_two)
    assert same_weights(one, two)
    assert not same_weights(one, other)


def test_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    whole, whole_state = run(tmp_path / "whole")
    real = fit_module.train_epoch

    def stops_in_epoch_three(*args, **options):
        if options["epoch"] == 3:
            raise KeyboardInterrupt("power cut")
        return real(*args, **options)

    monkeypatch.setattr(fit_module, "train_epoch", stops_in_epoch_three)
    with pytest.raises(KeyboardInterrupt, match="power cut"):
        run(tmp_path / "cut")
    monkeypatch.undo()
    lines = (tmp_path / "cut" / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    resumed, state = run(tmp_path / "cut")
    assert losses(state) == losses(whole_state)
    assert same_weights(resumed, whole)


def test_ended_run_is_not_trained_further(tmp_path, monkeypatch):
    network, state = run(tmp_path)
    monkeypatch.setattr(fit_module, "train_epoch", lambda *_, **__: pytest.fail("trained"))
    again, state_again = run(tmp_path)
    assert losses(state) == losses(state_again)
    assert same_weights(network, again)


def test_early_stopping_keeps_the_best(tmp_path, monkeypatch):
    planned = iter([0.5, 0.3, 0.4, 0.35, 0.6, 0.1])
    seen = []

    def validate(*_):
        seen.append(next(planned))
        return seen[-1], 0.5, seen[-1]

    snapshots = []

    def epoch(learner, *_, **__):
        network = learner.network
        with torch.no_grad():
            network.output.bias += 1
        snapshots.append(network.output.bias.detach().clone())
        return 1.0

    monkeypatch.setattr(fit_module, "train_epoch", epoch)
    monkeypatch.setattr(fit_module, "_validate", validate)
    network, state = run(tmp_path, max_epochs=50, patience=3)
    assert seen == [0.5, 0.3, 0.4, 0.35, 0.6]
    assert state.best_row.epoch == 2
    assert torch.equal(network.output.bias, snapshots[1])


def test_it_learns_the_square(tmp_path):
    network, _ = run(tmp_path, max_epochs=15)
    fresh = make_examples(40, seed=77)
    predicted = logits_of(network, fresh.images).argmax(dim=1).numpy()
    assert np.mean(predicted == fresh.labels) >= 0.9


def test_checkpoint_of_another_run_is_refused(tmp_path):
    run(tmp_path, max_epochs=1)
    with pytest.raises(ConfigurationError, match="other settings or data"):
        run(tmp_path, seed=2)


def test_damaged_checkpoint_is_refused(tmp_path):
    run(tmp_path, max_epochs=1)
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="remove it to start anew"):
        run(tmp_path)


def test_settings_must_be_positive():
    with pytest.raises(ConfigurationError, match="must be positive"):
        FitConfig(learning_rate=0)


def test_the_loss_of_places_is_added_where_lesions_are_drawn():
    images = np.zeros((24, 32, 32), np.uint8)
    images[:, 4:28, 4:28] = 110
    examples = Examples(images=images, labels=np.tile(np.array([0, 1]), 12))
    config = NetworkConfig(rows=32, columns=32, truncate=3, peaks=2, dropout=0.0)
    sums = {}
    for weight in (0.0, 1.0):
        settings = FitConfig(threads=1, bfloat16=False, batch_size=24, place_weight=weight)
        network = build("efficientnet-lite0", config, seed=1)
        sums[weight] = train_epoch(
            learner_for(network, settings),
            examples,
            config=settings,
            augmentation=AugmentConfig(lesion=0.5),
            epoch=1,
        )
    assert sums[1.0] > sums[0.0] + 0.1


def test_places_need_lesions(tmp_path):
    with pytest.raises(ConfigurationError, match="needs lesion"):
        run(tmp_path, place_weight=1.0)


def test_the_last_epoch_is_kept_where_asked_for(tmp_path):
    _, state = run(tmp_path, max_epochs=3, select_by="last", learning_rate=0.5)
    assert state.best_row.epoch == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_of_the_first_layer_lie_channels_last(channels):
    images = torch.rand(2, channels, 32, 32)
    moved = channels_last(images)
    assert torch.equal(moved, images)
    network = build("five-layer-cnn", NetworkConfig(rows=32, columns=32, channels=channels), seed=1)
    maps = network.block1[0](moved)
    assert maps.is_contiguous(memory_format=torch.channels_last)


ALL_SETTINGS = {
    "schedule": "cosine",
    "warmup_epochs": 0.5,
    "ema_decay": 0.9,
    "balance": "label-source",
    "weight_decay": 1e-3,
    "layer_decay": 0.8,
    "head_learning_rate": 0.002,
    "label_smoothing": 0.05,
    "select_by": "balanced-loss",
}


def test_resumed_equals_uninterrupted_with_every_setting(tmp_path, monkeypatch):
    whole, whole_state = run(tmp_path / "whole", **ALL_SETTINGS)
    real = fit_module.train_epoch

    def stops_in_epoch_two(*args, **options):
        if options["epoch"] == 2:
            raise KeyboardInterrupt("power cut")
        return real(*args, **options)

    monkeypatch.setattr(fit_module, "train_epoch", stops_in_epoch_two)
    with pytest.raises(KeyboardInterrupt, match="power cut"):
        run(tmp_path / "cut", **ALL_SETTINGS)
    monkeypatch.undo()
    resumed, state = run(tmp_path / "cut", **ALL_SETTINGS)
    assert losses(state) == losses(whole_state)
    assert same_weights(resumed, whole)


def test_what_is_kept_is_the_average(tmp_path):
    settings = {"max_epochs": 1, "select_by": "last"}
    plain, _ = run(tmp_path / "plain", **settings)
    average, _ = run(tmp_path / "average", ema_decay=0.9, **settings)
    assert not same_weights(plain, average)


def test_balanced_figures_weigh_classes_equally():
    examples = make_examples(12)
    rare = Examples(
        images=examples.images[[0, 2, 4, 6, 1]].copy(), labels=examples.labels[[0, 2, 4, 6, 1]]
    )
    network = build("five-layer-cnn", SMALL, seed=1)
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.copy_(torch.tensor([2.0, 0.0]))  # always the first class
    loss, accuracy, criterion = _validate(network, rare, "balanced-accuracy")
    assert accuracy == pytest.approx(0.8)
    assert criterion == pytest.approx(0.5)
    _, _, balanced = _validate(network, rare, "balanced-loss")
    low, high = np.log1p(np.exp(-2)), np.log1p(np.exp(-2)) + 2
    assert loss == pytest.approx(0.8 * low + 0.2 * high)
    assert balanced == pytest.approx((low + high) / 2)
    assert _validate(network, rare, "loss")[2] == loss
