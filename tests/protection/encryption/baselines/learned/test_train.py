import numpy as np
import pytest
import torch

from medseal.errors import InputError
from medseal.protection.encryption.baselines.learned.cipher import key_of
from medseal.protection.encryption.baselines.learned.losses import pair_loss
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, Pair, build
from medseal.protection.encryption.baselines.learned.train import as_tensor, train_pair

SMALL = LearnedConfig(channels=8, layers=2, steps=30, batch_size=4)
IMAGES = np.random.default_rng(1).integers(0, 256, (6, 16, 16), dtype=np.uint8)


def loss_of(pair: Pair) -> float:
    images = as_tensor(IMAGES)
    with torch.no_grad():
        cipher = pair.hidden(images)
        restored = pair.restored(cipher)
        return float(pair_loss(images, cipher, restored, noise_weight=SMALL.noise_weight))


def test_training_lowers_the_loss_and_repeats() -> None:
    trained = train_pair(IMAGES, SMALL)
    assert loss_of(trained) < loss_of(build(SMALL))
    assert key_of(train_pair(IMAGES, SMALL)) == key_of(trained)
    assert not trained.training


@pytest.mark.parametrize("shape", [(0, 8, 8), (8, 8), (2, 8, 9)])
def test_what_are_no_training_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="even sides"):
        train_pair(np.zeros(shape, np.uint8), SMALL)


def test_images_become_numbers_from_zero_to_one() -> None:
    tensor = as_tensor(np.array([[[0, 255]]], np.uint8))
    assert tensor.shape == (1, 1, 1, 2)
    assert tensor.flatten().tolist() == [0.0, 1.0]
