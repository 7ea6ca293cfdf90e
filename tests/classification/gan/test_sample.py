import numpy as np
import pytest
import torch

from medseal.classification.examples import Examples
from medseal.classification.gan.networks import build_networks
from medseal.classification.gan.sample import fill_up, sample
from medseal.errors import InputError


def network(channels=1):
    generator, _ = build_networks(side=32, channels=channels, classes=3, latent=8, width=4, seed=1)
    return generator.eval()


def examples(side=32):
    labels = np.array([0] * 5 + [1] * 2 + [2] * 4, dtype=np.int64)
    images = np.zeros((11, side, side), np.uint8)
    return Examples(images=images, labels=labels, sources=np.arange(11) % 2)


def test_images_depend_on_noise_and_not_on_their_batch():
    labels = np.arange(40) % 3
    made = sample(network(), labels, generator=np.random.default_rng(1))
    assert made.shape == (40, 32, 32)
    assert made.dtype == np.uint8
    first = sample(network(), labels[:3], generator=np.random.default_rng(1))
    assert np.abs(made[:3].astype(int) - first).max() <= 1
    assert (made[0] != made[3]).any()


def test_colour_images_and_truncation():
    labels = np.zeros(30, np.int64)
    wide, narrow = (
        sample(network(3), labels, generator=np.random.default_rng(1), truncation=truncation)
        for truncation in (1.0, 0.1)
    )
    assert wide.shape == (30, 32, 32, 3)
    assert narrow.std(axis=0).mean() < 0.5 * wide.std(axis=0).mean()


@pytest.mark.parametrize(("share", "counts"), [(1.0, [5, 5, 5]), (0.5, [5, 3, 4])])
def test_small_classes_are_filled_up(share, counts):
    filled = fill_up(examples(), network(), generator=np.random.default_rng(1), share=share)
    assert np.bincount(filled.labels).tolist() == counts
    np.testing.assert_array_equal(filled.images[:11], examples().images)
    assert set(filled.sources[11:]) == {2}


def test_equal_classes_need_nothing():
    labels = np.array([0, 1], np.int64)
    even = Examples(images=np.zeros((2, 32, 32), np.uint8), labels=labels)
    assert fill_up(even, network(), generator=np.random.default_rng(1)) is even


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"makes images of \(32, 32\), not \(64, 64\)"):
        fill_up(examples(64), network(), generator=np.random.default_rng(1))


def test_sampling_leaves_the_global_generator():
    before = torch.random.get_rng_state()
    sample(network(), np.zeros(2, np.int64), generator=np.random.default_rng(1))
    assert torch.equal(torch.random.get_rng_state(), before)
