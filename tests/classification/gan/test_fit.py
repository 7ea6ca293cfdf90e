import dataclasses
import json

import numpy as np
import pytest
import torch

from medseal.classification.examples import Examples
from medseal.classification.gan import GanConfig, fit_gan, sample
from medseal.classification.gan.fit import LOG_NAME, to_signed
from medseal.errors import ConfigurationError

CONFIG = GanConfig(
    latent=8, width=4, steps=6, batch_size=4, save_every=3, threads=1, bfloat16=False
)


def examples(side=32, channels=1):
    """Bright images of one class, dark ones of the other."""
    generator = np.random.default_rng(1)
    labels = np.arange(12) % 2
    shape = (12, side, side) if channels == 1 else (12, side, side, 3)
    images = generator.integers(0, 40, shape) + 180 * labels.reshape(-1, *[1] * (len(shape) - 1))
    return Examples(images=images.astype(np.uint8), labels=labels.astype(np.int64))


def fitted(folder, config=CONFIG, train=None, digest="a"):
    folder.mkdir(exist_ok=True)
    return fit_gan(train or examples(), classes=2, config=config, folder=folder, run_digest=digest)


def tensors(network):
    return torch.cat([t.double().flatten() for t in network.state_dict().values()])


def test_images_become_values_from_minus_one_to_one():
    grey = to_signed(np.array([[[0, 255]]], np.uint8))
    assert grey.tolist() == [[[[-1.0, 1.0]]]]
    assert to_signed(np.zeros((2, 5, 7, 3), np.uint8)).shape == (2, 3, 5, 7)


def test_same_seed_same_result_and_a_stopped_run_ends_the_same(tmp_path):
    whole = tensors(fitted(tmp_path / "whole"))
    half = dataclasses.replace(CONFIG, steps=3)
    fitted(tmp_path / "parts", half)
    parts = tensors(fitted(tmp_path / "parts"))
    other = tensors(fitted(tmp_path / "other", dataclasses.replace(CONFIG, seed=2)))
    assert torch.equal(whole, parts)
    assert not torch.equal(whole, other)
    rows = [json.loads(line) for line in (tmp_path / "parts" / LOG_NAME).read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert torch.equal(tensors(fitted(tmp_path / "whole")), whole)  # it had ended


def test_a_folder_of_another_run_is_refused(tmp_path):
    fitted(tmp_path / "run", dataclasses.replace(CONFIG, steps=1))
    with pytest.raises(ConfigurationError, match="other settings or data"):
        fitted(tmp_path / "run", digest="b")


@pytest.mark.parametrize("bfloat16", [False, True])
def test_colour_images_of_the_larger_size(tmp_path, bfloat16):
    config = dataclasses.replace(CONFIG, steps=1, bfloat16=bfloat16)
    network = fitted(tmp_path / "run", config, examples(side=64, channels=3))
    made = sample(network, np.zeros(2, np.int64), generator=np.random.default_rng(1))
    assert made.shape == (2, 64, 64, 3)


def test_other_sizes_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="32x32 or 64x64"):
        fitted(tmp_path / "run", train=examples(side=48))


def test_a_short_training_learns_which_class_is_bright(tmp_path):
    config = dataclasses.replace(
        CONFIG,
        steps=60,
        batch_size=8,
        generator_rate=0.005,
        discriminator_rate=0.005,
        ema_decay=0.5,
        differentiable_augmentation=False,
    )
    network = fitted(tmp_path / "run", config)
    dark, bright = (
        sample(network, np.full(20, label), generator=np.random.default_rng(1)).mean()
        for label in (0, 1)
    )
    assert bright > dark + 40
