import numpy as np
import pytest

from medseal.protection.encryption.cnn.backbones import NETWORKS, draw_network
from medseal.protection.encryption.cnn.backends import int64_product
from medseal.protection.encryption.keystream import Stream

BACKBONES = tuple(NETWORKS)


def cells(rows: int = 8, columns: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 64), dtype=np.uint8)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_word_depends_on_every_byte(backbone: str) -> None:
    network = draw_network(backbone, Stream(bytes(32)))
    first = cells()
    words = network.words(first, int64_product)
    assert words.shape == (8, 12, 32)
    assert words.dtype == np.uint16
    second = first.copy()
    second[3, 5, 7] ^= 1
    changed = network.words(second, int64_product) != words
    # 3072 words, each equal by chance once in 65536: six or more equal ones are very unlikely.
    assert np.count_nonzero(~changed) < 6


@pytest.mark.parametrize("backbone", BACKBONES)
def test_words_are_uniform(backbone: str) -> None:
    words = draw_network(backbone, Stream(bytes(32))).words(cells(40, 40), int64_product)
    counts = np.bincount((words >> 8).reshape(-1), minlength=256)
    expected = words.size / 256
    statistic = ((counts - expected) ** 2 / expected).sum()
    # Chi-square of 255 degrees of freedom: five standard deviations.
    assert abs(statistic - 255) < 5 * np.sqrt(2 * 255)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_weight_comes_from_the_stream(backbone: str) -> None:
    first, same, other = (draw_network(backbone, Stream(bytes([k] * 32))) for k in (0, 0, 1))
    assert all(
        np.array_equal(first.layers[name].matrix, same.layers[name].matrix) for name in first.layers
    )
    assert not any(
        np.array_equal(first.layers[name].matrix, other.layers[name].matrix)
        for name in first.layers
    )
    assert np.all(first.factors % 2 == 1)


def test_the_backbones_are_different_networks() -> None:
    results = {
        draw_network(name, Stream(bytes(32))).words(cells(), int64_product).tobytes()
        for name in BACKBONES
    }
    assert len(results) == len(BACKBONES) == 3
