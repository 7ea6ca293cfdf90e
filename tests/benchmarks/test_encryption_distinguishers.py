from dataclasses import replace

import numpy as np
import pytest

from benchmarks.encryption_distinguishers import (
    cnn_accuracy,
    distinguish,
    feature_accuracy,
    features,
)
from tests.benchmarks.encryption_material import named, pictures


def noise_and_stripes(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    seen = rng.integers(0, 256, (count, 32, 32), dtype=np.uint8)
    labels = np.arange(count) % 2
    seen[labels == 1, ::4] = 200
    return seen, labels.astype(np.int64)


def test_both_classifiers_tell_stripes_from_noise() -> None:
    seen, labels = noise_and_stripes(200)
    assert feature_accuracy(seen, labels) > 95
    assert cnn_accuracy(seen, labels) > 80


def test_neither_tells_noise_from_noise() -> None:
    seen = np.random.default_rng(2).integers(0, 256, (200, 32, 32), dtype=np.uint8)
    labels = (np.arange(200) % 2).astype(np.int64)
    assert 25 < feature_accuracy(seen, labels) < 75
    assert 25 < cnn_accuracy(seen, labels) < 75


def test_features_see_equal_blocks_and_equal_values() -> None:
    seen, labels = noise_and_stripes(4)
    found = features(seen)
    assert found.shape == (4, features(seen[:1]).shape[1])
    assert not np.allclose(found[labels == 0].mean(0), found[labels == 1].mean(0), atol=0.05)


@pytest.mark.parametrize("name", ["AES-ECB", "AES-CTR, nonce repeated", "fixed permutation"])
def test_known_bad_ciphers_are_told_apart(name: str) -> None:
    found = distinguish(named(name), pictures(3, 32), trials=60, generator=np.random.default_rng(3))
    assert len(found) == 8
    assert min(row["p_value"] for row in found.values()) < 1e-6


def test_aes_ctr_is_not() -> None:
    found = distinguish(
        named("AES-CTR"), pictures(3, 32), trials=60, generator=np.random.default_rng(4)
    )
    assert min(row["p_value"] for row in found.values()) > 1e-6
    assert all(row["tested"] == 30 for row in found.values())


def test_a_form_that_compresses_is_asked_about_images_of_one_size_alone() -> None:
    subject = replace(named("AES-GCM"), compresses=True)
    found = distinguish(subject, pictures(3, 32), trials=40, generator=np.random.default_rng(5))
    assert set(found) == {"one noise or another, features", "one noise or another, cnn"}
