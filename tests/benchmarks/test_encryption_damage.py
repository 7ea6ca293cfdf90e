import numpy as np
import pytest

from benchmarks.encryption_damage import CHANNELS, costs, damage
from tests.benchmarks.encryption_material import named, pictures


def test_aes_is_exact_on_a_clean_channel_and_damaged_after_jpeg() -> None:
    found = damage(named("AES-CTR"), pictures(1, 64), generator=np.random.default_rng(1))
    assert set(found) == set(CHANNELS)
    assert found["none"]["exact_share"] == 1.0
    assert found["none"]["psnr_db"] == 100.0
    assert found["JPEG 70"]["psnr_db"] < 25
    assert found["JPEG 50"]["psnr_db"] < found["JPEG 95"]["psnr_db"]


def test_aes_gcm_refuses_what_was_damaged() -> None:
    found = damage(named("AES-GCM"), pictures(1, 64), generator=np.random.default_rng(1))
    assert found["none"]["refused"] == 0
    assert found["JPEG 90"] == {"images": 1, "refused": 1}


def test_block_scrambling_survives_jpeg() -> None:
    found = damage(
        named("EtC block scrambling"), pictures(1, 64), generator=np.random.default_rng(1)
    )
    assert found["JPEG 90"]["psnr_db"] > 30


def test_costs_stand_beside_aes_gcm() -> None:
    found = costs([named("integer unet")], side=32)["integer unet"]
    assert found["encrypt_times_aes_gcm"] == pytest.approx(
        found["encrypt_ms"] / found["aes_gcm_encrypt_ms"]
    )
    assert found["values"] == pytest.approx(1 + 32 / 1024)
