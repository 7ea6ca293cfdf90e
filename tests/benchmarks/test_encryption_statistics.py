import numpy as np
import pytest

from benchmarks.encryption_statistics import (
    compared,
    critical_values,
    diffusion,
    draws_of,
    flipped,
    key_avalanche,
    reference_diffusion,
    rounds_table,
)
from benchmarks.encryption_subjects import Subject
from medseal.protection.encryption.baselines.learned.cipher import LearnedCipher
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig
from medseal.protection.encryption.baselines.learned.train import train_pair
from tests.benchmarks.encryption_material import named, pictures


def test_a_flip_changes_one_value_by_one_level() -> None:
    image = pictures(1, 32)[0]
    changed, place = flipped(image, np.random.default_rng(1))
    difference = changed.astype(int) - image
    assert np.count_nonzero(difference) == 1
    assert abs(int(difference.flat[place])) == 1


def test_statistics_of_block_scrambling_differ_from_those_of_aes_ctr() -> None:
    rng = np.random.default_rng(2)
    images = pictures(4, 80)
    control = draws_of(named("AES-CTR"), images, 20, rng)
    scrambled = draws_of(named("EtC block scrambling"), images, 20, rng)
    assert set(control) == set(scrambled)
    assert "correlation, vertical" in control
    assert "matrix rank" in control
    assert max(scrambled["uniformity"]) < 1e-6 < min(control["uniformity"])


def test_one_round_does_not_spread_a_change_and_six_do() -> None:
    rng = np.random.default_rng(3)
    images = pictures(4, 32)
    control = reference_diffusion((32, 32), 200, rng)
    for name, good in (("integer unet, 1 round", False), ("integer resnet", True)):
        found = compared(diffusion(named(name), images, 200, rng), control)
        assert (found["npcr"]["p_value"] > 1e-6) is good
        assert (found["npcr_percent"]["mean"] > 99) is good


def test_a_wrong_key_opens_nothing_of_aes_and_is_refused_by_gcm() -> None:
    images = pictures(6, 32)
    rng = np.random.default_rng(4)
    wrong = key_avalanche(named("AES-CTR"), images, trials=6, generator=rng)
    assert wrong["p_value"] == 1.0
    assert wrong["gain_db"] < 0
    assert wrong["cipher_bits_changed"] == pytest.approx(0.5, abs=0.02)
    refused = key_avalanche(named("AES-GCM"), images, trials=3, generator=rng)
    assert refused == {"trials": 3, "refused": 3, "p_value": 1.0}
    # The tag of the integer form is set aside: its pixels must protect themselves.
    bare = key_avalanche(named("integer unet"), images, trials=3, generator=rng)
    assert bare["refused"] == 0
    assert bare["p_value"] == 1.0


def test_one_bit_of_one_weight_leaves_the_learned_cipher_open() -> None:
    images = pictures(30, 32)
    config = LearnedConfig(channels=16, layers=1, steps=200, noise_weight=0, learning_rate=1e-2)
    pair = train_pair(images, config)
    cipher = LearnedCipher([pair])
    subject = Subject(name="learned", cipher=cipher, kind="known bad", keys=cipher.keys)
    found = key_avalanche(subject, images, trials=30, generator=np.random.default_rng(5))
    assert found["gain_db"] > 0.5
    assert found["p_value"] < 1e-3


def test_critical_values_say_how_often_a_perfect_cipher_fails_a_fixed_one() -> None:
    table = critical_values()
    assert table["256x256"]["npcr_critical_05"] == pytest.approx(99.5693, abs=1e-4)
    met = [row["perfect_cipher_meets_fixed_npcr"] for row in table.values()]
    assert met == sorted(met)
    assert met[0] < 0.7


def test_every_backbone_and_depth_has_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.encryption_statistics.BACKBONES", ("unet",))
    found = rounds_table((1,), 200, np.random.default_rng(6))
    assert set(found) == {
        f"unet, {bits} bits, {words}whitened" for bits in (8, 16) for words in ("", "not ")
    }
    assert not any(row["1"]["accepted"] for row in found.values())
