import numpy as np
import pytest

from benchmarks.encryption_attackers import (
    GAIN_DB,
    gain_over_mean,
    known_plaintext,
    other_keys,
    recognise,
)
from medseal.protection.encryption.baselines.learned.cipher import LearnedCipher
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig
from medseal.protection.encryption.baselines.learned.train import train_pair
from tests.benchmarks.encryption_material import named, pictures


def test_the_mean_image_itself_gains_nothing() -> None:
    truth = pictures(8, 32)
    mean = truth.astype(float).mean(0)
    found = gain_over_mean(truth, np.broadcast_to(mean, truth.shape), mean)
    assert found["gain_db"] == pytest.approx(0)
    assert found["p_value"] == 1.0
    closer = gain_over_mean(truth, (truth + mean) / 2, mean)
    assert closer["gain_db"] == pytest.approx(6.02, abs=0.01)
    assert closer["p_value"] < 1e-6
    # A sure gain that is too small to matter does not count.
    slight = gain_over_mean(truth, 0.99 * mean + 0.01 * truth, mean)
    assert 0 < slight["gain_db"] < GAIN_DB
    assert slight["p_value"] == 1.0


def test_known_images_open_a_fixed_permutation_and_not_aes_ctr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.encryption_attackers._EPOCHS", 2)
    images = pictures(90, 32)
    broken, sound = (
        known_plaintext(named(name), images[:75], images[75:], generator=np.random.default_rng(1))
        for name in ("fixed permutation", "AES-CTR")
    )
    assert broken["ridge on values"]["gain_db"] > 3
    assert broken["ridge on values"]["p_value"] < 1e-6
    assert all(row["p_value"] > 1e-6 for row in sound.values())


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        ("fixed permutation", "histogram"),
        ("EtC block scrambling", "folded histogram"),
        ("AES-ECB", "repeated blocks"),
    ],
)
def test_images_are_recognised_without_the_key(name: str, signature: str) -> None:
    gallery = pictures(8, 32)
    for number, image in enumerate(gallery):
        image[: 3 * number] = 0
    found = recognise(named(name), gallery, trials=40, generator=np.random.default_rng(2))
    assert found[signature]["p_value"] < 1e-6
    assert found[signature]["chance"] == 1 / 8


def test_aes_gcm_images_are_not_recognised() -> None:
    found = recognise(
        named("AES-GCM"), pictures(8, 32), trials=40, generator=np.random.default_rng(3)
    )
    assert min(row["p_value"] for row in found.values()) > 1e-6


def test_decoders_of_other_keys_are_judged_against_the_mean_image() -> None:
    images = pictures(30, 32)
    pairs = [
        train_pair(images, LearnedConfig(channels=4, layers=1, steps=20, seed=seed))
        for seed in (1, 2)
    ]
    found = other_keys(LearnedCipher(pairs), images[:20], images[20:])
    assert set(found) == {"decoder of key 1", "network trained on other keys"}
    assert found["decoder of key 1"]["mean_image_db"] > 5
