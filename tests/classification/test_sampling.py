from collections import Counter

import numpy as np
import pytest
import torch

from medseal.classification.sampling import balanced_weights, epoch_order, label_weights

# Class 0: 80 images of source 0, 10 of source 1; class 1: 6 of source 0, 4 of source 2.
LABELS = np.array([0] * 90 + [1] * 10)
SOURCES = np.array([0] * 80 + [1] * 10 + [0] * 6 + [2] * 4)


def order(balance, count=0, seed=1):
    return epoch_order(
        LABELS, SOURCES, balance=balance, count=count, generator=np.random.default_rng(seed)
    )


def test_without_balance_each_image_comes_once():
    assert sorted(order("none")) == list(range(100))
    assert order("none", count=250).shape == (250,)
    assert Counter(order("none", count=200)) == dict.fromkeys(range(100), 2)


@pytest.mark.parametrize("balance", ["label", "label-source"])
def test_every_batch_holds_the_classes_equally(balance):
    for batch in order(balance, count=96).reshape(12, 8):
        assert Counter(LABELS[batch].tolist()) == {0: 4, 1: 4}


def test_sources_of_a_class_come_equally_often():
    chosen = order("label-source", count=400)
    cells = Counter(zip(LABELS[chosen].tolist(), SOURCES[chosen].tolist(), strict=True))
    assert cells == {(0, 0): 100, (0, 1): 100, (1, 0): 100, (1, 2): 100}


def test_inside_a_cell_all_images_come_before_one_comes_again():
    chosen = order("label", count=180)
    assert set(Counter(chosen[LABELS[chosen] == 0].tolist()).values()) == {1}
    assert set(Counter(chosen[LABELS[chosen] == 1].tolist()).values()) == {9}


def test_same_seed_same_order():
    assert order("label-source").tolist() == order("label-source").tolist()
    assert order("label-source").tolist() != order("label-source", seed=2).tolist()


def test_weights_balance_classes_and_sources():
    weights = balanced_weights(LABELS, SOURCES)
    assert weights.mean() == pytest.approx(1)
    sums = [
        weights[(a == LABELS) & (b == SOURCES)].sum() for a, b in ((0, 0), (0, 1), (1, 0), (1, 2))
    ]
    assert sums == pytest.approx([25] * 4)


def test_copies_of_one_image_come_as_often_as_one_image():
    labels, groups = np.zeros(10, dtype=np.int64), np.array([0] * 8 + [1, 2])
    order = epoch_order(
        labels, groups, balance="label-group", count=300, generator=np.random.default_rng(1)
    )
    counts = Counter(groups[order].tolist())
    assert counts == {0: 100, 1: 100, 2: 100}


def test_label_weights_give_each_label_the_same_sum():
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    weights = label_weights(targets)
    assert weights.mean().item() == pytest.approx(1)
    torch.testing.assert_close(weights @ targets, torch.tensor([2.0, 2.0]))


def test_label_weights_of_a_single_label_are_even():
    torch.testing.assert_close(label_weights(torch.tensor([[1.0, 0.0]] * 3)), torch.ones(3))
